/** Stands in for the link in tests of what is above it: `vi.mock("../link/peer", …)`. */
import type { PeerListener } from "../call/peer";
import type { LinkPeerOptions } from "../link/peer";

export class FakeLinkPeer {
  static all: FakeLinkPeer[] = [];
  /** Its request is refused with this. */
  static error: Error | null = null;
  replaced: unknown[] = [];
  isClosed = false;
  constructor(
    readonly options: LinkPeerOptions,
    readonly listener: PeerListener,
  ) {
    FakeLinkPeer.all.push(this);
  }
  call = async (): Promise<void> => {
    if (FakeLinkPeer.error) throw FakeLinkPeer.error;
    this.listener.onanswer({ webrtc_id: "link-1", secret: "l1nk" });
  };
  sent: string[] = [];
  send = (text: string): boolean => this.sent.push(text) > 0;
  replaceTrack = async (track: unknown): Promise<void> => void this.replaced.push(track);
  lookUp = async (): Promise<string> => "not_found";
  detachListener = (): void => undefined;
  close = async (): Promise<void> => void (this.isClosed = true);
}

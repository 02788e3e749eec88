/** A call over a link: what `WebRTCPeer` is for WebRTC, for networks without UDP. */
import { parseMessage, readLinkAnswer, type LinkAnswer } from "../call/messages";
import { lookUp, sendClose } from "../call/peer";
import type { Lookup, Peer, PeerListener, PeerOptions } from "../call/peer";
import type { Credentials } from "../types";
import { LinkAudio } from "./audio";
import type { CarrierKind } from "./carrier";
import { Link, type LinkListener } from "./link";
import { Camera, RemoteVideo } from "./video";

export interface LinkPeerOptions extends PeerOptions {
  /** The address of the app, to which the server's path is relative. */
  root: string;
  worklet?: URL;
  /** The kind of carrier that is tried first. */
  carrier: CarrierKind;
  /** Called with the kind of each carrier that opened. */
  oncarrier(kind: CarrierKind): void;
}

export class LinkPeer implements Peer {
  readonly #options: LinkPeerOptions;
  #listener: PeerListener | null;
  #credentials: Credentials | null = null;
  #link: Link | null = null;
  #audio: LinkAudio | null = null;
  #camera: Camera | null = null;
  readonly #video = new RemoteVideo((track) => this.#listener?.ontrack(track));

  constructor(options: LinkPeerOptions, listener: PeerListener) {
    this.#options = options;
    this.#listener = listener;
  }

  async call(): Promise<void> {
    const { server, kinds, stream, query, worklet } = this.#options;
    if (kinds.includes("audio")) this.#audio = await LinkAudio.open(stream, worklet);
    if (this.#listener === null) return this.#closeMedia();
    const { codecs = [], rateHz: rate } = this.#audio ?? {};
    const request = { type: "link", audio: { codecs, rate }, video: ["jpeg"], query };
    const offered = server.offer(request);
    const [loaded] = await Promise.allSettled([this.#audio?.ready, offered]);
    const answer = readLinkAnswer(await offered);
    const credentials = { webrtc_id: answer.webrtc_id, secret: answer.secret };
    // Closed while the server was answering: its session would otherwise wait for a carrier.
    if (this.#listener === null) return sendClose(server, credentials);
    if (loaded.status === "rejected") {
      await sendClose(server, credentials);
      throw loaded.reason;
    }
    this.#credentials = credentials;
    this.#listener.onanswer(credentials);
    this.#openAudio(answer);
    this.#connect(answer, credentials);
  }

  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    if (track.kind === "audio") this.#audio?.replaceTrack(track);
    else this.#camera?.replaceTrack(track);
  }

  send(text: string): boolean {
    return this.#link?.sendText(text) ?? false;
  }

  lookUp(): Promise<Lookup> {
    return lookUp(this.#options.server, this.#credentials);
  }

  detachListener(): void {
    this.#listener = null;
  }

  async close(): Promise<void> {
    this.#listener = null;
    this.#closeMedia();
    if (this.#link) await this.#link.close();
    else if (this.#credentials) await sendClose(this.#options.server, this.#credentials);
  }

  /** Before the link, so that nothing that comes is early. */
  #openAudio({ codec }: LinkAnswer): void {
    const audio = this.#audio;
    if (audio === null || codec === null) return;
    const onfailed = (): void => this.#listener?.onlost();
    const { mode } = this.#options;
    if (mode !== "receive") audio.send(codec, (packet) => this.#link?.sendAudio(packet), onfailed);
    const track = mode === "send" ? null : audio.receive(codec, onfailed);
    if (track) this.#listener?.ontrack(track);
  }

  #connect({ path, hasVideo, hasWebSocket }: LinkAnswer, { webrtc_id, secret }: Credentials): void {
    const { root, carrier, stream } = this.#options;
    const target = { url: new URL(path, root), session: `${webrtc_id}.${secret}` };
    const link = new Link(target, this.#linkListener());
    this.#link = link;
    link.connect(hasWebSocket ? carrier : "http", hasWebSocket);
    const camera = hasVideo ? stream?.getVideoTracks()[0] : undefined;
    if (camera) this.#camera = new Camera(camera, link);
  }

  #linkListener(): LinkListener {
    return {
      onconnected: (kind) => {
        this.#options.oncarrier(kind);
        this.#listener?.onconnected("link");
        this.#listener?.onwritable?.();
      },
      onunstable: () => this.#listener?.onunstable(),
      onlost: () => this.#listener?.onlost(),
      onclosed: () => this.#listener?.onclosed(),
      ontext: (text) => {
        const message = parseMessage(text);
        // The frame that clears the audio comes with the one, and nothing is left for the other.
        if (message?.type === "hold" || message?.type === "resume") return;
        if (message) this.#listener?.onmessage(message);
        else this.#listener?.ontext?.(text);
      },
      onaudio: (packet) => this.#audio?.play(packet),
      onvideo: (payload) => void this.#video.show(payload),
      onclear: () => this.#audio?.clear(),
    };
  }

  #closeMedia(): void {
    this.#audio?.close();
    this.#camera?.close();
    this.#video.close();
    this.#audio = this.#camera = null;
  }
}

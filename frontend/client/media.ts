/** What a call sends and receives: devices of the user's, and tracks of the page's own. */
import { Capture } from "../call/capture";
import { release } from "../call/devices";
import { Unavailable } from "../call/problems";
import type { Medium } from "../call/state";
import type { ConnectOptions, Media } from "./client";

export type Kind = "audio" | "video";

const KINDS: readonly Kind[] = ["audio", "video"];

export class ClientMedia {
  /** The kinds that are sent or received. */
  readonly kinds: readonly Kind[];
  readonly constraints: MediaStreamConstraints = {};
  stream: MediaStream | null = null;
  isMuted = false;
  /** Copies are sent, so that muting and closing leave the page's own tracks as they are. */
  readonly #given: MediaStreamTrack[] = [];
  readonly #onlost: (medium: Medium) => void;
  #capture: Capture | null = null;

  /** `onlost` is called when a device was unplugged. */
  constructor(media: NonNullable<ConnectOptions["media"]>, onlost: (medium: Medium) => void) {
    this.#onlost = onlost;
    this.kinds = KINDS.filter((kind) => media[kind]);
    if (this.kinds.length === 0) throw new TypeError("expected media such as { audio: true }");
    for (const kind of this.kinds) this.#read(kind, media[kind] ?? false);
  }

  /** True if devices are opened, for which the browser may ask the user. */
  get opensDevices(): boolean {
    return Object.keys(this.constraints).length > 0;
  }

  get sends(): boolean {
    return this.opensDevices || this.#given.length > 0;
  }

  /** @throws {DOMException} as `Capture.open` does. */
  async open(): Promise<void> {
    if (this.opensDevices) {
      const media = navigator.mediaDevices;
      if (!media) throw new Unavailable(isSecureContext ? "unsupported_browser" : "insecure_page");
      const constraints = (): MediaStreamConstraints => this.constraints;
      this.#capture = new Capture({ media, constraints, onlost: this.#onlost });
      this.stream = await this.#capture.open();
    } else if (this.sends) {
      this.stream = new MediaStream();
    }
    for (const track of this.#given) this.stream?.addTrack(track.clone());
    // A track that its page has muted stays so.
    if (this.isMuted) this.mute(true);
  }

  /** Opens another device in place of one that was unplugged. Rejects as `open` does. */
  async replace(medium: Medium): Promise<MediaStreamTrack | null> {
    return (await this.#capture?.replace(medium === "camera" ? "video" : "audio")) ?? null;
  }

  mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    this.#capture?.mute(isMuted);
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  release(): void {
    this.#capture?.release();
    release(this.stream);
    this.#capture = this.stream = null;
  }

  #read(kind: Kind, media: Media): void {
    if (media === "receive") return;
    if (typeof media === "string") throw new TypeError(`${kind}: expected "receive", got "${media}"`);
    const track = trackOf(media, kind);
    if (track) this.#given.push(track);
    else if (track === null) throw new TypeError(`${kind}: the stream has no such track`);
    else this.constraints[kind] = media as boolean | MediaTrackConstraints;
  }
}

/** The track of a kind; null in a stream without one, and undefined for constraints. */
function trackOf(media: Media, kind: Kind): MediaStreamTrack | null | undefined {
  if (typeof media !== "object") return undefined;
  // A track or a stream of another window is no instance of this one's classes.
  const tracks = "getTracks" in media ? media.getTracks() : "clone" in media ? [media] : undefined;
  return tracks && (tracks.find((track) => track.kind === kind) ?? null);
}

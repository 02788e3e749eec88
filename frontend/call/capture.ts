/** The microphone and the camera of one call, from the permission prompt to their release. */
import { openMedia, release } from "./devices";
import type { Medium } from "./state";

/** The devices to capture from, and the callback for a device that was unplugged. */
export interface CaptureOptions {
  media: MediaDevices;
  /** Read again whenever a device is opened: the user may have chosen another. */
  constraints: () => MediaStreamConstraints;
  onlost: (medium: Medium) => void;
}

export class Capture {
  readonly #options: CaptureOptions;
  #stream: MediaStream | null = null;
  #isReleased = false;
  #isMuted = false;

  constructor(options: CaptureOptions) {
    this.#options = options;
  }

  /**
   * Opens the devices; the browser asks the user for permission if necessary.
   *
   * @throws {DOMException} as `getUserMedia` does; `AbortError` when released while asking.
   */
  async open(): Promise<MediaStream> {
    const stream = await this.#get(this.#options.constraints());
    this.#stream = stream;
    for (const track of stream.getTracks()) this.#adopt(track);
    return stream;
  }

  /**
   * Opens the device that the constraints name now, and releases the one in use.
   *
   * @throws {DOMException} as `open` does; the old device stays in use then.
   */
  async replace(kind: "audio" | "video"): Promise<MediaStreamTrack | null> {
    const constraints = this.#options.constraints();
    const stream = await this.#get({ [kind]: constraints[kind] ?? true });
    const track = stream.getTracks()[0] ?? null;
    const replaced = this.#stream?.getTracks().filter((one) => one.kind === kind) ?? [];
    for (const one of replaced) {
      this.#stream?.removeTrack(one);
      // `stop` is our own doing, and not a loss to report.
      one.onended = null;
      one.stop();
    }
    if (track) {
      this.#stream?.addTrack(track);
      this.#adopt(track);
    }
    return track;
  }

  /** Sends silence instead of the audio. The device stays open, so that unmuting takes no time. */
  mute(isMuted: boolean): void {
    this.#isMuted = isMuted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  release(): void {
    this.#isReleased = true;
    for (const track of this.#stream?.getTracks() ?? []) track.onended = null;
    release(this.#stream);
    this.#stream = null;
  }

  async #get(constraints: MediaStreamConstraints): Promise<MediaStream> {
    const stream = await openMedia(this.#options.media, constraints);
    if (!this.#isReleased) return stream;
    release(stream);
    throw new DOMException("the call was over before the device was opened", "AbortError");
  }

  #adopt(track: MediaStreamTrack): void {
    if (track.kind === "audio") track.enabled = !this.#isMuted;
    track.onended = () => this.#options.onlost(track.kind === "video" ? "camera" : "microphone");
  }
}

/** Plays what the handler sends, in elements of the page or in one of its own. */
import { nameOf } from "../call/problems";
import type { ConnectOptions } from "./client";

/** Events after which a browser allows audio that it has held back. */
const GESTURES = ["click", "keydown"] as const;
const CAPTURE = { capture: true };

export class Player {
  readonly #audio: HTMLMediaElement | null;
  readonly #video: HTMLVideoElement | null;
  /** One element plays both, if it may: it keeps them in step. */
  readonly #isShared: boolean;
  readonly #onblocked: (isBlocked: boolean) => void;
  #isBlocked = false;

  /** `onblocked` is called when the browser holds back what is played, and when no longer. */
  constructor({ audio, video }: ConnectOptions, onblocked: (isBlocked: boolean) => void) {
    this.#video = video ?? null;
    this.#isShared = audio === undefined && video !== undefined;
    this.#audio = audio === false || this.#isShared ? null : (audio ?? new Audio());
    this.#onblocked = onblocked;
  }

  /** Plays a stream in place of an earlier one, or again with its new tracks. */
  play(stream: MediaStream): void {
    const tracks = this.#isShared ? stream.getTracks() : stream.getVideoTracks();
    for (const [element, its] of [[this.#audio, stream.getAudioTracks()], [this.#video, tracks]] as const) {
      if (!element || its.length === 0) continue;
      element.srcObject = new MediaStream(its);
      if (element === this.#video) this.#video.playsInline = true;
      this.#begin(element);
    }
  }

  close(): void {
    this.#setBlocked(false);
    for (const element of [this.#audio, this.#video]) if (element) element.srcObject = null;
  }

  #begin(element: HTMLMediaElement): void {
    element.play().then(
      () => this.#setBlocked(false),
      // Any other error means that something else is played by now.
      (error: unknown) => this.#setBlocked(nameOf(error) === "NotAllowedError" || this.#isBlocked),
    );
  }

  #setBlocked(isBlocked: boolean): void {
    if (isBlocked === this.#isBlocked) return;
    this.#isBlocked = isBlocked;
    for (const gesture of GESTURES) {
      if (isBlocked) addEventListener(gesture, this.#retry, CAPTURE);
      else removeEventListener(gesture, this.#retry, CAPTURE);
    }
    this.#onblocked(isBlocked);
  }

  readonly #retry = (): void => {
    for (const element of [this.#audio, this.#video]) if (element?.srcObject) this.#begin(element);
  };
}

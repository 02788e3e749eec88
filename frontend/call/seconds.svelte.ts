/** Counts the seconds of an open call, and detects that the machine slept. */
import { Timers } from "./timers";

/** A second that took this much longer, in ms, means that the machine slept. */
const SLEPT_MS = 5000;

export class Seconds {
  elapsed = $state(0);
  readonly #timers = new Timers();
  #openedAtMs: number | null = null;
  /** Wall-clock time of the last count: `performance.now()` may stand still during a sleep. */
  #countedAtMs = 0;

  /** Starts counting; `onslept` is called after a sleep of some seconds. */
  start(onslept: () => void): void {
    this.#openedAtMs = performance.now();
    this.#countedAtMs = Date.now();
    this.#count(onslept);
  }

  stop(): void {
    this.#timers.cancelAll();
    this.#openedAtMs = null;
  }

  /** Milliseconds since `start`; 0 without one. */
  get elapsedMs(): number {
    return this.#openedAtMs === null ? 0 : performance.now() - this.#openedAtMs;
  }

  #count(onslept: () => void): void {
    const { elapsedMs } = this;
    this.elapsed = Math.floor(elapsedMs / 1000);
    this.#timers.after("second", 1000 - (elapsedMs % 1000), () => this.#count(onslept));
    const beforeMs = this.#countedAtMs;
    this.#countedAtMs = Date.now();
    if (this.#countedAtMs - beforeMs > SLEPT_MS) onslept();
  }
}

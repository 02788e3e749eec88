/** How long a call has been open, second by second, and whether the machine slept meanwhile. */
import { Timers } from "./timers";

/** A second that took so much longer was none: the machine has slept. */
const SLEPT_MS = 5000;

export class Seconds {
  elapsed = $state(0);
  readonly #timers = new Timers();
  #openedAtMs: number | null = null;
  /** The time on the wall when the last second was counted: no other clock runs in a sleep. */
  #countedAtMs = 0;

  /** Counts from now on; `onslept` is called after a sleep of some seconds. */
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

/** Makes a call that broke again by itself: waits, tries, and leaves it to the user in the end. */
import { causeOf } from "./problems";
import { OFFER_RETRY_MS, Redial, TRY_MS, type Cause } from "./redial";
import type { Problem, Redialling } from "./state";
import { Timers } from "./timers";

/** What is needed of the call. */
export interface RedialTarget {
  /** Shows that the call is made again; what was connected is left alone from here on. */
  redialling(redial: Redialling): void;
  /** Drops what was connected and offers the call anew. Rejects as a first offer does. */
  offer(): Promise<void>;
  /** Gives up. */
  fail(problem: Problem): void;
  problemOf(error: unknown): Problem;
}

export class Redialler {
  readonly #call: RedialTarget;
  readonly #timers = new Timers();
  #tries = new Redial();
  /** The cause for which the browser's network is waited for. */
  #causeAwaitingNetwork: Cause | null = null;
  /** Grows with each offer and each end: what an earlier one still awaits is recognised. */
  #attempt = 0;

  constructor(call: RedialTarget) {
    this.#call = call;
  }

  /** The user calls: the tries are counted anew. */
  reset(): void {
    this.cancel();
    this.#tries = new Redial();
  }

  connected(): void {
    this.cancel();
    this.#tries.opened(performance.now());
  }

  cancel(): void {
    this.#attempt++;
    this.#causeAwaitingNetwork = null;
    this.#timers.cancelAll();
  }

  /** Makes the call again after a while; `problem` is what is left when all tries are spent. */
  callAgain(cause: Cause, problem: Problem): void {
    this.cancel();
    const waitMs = this.#tries.next(cause, performance.now());
    if (waitMs === null) return this.#call.fail(problem);
    this.#call.redialling({ cause, isOffline: false });
    this.#timers.after("wait", waitMs, () => this.#try(cause));
  }

  /** The browser has a network again: a call that waits for one is made now. */
  online(): void {
    const cause = this.#causeAwaitingNetwork;
    if (cause === null) return;
    this.#causeAwaitingNetwork = null;
    this.#call.redialling({ cause, isOffline: false });
    this.#try(cause);
  }

  #try(cause: Cause): void {
    if (navigator.onLine === false) return this.#awaitNetwork(cause);
    this.#timers.after("try", TRY_MS, () => {
      // A network that went away in the middle of a try has not spent it.
      if (navigator.onLine === false) this.#awaitNetwork(cause);
      else this.callAgain(cause, { code: cause });
    });
    void this.#offer();
  }

  #awaitNetwork(cause: Cause): void {
    this.cancel();
    this.#causeAwaitingNetwork = cause;
    this.#call.redialling({ cause, isOffline: true });
  }

  /** Offers the call; a server that cannot be reached is asked again until the try is over. */
  async #offer(): Promise<void> {
    const attempt = ++this.#attempt;
    try {
      await this.#call.offer();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const cause = causeOf(error);
      const problem = this.#call.problemOf(error);
      if (cause === "lost") this.#timers.after("wait", OFFER_RETRY_MS, () => void this.#offer());
      else if (cause) this.callAgain(cause, problem);
      else this.#call.fail(problem);
    }
  }
}

/** Makes a broken call again by itself: it waits, tries, and in the end leaves it to the user. */
import { causeOf } from "./problems";
import { OFFER_RETRY_MS, Redial, TRY_MS, type Cause } from "./redial";
import type { Problem, Redialling } from "./state";
import { Timers } from "./timers";

/** The call, as the redialler uses it. */
export interface RedialTarget {
  /** Enters the state in which the call is made again; the old connection stays until `offer`. */
  redialling(redial: Redialling): void;
  /** Closes the old connection and offers the call again. Rejects as a first offer does. */
  offer(): Promise<void>;
  /** Ends the call with this problem. */
  fail(problem: Problem): void;
  problemOf(error: unknown): Problem;
}

export class Redialler {
  readonly #call: RedialTarget;
  readonly #timers = new Timers();
  #tries = new Redial();
  /** The cause of a redial that waits for the browser's network, or null. */
  #causeAwaitingNetwork: Cause | null = null;
  /**
   * Grows with each offer and each end, so that a result for an earlier offer is recognised, and an
   * end by a listener of the state.
   */
  #attempt = 0;

  constructor(call: RedialTarget) {
    this.#call = call;
  }

  /** Begins the count of tries again: the user has made a call. */
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

  /** Makes the call again after a wait, or fails with `problem` when all tries are used. */
  callAgain(cause: Cause, problem: Problem): void {
    this.cancel();
    const waitMs = this.#tries.next(cause, performance.now());
    if (waitMs === null) return this.#call.fail(problem);
    if (!this.#announce(cause)) return;
    this.#timers.after("wait", waitMs, () => this.#try(cause));
  }

  /** Call when an offer of the current try failed with this error. */
  failed(error: unknown): void {
    const cause = causeOf(error);
    const problem = this.#call.problemOf(error);
    if (cause === "lost") this.#timers.after("wait", OFFER_RETRY_MS, () => void this.#offer());
    else if (cause) this.callAgain(cause, problem);
    else this.#call.fail(problem);
  }

  /** Call when the browser has a network again: a call that waits for one is made now. */
  online(): void {
    const cause = this.#causeAwaitingNetwork;
    if (cause === null) return;
    this.#causeAwaitingNetwork = null;
    if (this.#announce(cause)) this.#try(cause);
  }

  /** Enters the state in which the call is made again; false if that was its end. */
  #announce(cause: Cause): boolean {
    const attempt = this.#attempt;
    this.#call.redialling({ cause, isOffline: false });
    return attempt === this.#attempt;
  }

  #try(cause: Cause): void {
    if (navigator.onLine === false) return this.#awaitNetwork(cause);
    this.#timers.after("try", TRY_MS, () => {
      // A try in whose middle the network went away does not count.
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

  /** Offers the call, and repeats the offer to an unreachable server until the try is over. */
  async #offer(): Promise<void> {
    const attempt = ++this.#attempt;
    try {
      await this.#call.offer();
    } catch (error) {
      if (attempt === this.#attempt) this.failed(error);
    }
  }
}

/** When a call that broke is made again: how often, after which waits, and for which causes. */

/**
 * Why a call has to be made again.
 *
 * - `lost`: the server or the network went away without a word.
 * - `stopping`: the server said that it stops; one that follows it may be there soon.
 * - `busy`: the server has no room for the moment.
 */
export type Cause = "lost" | "stopping" | "busy";

/** The waits before the tries, in milliseconds; after the last of them it is the user's turn. */
export const WAITS_MS: Record<Cause, readonly number[]> = {
  lost: [500, 3000, 9000],
  stopping: [2000, 5000, 12_000],
  busy: [1000, 3000, 9000],
};

/** Each wait is longer or shorter by up to this share: not all pages are to come at once. */
const JITTER = 0.25;

/** How long one try may take, from its first offer to a connection. */
export const TRY_MS = 10_000;

/** Within a try, a server that cannot be reached is asked again after this time. */
export const OFFER_RETRY_MS = 2000;

/** How long a connection may take to recover by itself once the browser calls it disconnected. */
export const RECOVER_MS = 6000;

/** A call that has been open for so long was no failure: the tries are counted anew. */
const STEADY_MS = 10_000;

/** The tries of one call, counted. Knows no clock: times come as arguments, in milliseconds. */
export class Redial {
  #tries = 0;
  #openedAtMs: number | null = null;
  readonly #random: () => number;

  /** `random` gives numbers from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The call stands. */
  opened(atMs: number): void {
    this.#openedAtMs = atMs;
  }

  /** The wait before the next try, or null when it is not worth one. */
  next(cause: Cause, atMs: number): number | null {
    if (this.#openedAtMs !== null && atMs - this.#openedAtMs >= STEADY_MS) this.#tries = 0;
    this.#openedAtMs = null;
    const waitMs = WAITS_MS[cause][this.#tries];
    if (waitMs === undefined) return null;
    this.#tries += 1;
    return waitMs * (1 + JITTER * (2 * this.#random() - 1));
  }
}

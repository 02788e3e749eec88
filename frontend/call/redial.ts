/** The schedule for making a broken call again: the causes, the number of tries and the waits. */

/**
 * The reason for making a call again.
 *
 * - `lost`: the server or the network went away without notice.
 * - `stopping`: the server announced that it stops; its successor may be there soon.
 * - `busy`: the server has no room for the moment.
 */
export type Cause = "lost" | "stopping" | "busy";

/** The waits before the tries, in ms. After the last try the call is left to the user. */
export const WAITS_MS: Record<Cause, readonly number[]> = {
  lost: [500, 3000, 9000],
  stopping: [2000, 5000, 12_000],
  busy: [1000, 3000, 9000],
};

/** Each wait varies by up to this share, so that pages do not all return at once. */
const JITTER = 0.25;

/** The time limit of one try in ms, from its first offer to a connection. */
export const TRY_MS = 10_000;

/** Within a try, the offer to an unreachable server is repeated after this time, in ms. */
export const OFFER_RETRY_MS = 2000;

/** A connection that the browser reports as disconnected may recover for this long, in ms. */
export const RECOVER_MS = 6000;

/** A call that was open for this long, in ms, was a success: the count of tries begins again. */
const STEADY_MS = 10_000;

/** Counts the tries of one call. It uses no clock: times are arguments, in ms. */
export class Redial {
  #tries = 0;
  #openedAtMs: number | null = null;
  readonly #random: () => number;

  /** `random` returns numbers from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The call is connected. */
  opened(atMs: number): void {
    this.#openedAtMs = atMs;
  }

  /** Returns the wait before the next try in ms, or null when all tries are used. */
  next(cause: Cause, atMs: number): number | null {
    if (this.#openedAtMs !== null && atMs - this.#openedAtMs >= STEADY_MS) this.#tries = 0;
    this.#openedAtMs = null;
    const waitMs = WAITS_MS[cause][this.#tries];
    if (waitMs === undefined) return null;
    this.#tries += 1;
    return waitMs * (1 + JITTER * (2 * this.#random() - 1));
  }
}

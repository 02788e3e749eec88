/** The turn of the conversation, derived from the server's log and the level of the answer. */
import type { Activity } from "./state";

/**
 * An answer that is complete on the server counts as played after this much silence, in ms: long
 * enough to bridge the gaps between its words.
 */
const QUIET_MS = 400;

const ACTIVITY_AFTER_LOG = new Map<string, Activity>([
  ["started_talking", "listening"],
  ["pause_detected", "thinking"],
  ["response_starting", "speaking"],
  ["reply_resumed", "speaking"],
]);

/**
 * Tracks the turns of one conversation.
 *
 * Handlers other than `ReplyOnPause` send none of these log messages; the activity then stays
 * `none`. The server reports when it has produced the whole answer, not when that has been
 * played, so the end of the answer is taken from the level.
 */
export class ActivityTracker {
  #activity: Activity = "none";
  /** True once the server has produced the whole answer; set together with `#lastAudibleMs`. */
  #isComplete = false;
  #lastAudibleMs = 0;

  /** Updates the activity from a log message of the server; an unrelated one changes nothing. */
  onServerLog(text: string, atMs: number): Activity {
    const activity = ACTIVITY_AFTER_LOG.get(text);
    if (activity) {
      this.#activity = activity;
      this.#isComplete = false;
    } else if (text === "response_finished") {
      this.#finish(atMs);
    }
    return this.#activity;
  }

  /** Updates the activity from the current level of the answer, 0 to 1. */
  onRemoteLevel(loudness: number, atMs: number): Activity {
    if (loudness > 0) this.#lastAudibleMs = atMs;
    else if (this.#isComplete && atMs - this.#lastAudibleMs >= QUIET_MS) this.#activity = "ready";
    return this.#activity;
  }

  #finish(atMs: number): void {
    if (this.#activity === "thinking") this.#activity = "ready";
    if (this.#activity !== "speaking") return;
    this.#isComplete = true;
    // The last audio is still on its way through the network and the jitter buffer.
    this.#lastAudibleMs = atMs;
  }
}

/** The turn of the conversation, derived from the server's log and the level of the answer. */
import type { Activity } from "./state";

/**
 * An answer that the server takes for heard is over after this much silence, in ms: it has an
 * estimate of what is on its way, and the gaps between words are shorter.
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
 * `none`. The server reports when the user should have heard the end of an answer; the level
 * shows whether that was so.
 */
export class ActivityTracker {
  #activity: Activity = "none";
  /** True once the server has reported the end of the answer. */
  #isComplete = false;
  #lastAudibleMs = 0;

  /** Updates the activity from a log message of the server; an unrelated one changes nothing. */
  onServerLog(text: string): Activity {
    const activity = ACTIVITY_AFTER_LOG.get(text);
    if (activity) {
      this.#activity = activity;
      this.#isComplete = false;
    } else if (text === "response_finished") {
      this.#finish();
    }
    return this.#activity;
  }

  /** Updates the activity from the current level of the answer, 0 to 1. */
  onRemoteLevel(loudness: number, atMs: number): Activity {
    if (loudness > 0) this.#lastAudibleMs = atMs;
    else if (this.#isComplete && atMs - this.#lastAudibleMs >= QUIET_MS) this.#activity = "ready";
    return this.#activity;
  }

  #finish(): void {
    if (this.#activity === "thinking") this.#activity = "ready";
    this.#isComplete = this.#activity === "speaking";
  }
}

/** Whose turn it is, told from the server's log words and from the sound of the answer. */
import type { Activity } from "./state";

/** An answer that is complete on the server is over when it has been silent for this long. */
const QUIET_MS = 400;

const ACTIVITY_AFTER_LOG = new Map<string, Activity>([
  ["started_talking", "listening"],
  ["pause_detected", "thinking"],
  ["response_starting", "speaking"],
]);

/**
 * Follows one conversation.
 *
 * Without log words (any handler that is no ReplyOnPause) nothing can be told, and the activity
 * stays `none`. The server says when it has made the whole answer, not when that has been heard.
 */
export class ActivityTracker {
  #activity: Activity = "none";
  /** The server has made the whole answer; set together with the time it was last heard. */
  #isComplete = false;
  #lastAudibleMs = 0;

  /** Takes in a log word of the server; words without a meaning for us change nothing. */
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

  /** Takes in how loud the answer is at the moment, 0 to 1. */
  onRemoteLevel(loudness: number, atMs: number): Activity {
    if (loudness > 0) this.#lastAudibleMs = atMs;
    else if (this.#isComplete && atMs - this.#lastAudibleMs >= QUIET_MS) this.#activity = "ready";
    return this.#activity;
  }

  #finish(atMs: number): void {
    if (this.#activity === "thinking") this.#activity = "ready";
    if (this.#activity !== "speaking") return;
    this.#isComplete = true;
    // What has just been made is still on its way to the ear.
    this.#lastAudibleMs = atMs;
  }
}

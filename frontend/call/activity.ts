/** Whose turn it is, told from the server's log words and from the sound of the answer. */
import type { Activity } from "./state";

/** Whoever is silent for longer has finished speaking, not drawn breath. */
const QUIET_MS = 1200;

const AFTER_WORD = new Map<string, Activity>([
  ["started_talking", "listening"],
  ["pause_detected", "thinking"],
  ["response_starting", "speaking"],
  ["interrupted", "listening"],
]);

/**
 * Follows one conversation.
 *
 * Without log words (any handler that is no ReplyOnPause) nothing can be told, and the activity
 * stays `none`. The server says when an answer starts, not when its sound is over: that is heard.
 */
export class ActivityTracker {
  #activity: Activity = "none";
  #lastSoundMs = 0;
  #hasSounded = false;

  get activity(): Activity {
    return this.#activity;
  }

  /** Takes in a log word of the server; words without a meaning for us change nothing. */
  word(word: string): Activity {
    const activity = AFTER_WORD.get(word);
    if (activity && activity !== this.#activity) {
      this.#activity = activity;
      this.#hasSounded = false;
    }
    return this.#activity;
  }

  /** Takes in how loud the answer is at the moment, 0 to 1. */
  sound(loudness: number, atMs: number): Activity {
    if (loudness > 0) {
      this.#lastSoundMs = atMs;
      this.#hasSounded = true;
    } else if (this.#isOver(atMs)) {
      this.#activity = "ready";
    }
    return this.#activity;
  }

  #isOver(atMs: number): boolean {
    const wasSpeaking = this.#activity === "speaking" && this.#hasSounded;
    return wasSpeaking && atMs - this.#lastSoundMs > QUIET_MS;
  }
}

/** What is to be heard in a call, for the eye: levels, and whose turn it is. */
import { ActivityTracker } from "./activity";
import { LevelMeter, SILENCE, type Level } from "./levels";
import type { Activity } from "./state";

export class CallSound {
  /** Levels of the microphone and of the answer. */
  said = $state.raw<Level>(SILENCE);
  heard = $state.raw<Level>(SILENCE);
  isMicrophoneMuted = $state(false);
  isSpeakerMuted = $state(false);

  #meter: LevelMeter | null = null;
  #tracker = new ActivityTracker();

  /** Listens until `stop`; `onactivity` is called with whose turn it is, changed or not. */
  start(onactivity: (activity: Activity) => void): void {
    this.#tracker = new ActivityTracker();
    this.#meter = new LevelMeter((read) => {
      // A muted track is silent already; the level fades only with the meter's smoothing.
      this.said = this.isMicrophoneMuted ? SILENCE : read("said");
      this.heard = read("heard");
      onactivity(this.#tracker.sound(this.heard.loudness, performance.now()));
    });
  }

  /** Takes this stream for what is said or heard; before `start` there is nothing to do. */
  watch(what: "said" | "heard", stream: MediaStream | null): void {
    if (stream) this.#meter?.watch(what, stream);
  }

  /** Takes in a log word of the server. */
  word(word: string): Activity {
    return this.#tracker.word(word, performance.now());
  }

  stop(): void {
    this.#meter?.close();
    this.#meter = null;
    this.said = this.heard = SILENCE;
  }
}

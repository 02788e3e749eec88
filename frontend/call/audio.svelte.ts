/** What is to be heard in a call, for the eye: levels, and whose turn it is. */
import { ActivityTracker } from "./activity";
import { LevelMeter, SILENCE, type Level } from "./levels";
import type { Activity } from "./state";

export class CallAudio {
  /** Levels of the microphone and of the answer. */
  localLevel = $state.raw<Level>(SILENCE);
  remoteLevel = $state.raw<Level>(SILENCE);
  isMicrophoneMuted = $state(false);
  isSpeakerMuted = $state(false);

  #meter: LevelMeter | null = null;
  #tracker = new ActivityTracker();

  /** Listens until `stop`; `onactivity` is called with whose turn it is, changed or not. */
  start(onactivity: (activity: Activity) => void): void {
    this.#tracker = new ActivityTracker();
    this.#meter = new LevelMeter((read) => {
      // A muted track is silent already; the level fades only with the meter's smoothing.
      this.localLevel = this.isMicrophoneMuted ? SILENCE : read("local");
      this.remoteLevel = read("remote");
      onactivity(this.#tracker.onRemoteLevel(this.remoteLevel.loudness, performance.now()));
    });
  }

  /** Takes this stream for the local or the remote end; before `start` there is nothing to do. */
  watch(end: "local" | "remote", stream: MediaStream | null): void {
    if (stream) this.#meter?.watch(end, stream);
  }

  /** Takes in a log word of the server. */
  onServerLog(text: string): Activity {
    return this.#tracker.onServerLog(text, performance.now());
  }

  stop(): void {
    this.#meter?.close();
    this.#meter = null;
    this.localLevel = this.remoteLevel = SILENCE;
  }
}

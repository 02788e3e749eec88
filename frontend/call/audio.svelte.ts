/** The levels of a call's audio in both directions, and the turn that follows from them. */
import { ActivityTracker } from "./activity";
import { LevelMeter, SILENCE, type Level } from "./levels";
import type { Activity } from "./state";

export class CallAudio {
  /** The level of the microphone, and that of the answer. */
  localLevel = $state.raw<Level>(SILENCE);
  remoteLevel = $state.raw<Level>(SILENCE);
  isMicrophoneMuted = $state(false);
  isSpeakerMuted = $state(false);

  #meter: LevelMeter | null = null;
  #tracker = new ActivityTracker();

  /** Measures until `stop`; `onactivity` receives each current activity, changed or not. */
  start(onactivity: (activity: Activity) => void): void {
    this.#tracker = new ActivityTracker();
    this.#meter = new LevelMeter((read) => {
      // A muted track is silent at once, but the smoothing of the meter would let the level fade.
      this.localLevel = this.isMicrophoneMuted ? SILENCE : read("local");
      this.remoteLevel = read("remote");
      onactivity(this.#tracker.onRemoteLevel(this.remoteLevel.loudness, performance.now()));
    });
  }

  /** Measures this stream as the local or the remote end; has no effect before `start`. */
  watch(end: "local" | "remote", stream: MediaStream | null): void {
    if (stream) this.#meter?.watch(end, stream);
  }

  /** Updates the activity from a log message of the server. */
  onServerLog(text: string): Activity {
    return this.#tracker.onServerLog(text);
  }

  stop(): void {
    this.#meter?.close();
    this.#meter = null;
    this.localLevel = this.remoteLevel = SILENCE;
  }
}

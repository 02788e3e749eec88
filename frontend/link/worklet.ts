/**
 * The part of a link that runs on the browser's audio thread: a file of its own beside `index.js`, as
 * `AudioWorklet.addModule` loads it. A page whose Content-Security-Policy has no `blob:` loads it too.
 */
import { JitterBuffer, type Channels } from "./jitter_buffer";

// TypeScript's library has no types for this thread.
declare const sampleRate: number;
declare const registerProcessor: (name: string, processor: unknown) => void;
declare const AudioWorkletProcessor: new () => { readonly port: MessagePort };

/** Frames of 20 ms: the rate of every codec here is a multiple of 50. */
const FRAMES_PER_S = 50;
/** The samples of a block in which the browser asks for audio (W3C Web Audio, 1.1). */
const BLOCK = 128;

/** Cuts what the microphone brings into frames of 20 ms, and posts each. */
class MicrophoneProcessor extends AudioWorkletProcessor {
  #frame = new Float32Array(sampleRate / FRAMES_PER_S);
  #used = 0;

  process([input]: Float32Array[][]): boolean {
    // Without a source there are no samples at all: time goes on, so it is silence.
    let samples = input?.[0] ?? new Float32Array(BLOCK);
    while (samples.length > 0) {
      const part = samples.subarray(0, this.#frame.length - this.#used);
      this.#frame.set(part, this.#used);
      this.#used += part.length;
      samples = samples.subarray(part.length);
      if (this.#used === this.#frame.length) this.#post();
    }
    return true;
  }

  #post(): void {
    this.port.postMessage(this.#frame, [this.#frame.buffer]);
    this.#frame = new Float32Array(sampleRate / FRAMES_PER_S);
    this.#used = 0;
  }
}

/** Plays the packets that are posted to it; null drops all that was not played yet. */
class LoudspeakerProcessor extends AudioWorkletProcessor {
  readonly #buffer = new JitterBuffer(sampleRate);

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<Channels | null>) => {
      if (data) this.#buffer.push(data);
      else this.#buffer.clear();
    };
  }

  process(_inputs: unknown, [output]: Float32Array[][]): boolean {
    if (output) this.#buffer.pull(output);
    return true;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
registerProcessor("loudspeaker", LoudspeakerProcessor);

/** How loud it is, for the eye: levels of the microphone and of the answer while a call is open. */

/** 0 to 1 each; `bands` from low to high voice frequencies. All exactly 0 when nothing is heard. */
export interface Level {
  loudness: number;
  bands: number[];
}

export const SILENCE: Level = { loudness: 0, bands: [0, 0, 0, 0, 0] };

/** Twelve pictures a second look alive: the CSS transition fills the gaps. */
const PERIOD_MS = 80;
/** Below this a room is quiet for the eye, above the other a voice is loud (dB full scale). */
const FLOOR_DB = -55;
const CEILING_DB = -15;
/** Edges of the five bands in Hz: from the voice's ground tone to its sibilants. */
const BAND_EDGES_HZ = [90, 250, 500, 1000, 2000, 5000];
/** Twentieths: a change nobody sees is no change, and paints nothing. */
const STEPS = 20;

/** 1024 samples are 21 ms at 48 kHz, bins 47 Hz apart: the lowest band is three bins wide. */
const FFT_SIZE = 1024;

/** Level of one block of samples in -1..1. */
export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return rounded((db - FLOOR_DB) / (CEILING_DB - FLOOR_DB));
}

/** Mean level of each band of a spectrum given in `AnalyserNode`'s bytes, 0 to 1. */
export function bandLevels(spectrum: Uint8Array, sampleRateHz: number): number[] {
  const binHz = sampleRateHz / 2 / spectrum.length;
  return BAND_EDGES_HZ.slice(1).map((high, index) => {
    const first = Math.floor((BAND_EDGES_HZ[index] ?? 0) / binHz);
    const bins = spectrum.subarray(first, Math.max(first + 1, Math.ceil(high / binHz)));
    const mean = bins.reduce((sum, bin) => sum + bin, 0) / Math.max(1, bins.length);
    return rounded(mean / 255);
  });
}

const rounded = (level: number): number =>
  Math.round(Math.min(1, Math.max(0, level)) * STEPS) / STEPS;

/** Listens to streams and tells their levels; `close` gives the audio hardware back. */
export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #probes = new Map<string, { source: MediaStreamAudioSourceNode; node: AnalyserNode }>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `onlevels` is called twelve times a second; browsers make it one while the page is hidden. */
  constructor(onlevels: (read: (name: string) => Level) => void) {
    // Made without a click (a call that Python starts), the context sleeps until woken.
    void this.#context.resume();
    this.#timer = setInterval(() => onlevels((name) => this.#read(name)), PERIOD_MS);
  }

  /** Listens to the stream's sound under this name, in place of an earlier one. */
  watch(name: string, stream: MediaStream): void {
    this.#probes.get(name)?.source.disconnect();
    if (stream.getAudioTracks().length === 0) return;
    const node = new AnalyserNode(this.#context, { fftSize: FFT_SIZE, smoothingTimeConstant: 0.5 });
    const source = this.#context.createMediaStreamSource(stream);
    source.connect(node);
    this.#probes.set(name, { source, node });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { source } of this.#probes.values()) source.disconnect();
    this.#probes.clear();
    void this.#context.close();
  }

  #read(name: string): Level {
    const node = this.#probes.get(name)?.node;
    if (!node) return SILENCE;
    const samples = new Float32Array(node.fftSize);
    node.getFloatTimeDomainData(samples);
    const level = loudness(samples);
    if (level === 0) return SILENCE;
    const spectrum = new Uint8Array(node.frequencyBinCount);
    node.getByteFrequencyData(spectrum);
    return { loudness: level, bands: bandLevels(spectrum, this.#context.sampleRate) };
  }
}

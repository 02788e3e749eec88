/** Levels of the microphone and of the answer while a call is open, for display. */

/** 0 to 1 each; `bands` from low to high voice frequencies. Silence is exactly 0 in all of them. */
export interface Level {
  loudness: number;
  bands: number[];
}

export const SILENCE: Level = { loudness: 0, bands: [0, 0, 0, 0, 0] };

/** The time between measurements: 12 a second look alive, as a CSS transition fills the gaps. */
const PERIOD_MS = 80;
/** The range of the display in dB full scale: a quiet room lies below it, a loud voice above. */
const FLOOR_DB = -55;
const CEILING_DB = -15;
/** Edges of the five bands in Hz, from the fundamental of the voice to its sibilants. */
const BAND_EDGES_HZ = [90, 250, 500, 1000, 2000, 5000];
/** Levels are rounded to twentieths: a smaller change is invisible and must cause no painting. */
const STEPS = 20;

/** 1024 samples are 21 ms at 48 kHz, with bins 47 Hz apart: the lowest band is three bins wide. */
const FFT_SIZE = 1024;

/** The level of one block of samples in -1..1, from 0 to 1. */
export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  // The small term keeps digital silence from becoming -Infinity.
  const db = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return rounded((db - FLOOR_DB) / (CEILING_DB - FLOOR_DB));
}

/** The mean level of each band, 0 to 1, of a spectrum in the bytes of an `AnalyserNode`. */
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

/** Measures the levels of streams; `close` releases the audio hardware. */
export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #probes = new Map<string, { source: MediaStreamAudioSourceNode; node: AnalyserNode }>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `onlevels` is called 12 times a second, which browsers reduce to once on a hidden page. */
  constructor(onlevels: (read: (name: string) => Level) => void) {
    // Created without a click (a call that Python starts), the context is suspended until resumed.
    void this.#context.resume();
    this.#timer = setInterval(() => onlevels((name) => this.#read(name)), PERIOD_MS);
  }

  /** Measures the audio of a stream under this name, in place of an earlier stream. */
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

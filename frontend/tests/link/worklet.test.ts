import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

interface Processor {
  port: { onmessage: ((event: { data: unknown }) => void) | null; posted: Float32Array[] };
  process(inputs: Float32Array[][], outputs?: Float32Array[][]): boolean;
}

const RATE = 8000;
const BLOCK = 128;
let processors: Map<string, new () => Processor>;

beforeEach(async () => {
  processors = new Map();
  vi.resetModules();
  vi.stubGlobal("sampleRate", RATE);
  vi.stubGlobal(
    "AudioWorkletProcessor",
    class {
      port = {
        onmessage: null,
        posted: [] as Float32Array[],
        postMessage(data: Float32Array, transfer: unknown[]) {
          expect(transfer).toEqual([data.buffer]);
          this.posted.push(data);
        },
      };
    },
  );
  vi.stubGlobal("registerProcessor", (name: string, processor: new () => Processor) =>
    processors.set(name, processor),
  );
  await import("../../link/worklet");
});
afterEach(() => void vi.unstubAllGlobals());

const create = (name: string): Processor => new (processors.get(name) as new () => Processor)();

describe("the microphone", () => {
  it("is cut into frames of 20 ms, without a sample lost", () => {
    const microphone = create("microphone");
    for (let n = 0; n < 5; n++) {
      const block = Float32Array.from({ length: BLOCK }, (_, k) => n * BLOCK + k);
      expect(microphone.process([[block]])).toBe(true);
    }
    const { posted } = microphone.port;
    expect(posted.map(({ length }) => length)).toEqual([160, 160, 160, 160]);
    expect(posted.flatMap((frame) => [...frame])).toEqual([...Array(640).keys()]);
  });

  it("is silent without a source", () => {
    const microphone = create("microphone");
    microphone.process([[]]);
    microphone.process([]);
    expect(microphone.port.posted).toEqual([new Float32Array(160)]);
  });
});

describe("the loudspeaker", () => {
  const pull = (loudspeaker: Processor, seconds: number): number[] => {
    const played: number[] = [];
    for (let n = 0; n < (seconds * RATE) / BLOCK; n++) {
      const output = new Float32Array(BLOCK);
      loudspeaker.process([], [[output]]);
      played.push(...output);
    }
    return played;
  };

  it("plays what is posted to it, and drops it on null", () => {
    const loudspeaker = create("loudspeaker");
    for (let n = 0; n < 10; n++) {
      loudspeaker.port.onmessage?.({ data: [new Float32Array(160).fill(0.5)] });
    }
    expect(Math.max(...pull(loudspeaker, 0.1))).toBeCloseTo(0.5, 5);
    loudspeaker.port.onmessage?.({ data: null });
    expect(pull(loudspeaker, 0.1).at(-1)).toBe(0);
  });
});

import { describe, expect, it } from "vitest";
import { JitterBuffer } from "../../link/jitter_buffer";

const RATE = 8000;
/** 20 ms, and the block in which audio is asked for: 5 ms. */
const PACKET = RATE / 50;
const BLOCK = RATE / 200;

class Player {
  readonly buffer = new JitterBuffer(RATE);
  readonly played: number[] = [];

  /** Pushes packets whose samples all have this value. */
  push(...values: number[]): this {
    for (const value of values) this.buffer.push([new Float32Array(PACKET).fill(value)]);
    return this;
  }

  play(seconds: number): this {
    for (let n = 0; n < Math.round(seconds * 200); n++) {
      const output = new Float32Array(BLOCK);
      this.buffer.pull([output]);
      this.played.push(...output);
    }
    return this;
  }

  /** The distinct values that were played in full, in their order. */
  get values(): number[] {
    const found: number[] = [];
    for (const [n, sample] of this.played.entries()) {
      const value = Math.round(sample * 1000) / 1000;
      const isSteady = Math.abs((this.played[n + 1] ?? 0) - sample) < 1e-6;
      if (value !== 0 && isSteady && found.at(-1) !== value) found.push(value);
    }
    return found;
  }

  get silentS(): number {
    return this.played.findIndex((sample) => sample !== 0) / RATE;
  }
}

describe("playing", () => {
  it("starts when 70 ms are there", () => {
    const player = new Player().push(0.1, 0.2, 0.3).play(0.05);
    expect(player.played.every((sample) => sample === 0)).toBe(true);
    player.push(0.4).play(0.08);
    expect(player.values).toEqual([0.1, 0.2, 0.3, 0.4]);
    expect(player.silentS).toBeCloseTo(0.05, 2);
  });

  it("starts after 70 ms with less", () => {
    const player = new Player().push(0.5).play(0.2);
    expect(player.values).toEqual([0.5]);
    expect(player.silentS).toBeCloseTo(0.07, 2);
  });

  it("goes on without a gap as long as packets come in time", () => {
    const player = new Player().push(0.5, 0.5, 0.5);
    for (let n = 0; n < 50; n++) player.push(0.5).play(0.02);
    const begin = player.played.findIndex((sample) => sample > 0.49);
    expect(player.played.slice(begin).every((sample) => Math.abs(sample - 0.5) < 1e-6)).toBe(true);
  });

  it("has both channels of stereo, and mono in both", () => {
    const buffer = new JitterBuffer(RATE);
    const fill = (value: number): Float32Array => new Float32Array(PACKET).fill(value);
    buffer.push([fill(0.25), fill(0.5)]);
    buffer.push([fill(0.75)]);
    buffer.push([fill(0.75)]);
    buffer.push([fill(0.75)]);
    const outputs = [new Float32Array(2 * PACKET), new Float32Array(2 * PACKET)];
    buffer.pull(outputs);
    expect(outputs.map((output) => output[PACKET - 1])).toEqual([0.25, 0.5]);
    expect(outputs.map((output) => output[PACKET])).toEqual([0.75, 0.75]);
  });

  it("fades in and out", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(0.2);
    const steps = player.played.map((sample, n) => Math.abs(sample - (player.played[n - 1] ?? 0)));
    expect(Math.max(...steps)).toBeLessThan(0.1);
    expect(player.played.at(-1)).toBe(0);
  });

  it("drops everything at once when it is cleared", () => {
    const player = new Player().push(0.1, 0.2, 0.3, 0.4, 0.5).play(0.03);
    player.buffer.clear();
    expect(player.buffer.bufferedS).toBe(0);
    player.play(0.1).push(0.9, 0.9, 0.9, 0.9).play(0.05);
    expect(player.values).toEqual([0.1, 0.2, 0.9]);
  });
});

describe("the level", () => {
  it("rises when audio comes late", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(0.13);
    player.push(0.5);
    expect(player.buffer.levelS).toBeCloseTo(0.12, 2);
    for (let n = 0; n < 100; n++) player.play(0.2).push(0.5);
    expect(player.buffer.levelS).toBeCloseTo(0.4, 5);
  });

  it("does not hold up what comes late in the middle of something", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(0.13);
    player.push(0.6, 0.6, 0.6).play(0.05);
    expect(player.played.at(-1)).toBeCloseTo(0.6, 5);
    expect(player.played.slice(-PACKET).every((sample) => sample !== 0)).toBe(true);
  });

  it("stays after silence", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5, 0).play(0.2).push(0.5);
    expect(player.buffer.levelS).toBeCloseTo(0.07, 5);
  });

  it.each([0.05, 0.2])("stays after a pause that was announced, with %d s played by then", (s) => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(s);
    player.buffer.push([]);
    player.play(0.25 - s).push(0.6, 0.6, 0.6, 0.6).play(0.1);
    expect(player.buffer.levelS).toBeCloseTo(0.07, 5);
    expect(player.values).toEqual([0.5, 0.6]);
  });

  it("stays after a pause without silence before it", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(0.7).push(0.5);
    expect(player.buffer.levelS).toBeCloseTo(0.07, 5);
  });

  it("sinks while nothing is late, to a bound", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5);
    for (let n = 0; n < 250; n++) player.push(0.5).play(0.02);
    expect(player.buffer.levelS).toBeCloseTo(0.06, 5);
    for (let n = 0; n < 1000; n++) player.push(0.5).play(0.02);
    expect(player.buffer.levelS).toBeCloseTo(0.04, 5);
  });

  it("stays while the buffer comes near empty", () => {
    const player = new Player().push(0.5, 0.5, 0.5, 0.5).play(0.05);
    for (let n = 0; n < 250; n++) player.play(0.02).push(0.5);
    expect(player.buffer.levelS).toBeCloseTo(0.07, 5);
  });
});

describe("too much audio", () => {
  it("is caught up with in the silences", () => {
    const player = new Player();
    for (let n = 0; n < 50; n++) player.push(0.5);
    for (let n = 0; n < 50; n++) player.push(0);
    player.push(0.25).play(1);
    expect(player.buffer.bufferedS).toBeGreaterThan(0.9);
    player.play(0.05);
    expect(player.buffer.bufferedS).toBeLessThan(0.12);
    player.play(0.2);
    expect(player.values).toEqual([0.5, 0.25]);
  });

  it("loses its oldest part beyond 4 s", () => {
    const player = new Player().push(0.1);
    for (let n = 0; n < 200; n++) player.push(0.5);
    expect(player.buffer.bufferedS).toBeCloseTo(4, 5);
    player.play(0.1);
    expect(player.values).toEqual([0.5]);
  });

  it("of no samples is nothing", () => {
    const buffer = new JitterBuffer(RATE);
    buffer.push([new Float32Array(0)]);
    buffer.push([]);
    const output = new Float32Array(BLOCK);
    buffer.pull([output]);
    expect(buffer.bufferedS).toBe(0);
    expect(output.every((sample) => sample === 0)).toBe(true);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ActivityTracker } from "../call/activity";
import { bandLevels, LevelMeter, loudness, SILENCE, type Level } from "../call/levels";
import { asStream, FakeAudioContext, FakeStream, FakeTrack, installFakes } from "./fakes";

const tone = (amplitude: number): Float32Array =>
  Float32Array.from({ length: 1024 }, (_, n) => amplitude * Math.sin((2 * Math.PI * n) / 64));

describe("loudness", () => {
  it("is exactly 0 for a quiet room", () => {
    expect(loudness(new Float32Array(1024))).toBe(0);
    expect(loudness(tone(0.001))).toBe(0);
  });

  it("grows with the amplitude up to 1", () => {
    const levels = [0.005, 0.02, 0.08, 0.3].map((amplitude) => loudness(tone(amplitude)));
    expect(levels).toEqual([...levels].sort((a, b) => a - b));
    expect(new Set(levels).size).toBe(4);
    expect(loudness(tone(1))).toBe(1);
  });

  it("moves in visible steps", () => {
    expect(loudness(tone(0.1)) * 20).toBeCloseTo(Math.round(loudness(tone(0.1)) * 20), 9);
  });
});

describe("bandLevels", () => {
  it("finds the band of a tone", () => {
    const spectrum = new Uint8Array(512);
    spectrum.fill(255, 33, 40); // 1.5 to 1.9 kHz at 48 kHz
    const bands = bandLevels(spectrum, 48_000);
    expect(bands).toHaveLength(5);
    expect(bands.indexOf(Math.max(...bands))).toBe(3);
    expect(bands[0]).toBe(0);
  });
});

describe("LevelMeter", () => {
  beforeEach(() => {
    installFakes();
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  const stream = asStream(new FakeStream([new FakeTrack("audio")]));

  it("reads the streams that it measures, and silence for the rest", () => {
    const levels: Level[] = [];
    const meter = new LevelMeter((read) => levels.push(read("local"), read("remote")));
    meter.watch("local", stream);
    FakeAudioContext.amplitude = 0.5;
    vi.advanceTimersToNextTimer();
    expect(levels[0]?.loudness).toBeGreaterThan(0.5);
    expect(levels[1]).toBe(SILENCE);
    FakeAudioContext.amplitude = 0;
    vi.advanceTimersToNextTimer();
    expect(levels[2]).toBe(SILENCE);
    meter.close();
  });

  it("releases the audio hardware and stops", () => {
    const onlevels = vi.fn();
    const meter = new LevelMeter(onlevels);
    meter.watch("local", stream);
    expect(FakeAudioContext.open).toBe(1);
    meter.close();
    vi.runAllTimers();
    expect(FakeAudioContext.open).toBe(0);
    expect(onlevels).not.toHaveBeenCalled();
  });
});

describe("ActivityTracker", () => {
  it("speaks on after a word that did not interrupt the answer", () => {
    const turn = new ActivityTracker();
    turn.onServerLog("response_starting");
    expect(turn.onServerLog("started_talking")).toBe("listening");
    expect(turn.onServerLog("reply_resumed")).toBe("speaking");
    turn.onServerLog("response_finished");
    expect(turn.onRemoteLevel(0, 4000)).toBe("ready");
  });

  it("follows the server's log", () => {
    const turn = new ActivityTracker();
    expect(turn.onServerLog("Server received: handshake")).toBe("none");
    expect(turn.onServerLog("started_talking")).toBe("listening");
    expect(turn.onServerLog("pause_detected")).toBe("thinking");
    expect(turn.onServerLog("response_starting")).toBe("speaking");
  });

  it("detects the end of a complete answer", () => {
    const turn = new ActivityTracker();
    turn.onServerLog("response_starting");
    turn.onRemoteLevel(0.5, 1000);
    expect(turn.onRemoteLevel(0, 3000)).toBe("speaking");
    turn.onServerLog("response_finished");
    // The server had it for heard too early.
    turn.onRemoteLevel(0.5, 4350);
    expect(turn.onRemoteLevel(0, 4700)).toBe("speaking");
    expect(turn.onRemoteLevel(0, 4750)).toBe("ready");
  });

  it("waits no longer for an answer that fell silent before", () => {
    const turn = new ActivityTracker();
    turn.onServerLog("response_starting");
    turn.onRemoteLevel(0.5, 1000);
    expect(turn.onRemoteLevel(0, 3000)).toBe("speaking");
    turn.onServerLog("response_finished");
    expect(turn.onRemoteLevel(0, 3020)).toBe("ready");
  });

  it("does not wait for an answer that never begins", () => {
    const turn = new ActivityTracker();
    turn.onServerLog("pause_detected");
    expect(turn.onServerLog("response_finished")).toBe("ready");
  });

  it("lets the next turn begin before the last answer is over", () => {
    const turn = new ActivityTracker();
    turn.onServerLog("response_starting");
    turn.onServerLog("response_finished");
    expect(turn.onServerLog("started_talking")).toBe("listening");
    expect(turn.onRemoteLevel(0, 9000)).toBe("listening");
  });

  it("stays at `none` without log messages", () => {
    const turn = new ActivityTracker();
    turn.onRemoteLevel(0.5, 1000);
    expect(turn.onRemoteLevel(0, 9000)).toBe("none");
  });
});

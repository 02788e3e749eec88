import { describe, expect, it } from "vitest";
import { Inbound, Outbound } from "../../link/channel";
import { FrameError, KIND } from "../../link/frames";
import { bytes, frame, outline, read } from "./wire";

const { AUDIO, VIDEO, GAP, TEXT, CLEAR, ACK } = KIND;
const LARGE = 10_000_000;

/** An outbound channel with frames of one byte, numbered by their content. */
function withAudio(count: number): Outbound {
  const outbound = new Outbound();
  for (let n = 1; n <= count; n++) outbound.push(AUDIO, bytes(n % 256));
  return outbound;
}

describe("outbound frames", () => {
  it("are numbered from 1, in their order", () => {
    const outbound = withAudio(2);
    outbound.push(VIDEO, bytes(3));
    expect(outbound.sendable).toBe(3);
    const frames = read(outbound.take(LARGE, 0));
    expect(frames).toEqual([
      frame(AUDIO, 1, bytes(1)),
      frame(AUDIO, 2, bytes(2)),
      frame(VIDEO, 3, bytes(3)),
    ]);
    expect(outbound.take(LARGE, 0)).toBeNull();
  });

  it("go in messages of a limited size, and at least one in each", () => {
    const outbound = withAudio(5);
    expect(outline(outbound.take(25, 0))).toEqual([[AUDIO, 1], [AUDIO, 2]]);
    expect(outline(outbound.take(1, 0))).toEqual([[AUDIO, 3]]);
    expect(outline(outbound.take(LARGE, 0))).toEqual([[AUDIO, 4], [AUDIO, 5]]);
  });

  it("are kept until they are acknowledged", () => {
    const outbound = withAudio(3);
    outbound.take(LARGE, 100);
    expect(outbound.oldestSentMs).toBe(100);
    outbound.acknowledge(2);
    outbound.acknowledge(1);
    outbound.resume(2, 500);
    expect(outbound.oldestSentMs).toBe(500);
    expect(outline(outbound.take(LARGE, 600))).toEqual([[AUDIO, 3]]);
    outbound.acknowledge(3);
    expect(outbound.oldestSentMs).toBeNull();
  });

  it("that the server lacks go again before new ones, with their numbers", () => {
    const outbound = withAudio(3);
    outbound.take(LARGE, 0);
    outbound.push(AUDIO, bytes(4));
    outbound.resume(1, 0);
    expect(outbound.sendable).toBe(3);
    expect(read(outbound.take(LARGE, 0))).toEqual([
      frame(AUDIO, 2, bytes(2)),
      frame(AUDIO, 3, bytes(3)),
      frame(AUDIO, 4, bytes(4)),
    ]);
  });

  it("go again only as far as they are not acknowledged meanwhile", () => {
    const outbound = withAudio(4);
    outbound.take(LARGE, 0);
    outbound.resume(0, 0);
    outbound.take(1, 0);
    outbound.acknowledge(3);
    expect(outline(outbound.take(LARGE, 0))).toEqual([[AUDIO, 4]]);
  });

  it("cannot be acknowledged before they are sent", () => {
    const outbound = withAudio(2);
    outbound.take(1, 0);
    expect(() => outbound.acknowledge(2)).toThrow(FrameError);
  });

  it("give way after 6 s of audio: sent ones become gaps, others go", () => {
    const outbound = withAudio(2);
    outbound.take(LARGE, 0);
    for (let n = 3; n <= 304; n++) outbound.push(AUDIO, bytes(n % 256));
    outbound.resume(0, 0);
    const frames = read(outbound.take(LARGE, 0));
    expect(frames).toHaveLength(302);
    expect(frames.slice(0, 3)).toEqual([frame(GAP, 1), frame(GAP, 2), frame(AUDIO, 3, bytes(5))]);
    expect(frames.at(-1)).toEqual(frame(AUDIO, 302, bytes(304 % 256)));
  });

  it("give way when they have many bytes", () => {
    const outbound = new Outbound();
    const large = (content: number): Uint8Array<ArrayBuffer> => new Uint8Array(200_000).fill(content);
    outbound.push(VIDEO, large(1));
    outbound.take(LARGE, 0);
    outbound.push(VIDEO, large(2));
    expect(outbound.videoFrames).toBe(2);
    outbound.push(VIDEO, large(3));
    expect(outbound.videoFrames).toBe(2);
    outbound.resume(0, 0);
    expect(outline(outbound.take(LARGE, 0))).toEqual([[GAP, 1], [VIDEO, 2], [VIDEO, 3]]);
    outbound.acknowledge(3);
    expect(outbound.videoFrames).toBe(0);
  });

  it("of text never give way, and are no reason for others to", () => {
    const outbound = new Outbound();
    expect(outbound.pushText(new Uint8Array(600_000))).toBe(true);
    outbound.push(VIDEO, new Uint8Array(400_000));
    outbound.take(1, 0);
    outbound.push(VIDEO, new Uint8Array(400_000));
    expect(outbound.videoFrames).toBe(1);
    expect(outline(outbound.take(LARGE, 0))).toEqual([[VIDEO, 2]]);
    expect(outbound.pushText(new Uint8Array(600_000))).toBe(false);
    outbound.acknowledge(1);
    expect(outbound.pushText(bytes(1))).toBe(true);
  });
});

describe("inbound frames", () => {
  const take = (inbound: Inbound, number: number): number[] =>
    inbound.take(frame(AUDIO, number), 10 * number).map((each) => each.number);

  it("pass in their order, once each", () => {
    const inbound = new Inbound();
    expect([1, 2, 2, 1, 3].map((number) => take(inbound, number))).toEqual([[1], [2], [], [], [3]]);
    expect([inbound.received, inbound.receivedMs]).toEqual([3, 30]);
  });

  it("wait for the ones before them", () => {
    const inbound = new Inbound();
    expect([3, 2, 3, 1, 4].map((number) => take(inbound, number))).toEqual([[], [], [], [1, 2, 3], [4]]);
  });

  it("without numbers pass at once", () => {
    const inbound = new Inbound();
    expect(inbound.take(frame(ACK), 0)).toHaveLength(1);
    expect(inbound.received).toBe(0);
    expect(inbound.take(frame(TEXT, 1), 0)).toHaveLength(1);
    expect(inbound.take(frame(CLEAR, 2), 0)).toHaveLength(1);
  });

  it("do not wait without a bound", () => {
    const inbound = new Inbound();
    for (let number = 2; number <= 513; number++) take(inbound, number);
    expect(() => take(inbound, 514)).toThrow(FrameError);
    const other = new Inbound();
    const large = new Uint8Array(600_000);
    other.take(frame(VIDEO, 2, large), 0);
    expect(() => other.take(frame(VIDEO, 3, large), 0)).toThrow(FrameError);
  });
});

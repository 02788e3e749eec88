import { describe, expect, it } from "vitest";
import {
  concat,
  FrameError,
  FrameReader,
  KIND,
  readAck,
  readWelcome,
  writeAck,
  writeFrame,
} from "../../link/frames";
import { bytes, frame, text, wire } from "./wire";

describe("a frame", () => {
  it("is length, kind, number and payload, big-endian", () => {
    const written = writeFrame(KIND.AUDIO, 0x01020304, bytes(7, 8));
    expect([...written]).toEqual([0, 0, 0, 7, 3, 1, 2, 3, 4, 7, 8]);
  });

  it("may be empty", () => {
    expect([...writeFrame(KIND.BYE)]).toEqual([0, 0, 0, 5, 7, 0, 0, 0, 0]);
  });

  it("of acknowledgment holds the number and the ms since then", () => {
    const [ack] = new FrameReader().push(writeAck(70_000, 12.6));
    expect([...(ack?.payload ?? [])]).toEqual([0, 1, 0x11, 0x70, 0, 0, 0, 13]);
    expect(readAck(ack!)).toBe(70_000);
  });

  it("of acknowledgment has one length", () => {
    expect(() => readAck(frame(KIND.ACK, 0, bytes(0, 0, 0, 1)))).toThrow(FrameError);
  });

  it("of welcome is JSON", () => {
    expect(readWelcome(frame(KIND.WELCOME, 0, text('{"received": 12}')))).toBe(12);
    expect(() => readWelcome(frame(KIND.WELCOME, 0, text("{}")))).toThrow(FrameError);
  });
});

describe("a reader", () => {
  const frames = [
    frame(KIND.WELCOME, 0, text('{"received": 0}')),
    frame(KIND.AUDIO, 1, bytes(1, 2, 3)),
    frame(KIND.CLEAR, 2),
  ];

  it("finds all frames of a message", () => {
    expect(new FrameReader().push(wire(...frames))).toEqual(frames);
  });

  it("finds them wherever the stream is cut", () => {
    const stream = wire(...frames);
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new FrameReader();
      const found = [...reader.push(stream.slice(0, cut)), ...reader.push(stream.slice(cut))];
      expect(found).toEqual(frames);
    }
    const reader = new FrameReader();
    expect([...stream].flatMap((byte) => reader.push(bytes(byte)))).toEqual(frames);
  });

  it.each([4, 1024 * 1024 + 1])("refuses a length of %d", (length) => {
    const header = new Uint8Array(9);
    new DataView(header.buffer).setUint32(0, length);
    expect(() => new FrameReader().push(header)).toThrow(FrameError);
  });

  it("takes views into longer memory", () => {
    const padded = concat([bytes(9, 9, 9), wire(...frames)]);
    expect(new FrameReader().push(padded.subarray(3))).toEqual(frames);
  });
});

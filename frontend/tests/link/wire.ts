/** Frames for the tests of a link. */
import { concat, FrameReader, writeFrame, type Bytes, type Frame } from "../../link/frames";

export const bytes = (...values: number[]): Bytes => Uint8Array.from(values);
export const text = (value: string): Bytes => new Uint8Array(new TextEncoder().encode(value));

export const frame = (kind: number, number = 0, payload: Bytes = bytes()): Frame => ({
  kind,
  number,
  payload,
});

/** Several frames as they go over the wire. */
export const wire = (...frames: Frame[]): Bytes =>
  concat(frames.map(({ kind, number, payload }) => writeFrame(kind, number, payload)));

export const read = (message: Bytes | null): Frame[] =>
  message ? new FrameReader().push(message) : [];

/** Kind and number of each frame, which is enough to follow most tests. */
export const outline = (message: Bytes | null): [number, number][] =>
  read(message).map(({ kind, number }) => [kind, number]);

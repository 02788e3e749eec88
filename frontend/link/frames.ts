/**
 * The frames of a link, and their form on the wire: the same over a WebSocket and over HTTP. The twin
 * of `_transport/link/frames.py`.
 */

/** Bytes in memory of their own, which `fetch` and `WebSocket` take. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const KIND = {
  WELCOME: 1,
  TEXT: 2,
  AUDIO: 3,
  VIDEO: 4,
  CLEAR: 5,
  ACK: 6,
  BYE: 7,
  GAP: 9,
} as const;

/** The kinds that are numbered, kept and sent again. The others have the number 0. */
const NUMBERED: ReadonlySet<number> = new Set([
  KIND.TEXT,
  KIND.AUDIO,
  KIND.VIDEO,
  KIND.CLEAR,
  KIND.GAP,
]);

export const isNumbered = (kind: number): boolean => NUMBERED.has(kind);

export interface Frame {
  kind: number;
  /** From 1, growing by one in each direction; 0 for kinds without numbers. */
  number: number;
  payload: Bytes;
}

/** Length of all that follows it (32 bits), kind (8), number (32); big-endian. */
export const HEADER_BYTES = 9;
const LENGTH_BYTES = 4;
const LEAST_LENGTH = HEADER_BYTES - LENGTH_BYTES;
const MAX_LENGTH = 1024 * 1024;
/** As much as the data channel of a browser takes. Several of them fit into one message of a carrier. */
const MAX_TEXT_BYTES = 256 * 1024;
/** Of an acknowledgment: the number up to which all frames came, and the ms since then. */
const ACK_BYTES = 8;

const EMPTY: Bytes = new Uint8Array(0);

/** Bytes that are no frames, or frames that break the rules of the link. */
export class FrameError extends Error {
  override name = "FrameError";
}

export function writeFrame(kind: number, number = 0, payload: Bytes = EMPTY): Bytes {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, LEAST_LENGTH + payload.length);
  header.setUint8(4, kind);
  header.setUint32(5, number);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** An acknowledgment of all frames up to `received`, of which the last came `heldMs` ago. */
export function writeAck(received: number, heldMs: number): Bytes {
  const payload = new Uint8Array(ACK_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, received);
  view.setUint32(4, Math.max(0, Math.round(heldMs)));
  return writeFrame(KIND.ACK, 0, payload);
}

/** Returns the number in an acknowledgment. */
export function readAck({ payload }: Frame): number {
  if (payload.length !== ACK_BYTES) throw new FrameError(`an ack of ${payload.length} bytes`);
  return viewOf(payload).getUint32(0);
}

/** Returns the number in a welcome. */
export function readWelcome({ payload }: Frame): number {
  const { received } = JSON.parse(readText(payload)) as { received?: unknown };
  if (typeof received !== "number") throw new FrameError("a welcome without a number");
  return received;
}

/**
 * Returns the payload of a message.
 *
 * @throws {RangeError} if it is too long for a frame.
 */
export function writeText(text: string): Bytes {
  const payload = new TextEncoder().encode(text);
  if (payload.length > MAX_TEXT_BYTES) {
    throw new RangeError(`a message of ${payload.length} bytes, of which ${MAX_TEXT_BYTES} may be sent`);
  }
  return payload;
}

export const readText = (payload: Bytes): string => new TextDecoder().decode(payload);

/** Joins parts into one message. */
export function concat(parts: readonly Bytes[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Finds the frames in what a carrier brings, cut anywhere. */
export class FrameReader {
  #rest: Bytes = EMPTY;

  /**
   * Returns the frames that are complete with these bytes.
   *
   * @throws {FrameError} for a length that no frame has.
   */
  push(bytes: Bytes): Frame[] {
    const data = this.#rest.length ? concat([this.#rest, bytes]) : bytes;
    const frames: Frame[] = [];
    let begin = 0;
    for (;;) {
      const left = data.length - begin;
      if (left < HEADER_BYTES) break;
      const header = viewOf(data, begin);
      const length = header.getUint32(0);
      if (length < LEAST_LENGTH || length > MAX_LENGTH) throw new FrameError(`length ${length}`);
      if (left < LENGTH_BYTES + length) break;
      const end = begin + LENGTH_BYTES + length;
      const payload = data.slice(begin + HEADER_BYTES, end);
      frames.push({ kind: header.getUint8(4), number: header.getUint32(5), payload });
      begin = end;
    }
    this.#rest = data.slice(begin);
    return frames;
  }
}

const viewOf = (bytes: Bytes, begin = 0): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset + begin);

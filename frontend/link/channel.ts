/**
 * The resumable channel below a link: frames are numbered, kept, acknowledged and put in order.
 *
 * Carriers break in the middle: what the other side lacks is sent again. Reads no clock and no
 * network: times are arguments, in ms.
 */
import { concat, FrameError, HEADER_BYTES, isNumbered, KIND, writeFrame } from "./frames";
import type { Bytes, Frame } from "./frames";

/**
 * Audio that is kept, sent or not: 6 s in frames of 20 ms, which is how long a session outlives its
 * carrier. Beyond either bound the oldest goes.
 */
const MAX_AUDIO_FRAMES = 300;
const MAX_KEPT_BYTES = 512 * 1024;
/** Messages that are kept, in bytes. None is given up: beyond this the link fails. */
const MAX_TEXT_BYTES = 1024 * 1024;

/** Frames that came before one that is missing, and their bytes. More breaks the rules. */
const MAX_EARLY_FRAMES = 512;
const MAX_EARLY_BYTES = 1024 * 1024;

interface Kept {
  kind: number;
  payload: Bytes;
  sentMs: number;
}

const givesWay = ({ kind }: Kept): boolean => kind === KIND.AUDIO || kind === KIND.VIDEO;

const NOTHING: Bytes = new Uint8Array(0);

/** Frames on their way to the server, from the microphone to the acknowledgment. */
export class Outbound {
  /** Sent and not acknowledged; the last one has the number `#sent`. */
  readonly #kept: Kept[] = [];
  /** Not sent yet, and without numbers. */
  readonly #waiting: Kept[] = [];
  #sent = 0;
  /** How many of the kept frames are to be sent again, from the end. */
  #again = 0;
  #bytes = 0;
  #textBytes = 0;
  readonly #count = { [KIND.AUDIO]: 0, [KIND.VIDEO]: 0 };

  /** Frames that can be sent now. */
  get sendable(): number {
    return this.#again + this.#waiting.length;
  }

  /** Video frames that are not acknowledged, sent or not. */
  get videoFrames(): number {
    return this.#count[KIND.VIDEO];
  }

  /** When the oldest frame without an acknowledgment was sent, or null. */
  get oldestSentMs(): number | null {
    return this.#kept[0]?.sentMs ?? null;
  }

  push(kind: typeof KIND.AUDIO | typeof KIND.VIDEO, payload: Bytes): void {
    this.#waiting.push({ kind, payload, sentMs: 0 });
    this.#add(kind, payload.length, 1);
    while (this.#count[KIND.AUDIO] > MAX_AUDIO_FRAMES || this.#bytes > MAX_KEPT_BYTES) {
      this.#drop();
    }
  }

  /** Queues a message; false if too many are kept already. */
  pushText(payload: Bytes): boolean {
    this.#waiting.push({ kind: KIND.TEXT, payload, sentMs: 0 });
    this.#add(KIND.TEXT, payload.length, 1);
    return this.#textBytes <= MAX_TEXT_BYTES;
  }

  /** Returns the next frames as one message, or null if there are none. */
  take(maxBytes: number, nowMs: number): Bytes | null {
    const parts: Bytes[] = [];
    let size = 0;
    while (this.sendable > 0) {
      const frame = this.#again > 0 ? this.#kept.at(-this.#again) : this.#waiting[0];
      if (!frame) break;
      size += HEADER_BYTES + frame.payload.length;
      if (parts.length > 0 && size > maxBytes) break;
      parts.push(writeFrame(frame.kind, this.#number(frame), frame.payload));
      frame.sentMs = nowMs;
    }
    return parts.length > 0 ? concat(parts) : null;
  }

  /**
   * Removes all frames up to a number.
   *
   * @throws {FrameError} if no such frame was sent.
   */
  acknowledge(received: number): void {
    if (received > this.#sent) throw new FrameError(`${received} acknowledged of ${this.#sent}`);
    while (this.#kept.length > this.#sent - received) {
      const { kind, payload } = this.#kept.shift() as Kept;
      this.#add(kind, payload.length, -1);
    }
    this.#again = Math.min(this.#again, this.#kept.length);
  }

  /** Begins on another carrier: what the server lacks is sent again. */
  resume(received: number, nowMs: number): void {
    this.acknowledge(received);
    this.#again = this.#kept.length;
    for (const frame of this.#kept) frame.sentMs = nowMs;
  }

  /** Counts the next frame as sent, and returns its number, which it gets when first sent. */
  #number(frame: Kept): number {
    if (this.#again > 0) return this.#sent - --this.#again;
    this.#waiting.shift();
    this.#kept.push(frame);
    return ++this.#sent;
  }

  /** Gives up the oldest frame of audio or video; a number that was used gets a gap. */
  #drop(): void {
    const kept = this.#kept.find(givesWay);
    const given = kept ?? (this.#waiting.splice(this.#waiting.findIndex(givesWay), 1)[0] as Kept);
    this.#add(given.kind, given.payload.length, -1);
    given.kind = KIND.GAP;
    given.payload = NOTHING;
  }

  #add(kind: number, size: number, sign: 1 | -1): void {
    if (kind === KIND.TEXT) this.#textBytes += sign * size;
    else this.#bytes += sign * size;
    if (kind === KIND.AUDIO || kind === KIND.VIDEO) this.#count[kind] += sign;
  }
}

/** Frames that come from the server, in their order and once each. */
export class Inbound {
  /** The number up to which all frames came, and when the last of them came. */
  received = 0;
  receivedMs = 0;
  readonly #early = new Map<number, Frame>();
  #earlyBytes = 0;

  /**
   * Returns the frames whose turn it is, after one more came.
   *
   * @throws {FrameError} if too many wait for one that is missing.
   */
  take(frame: Frame, nowMs: number): Frame[] {
    if (!isNumbered(frame.kind)) return [frame];
    if (frame.number <= this.received || this.#early.has(frame.number)) return [];
    this.#early.set(frame.number, frame);
    this.#earlyBytes += frame.payload.length;
    const due: Frame[] = [];
    for (let next; (next = this.#early.get(this.received + 1)); ) {
      this.#early.delete(next.number);
      this.#earlyBytes -= next.payload.length;
      this.received = next.number;
      this.receivedMs = nowMs;
      due.push(next);
    }
    if (this.#early.size > MAX_EARLY_FRAMES || this.#earlyBytes > MAX_EARLY_BYTES) {
      throw new FrameError(`frame ${this.received + 1} is missing`);
    }
    return due;
  }
}

/** One link from its first carrier to its end: it outlives carriers, and changes their kind. */
import { Timers } from "../call/timers";
import type {
  Breakage,
  Carrier,
  CarrierKind,
  CarrierListener,
  LinkTarget,
  OpenCarrier,
} from "./carrier";
import { Inbound, Outbound } from "./channel";
import {
  concat,
  FrameError,
  FrameReader,
  KIND,
  readAck,
  readText,
  readWelcome,
  writeAck,
  writeFrame,
  writeText,
  type Bytes,
  type Frame,
} from "./frames";
import { HttpCarrier, sendLast } from "./http_carrier";
import { WebSocketCarrier } from "./websocket_carrier";

/** The time for a carrier to open, in ms. */
const OPEN_MS = { websocket: 1500, http: 4000 } as const;
/** HTTP is tried beside a WebSocket that is not open after this time, in ms: a proxy may hold it. */
const BESIDE_MS = 300;
/** The time for the first carrier, in ms: the server waits for about as long. */
const CONNECT_MS = 9000;
/** The time for another carrier after one broke, in ms: the server keeps the session as long. */
const RESUME_MS = 6000;
/** The wait before both kinds of carriers are tried again, in ms, or before one that was busy. */
const RETRY_MS = 300;
const BUSY_MS = 1000;
/** A carrier that broke within this time, in ms, is followed by one of the other kind. */
const STEADY_MS = 3000;
/** An outage shorter than this, in ms, is not reported. */
const UNSTABLE_MS = 500;
/** What came is acknowledged after this time, in ms; 0.5 s are allowed. */
const ACK_MS = 400;
/** Along with other frames, it is acknowledged after this time, in ms. */
const ACK_ALONG_MS = 200;
/** A sign of life is due after this time without anything else, in ms. */
const LIFE_MS = 2000;
/** The server acknowledges within 0.5 s and sends something every 10 s, or its carrier is dead. */
const DEAD_UNACKNOWLEDGED_MS = 4000;
const DEAD_SILENT_MS = 13_000;
/** The most bytes of one message. */
const MAX_MESSAGE_BYTES = 512 * 1024;

/** Callbacks of a link; none follows `close`, `onlost` or `onclosed`. */
export interface LinkListener {
  /** A carrier is open: the first one, or another one after an outage. */
  onconnected(kind: CarrierKind): void;
  /** There has been no carrier for a moment. */
  onunstable(): void;
  onlost(): void;
  /** The server ended the session. */
  onclosed(): void;
  ontext(text: string): void;
  onaudio(packet: Bytes): void;
  onvideo(payload: Bytes): void;
  /** Audio that was not played yet is void. */
  onclear(): void;
}

/** A carrier, and what came over it. */
interface Current {
  carrier: Carrier;
  reader: FrameReader;
  /** When it was welcomed, or null while it opens. */
  openedMs: number | null;
}

const openCarrier: OpenCarrier = (kind, target, received, listener) =>
  kind === "websocket"
    ? new WebSocketCarrier(target, received, listener)
    : new HttpCarrier(target, received, listener);

export class Link {
  readonly #target: LinkTarget;
  readonly #open: OpenCarrier;
  readonly #timers = new Timers();
  readonly #outbound = new Outbound();
  readonly #inbound = new Inbound();
  #listener: LinkListener | null;
  /** The carriers that are opening or open, and the one of them that is in use. */
  readonly #carriers = new Set<Current>();
  #current: Current | null = null;
  /** False if the server has no WebSockets. */
  #hasBoth = true;
  /** True once there has been a carrier. */
  #hasBegun = false;
  /** When something came last, and when the oldest frame came that is not acknowledged yet. */
  #activeMs = 0;
  #unacknowledgedSinceMs: number | null = null;
  /** True if an acknowledgment must go now, even one without news: a sign of life. */
  #isAckDue = false;

  constructor(target: LinkTarget, listener: LinkListener, open: OpenCarrier = openCarrier) {
    this.#target = target;
    this.#listener = listener;
    this.#open = open;
  }

  /** Opens the first carrier, and another kind if this one does not open and the server has both. */
  connect(kind: CarrierKind, hasBoth = true): void {
    this.#hasBoth = hasBoth;
    this.#timers.after("lost", CONNECT_MS, () => this.#lose());
    this.#begin(kind);
  }

  /** Video frames that the server has not acknowledged. */
  get videoFrames(): number {
    return this.#outbound.videoFrames;
  }

  sendAudio(packet: Bytes): void {
    this.#outbound.push(KIND.AUDIO, packet);
    this.#flush();
  }

  sendVideo(payload: Bytes): void {
    this.#outbound.push(KIND.VIDEO, payload);
    this.#flush(true);
  }

  /**
   * Sends a message; false if there is no carrier yet, or the link is over.
   *
   * @throws {RangeError} for one that is longer than any server takes.
   */
  sendText(text: string): boolean {
    if (this.#listener === null || !this.#hasBegun) return false;
    if (!this.#outbound.pushText(writeText(text))) {
      this.#lose();
      return false;
    }
    this.#flush(true);
    return true;
  }

  /** Ends the session, at once and for good; resolves when this has reached a server that answers. */
  async close(): Promise<void> {
    if (this.#listener === null) return;
    const current = this.#current;
    const bye = writeFrame(KIND.BYE);
    const isSocket = current?.carrier.kind === "websocket";
    if (isSocket) current?.carrier.send(bye);
    const sent = isSocket ? null : sendLast(this.#target, bye);
    this.#stop();
    await sent;
  }

  #begin(kind: CarrierKind): void {
    const listener: CarrierListener = {
      onbytes: (bytes) => this.#guard(current, () => this.#handleBytes(current, bytes)),
      onready: () => this.#guard(current, () => this.#flush()),
      onbroken: (why) => this.#guard(current, () => this.#handleBroken(current, why)),
    };
    let carrier: Carrier;
    try {
      carrier = this.#open(kind, this.#target, this.#inbound.received, listener);
    } catch {
      // A page whose Content-Security-Policy has no WebSockets gets an exception for one.
      return this.#beginNext(kind, null, "broken");
    }
    const current: Current = { carrier, reader: new FrameReader(), openedMs: null };
    this.#carriers.add(current);
    this.#timers.after(kind, OPEN_MS[kind], () => this.#handleBroken(current, "broken"));
    if (kind === "http") return;
    this.#timers.after("beside", BESIDE_MS, () => this.#begin("http"));
  }

  /** Runs the action unless another carrier has taken over. Broken rules end the link. */
  #guard(current: Current, action: () => void): void {
    if (!this.#carriers.has(current)) return;
    try {
      action();
    } catch (error) {
      this.#lose();
      throw error;
    }
  }

  /** Passes a frame on. An error of the listener's does not keep the next frames from it. */
  #pass(frame: Frame): void {
    try {
      this.#handleFrame(frame);
    } catch (error) {
      if (error instanceof FrameError) throw error;
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #handleBytes(current: Current, bytes: Bytes): void {
    this.#activeMs = performance.now();
    for (const frame of current.reader.push(bytes)) {
      if (current.openedMs === null) this.#welcome(current, frame);
      else for (const due of this.#inbound.take(frame, this.#activeMs)) this.#pass(due);
      if (this.#listener === null) return;
    }
    if (this.#isAckDue) this.#flush();
  }

  #welcome(current: Current, frame: Frame): void {
    this.#outbound.resume(readWelcome(frame), this.#activeMs);
    current.openedMs = this.#activeMs;
    this.#hasBegun = true;
    this.#current = current;
    for (const other of this.#carriers) {
      // A WebSocket that still opens is the better one, and takes over if it does.
      const mayOpen = other.openedMs === null && other.carrier.kind === "websocket";
      if (other !== current && !mayOpen) this.#remove(other);
    }
    for (const timer of [current.carrier.kind, "beside", "lost", "unstable"]) {
      this.#timers.cancel(timer);
    }
    this.#showLifeLater();
    this.#listener?.onconnected(current.carrier.kind);
    this.#flush();
  }

  #handleFrame(frame: Frame): void {
    const { kind, number, payload } = frame;
    if (number > 0) this.#oweAck(kind === KIND.VIDEO);
    switch (kind) {
      case KIND.TEXT:
        return this.#listener?.ontext(readText(payload));
      case KIND.AUDIO:
        return this.#listener?.onaudio(payload);
      case KIND.VIDEO:
        return this.#listener?.onvideo(payload);
      case KIND.CLEAR:
        return this.#listener?.onclear();
      case KIND.ACK:
        return this.#outbound.acknowledge(readAck(frame));
      case KIND.BYE: {
        const listener = this.#stop();
        return listener?.onclosed();
      }
    }
  }

  #oweAck(isDue: boolean): void {
    this.#isAckDue ||= isDue;
    if (this.#unacknowledgedSinceMs !== null) return;
    this.#unacknowledgedSinceMs = this.#activeMs;
    this.#timers.after("ack", ACK_MS, () => this.#sendAck());
  }

  #sendAck(): void {
    this.#isAckDue = true;
    this.#flush();
  }

  /** Sends a sign of life when nothing else was sent for a while, and again after that. */
  #showLifeLater(): void {
    this.#timers.after("life", LIFE_MS, () => {
      this.#showLifeLater();
      this.#sendAck();
    });
  }

  /** Sends what there is, as far as the carrier takes it. */
  #flush(isUrgent = false): void {
    const current = this.#current;
    if (!current) return;
    const nowMs = performance.now();
    if (this.#isDead(nowMs)) return this.#handleBroken(current, "broken");
    const { carrier } = current;
    while (carrier.takes(this.#outbound.sendable, isUrgent || this.#isAckDue)) {
      const frames = this.#outbound.take(MAX_MESSAGE_BYTES, nowMs);
      const parts = [frames, this.#ack(nowMs)].filter((part) => part !== null);
      if (parts.length === 0) break;
      carrier.send(concat(parts));
      this.#showLifeLater();
    }
  }

  /** The acknowledgment, or null as long as it can wait for more. */
  #ack(nowMs: number): Bytes | null {
    const sinceMs = this.#unacknowledgedSinceMs ?? nowMs;
    if (!this.#isAckDue && nowMs - sinceMs < ACK_ALONG_MS) return null;
    this.#unacknowledgedSinceMs = null;
    this.#isAckDue = false;
    this.#timers.cancel("ack");
    const { received, receivedMs } = this.#inbound;
    return writeAck(received, received > 0 ? nowMs - receivedMs : 0);
  }

  #isDead(nowMs: number): boolean {
    const oldestMs = this.#outbound.oldestSentMs ?? nowMs;
    return (
      nowMs - oldestMs > DEAD_UNACKNOWLEDGED_MS || nowMs - this.#activeMs > DEAD_SILENT_MS
    );
  }

  #handleBroken(current: Current, why: Breakage): void {
    const { carrier, openedMs } = current;
    this.#remove(current);
    if (why === "refused") return this.#lose();
    if (current === this.#current) {
      this.#current = null;
      this.#timers.cancel("life");
      this.#timers.after("lost", RESUME_MS, () => this.#lose());
      this.#timers.after("unstable", UNSTABLE_MS, () => this.#listener?.onunstable());
    }
    if (this.#carriers.size === 0) this.#beginNext(carrier.kind, openedMs, why);
  }

  #remove(current: Current): void {
    this.#carriers.delete(current);
    current.carrier.close();
    this.#timers.cancel(current.carrier.kind);
    if (this.#carriers.size === 0) this.#timers.cancel("beside");
  }

  /** Opens another carrier after one of this kind, which was opened at this time or never. */
  #beginNext(kind: CarrierKind, openedMs: number | null, why: Breakage): void {
    const isSteady = openedMs !== null && performance.now() - openedMs >= STEADY_MS;
    const other = kind === "http" && this.#hasBoth ? "websocket" : "http";
    const next = isSteady || why === "busy" || why === "replaced" ? kind : other;
    // It waits if the server has enough, and after both kinds were tried.
    const mayGoOn = isSteady || kind === "websocket";
    const waitMs = why === "busy" ? BUSY_MS : mayGoOn ? 0 : RETRY_MS;
    this.#timers.after("retry", waitMs, () => this.#begin(next));
  }

  #lose(): void {
    const listener = this.#stop();
    listener?.onlost();
  }

  /** Ends everything, and returns the listener as it was. */
  #stop(): LinkListener | null {
    const listener = this.#listener;
    this.#listener = null;
    this.#timers.cancelAll();
    for (const current of this.#carriers) this.#remove(current);
    this.#current = null;
    return listener;
  }
}

/** A call by WebRTC, or where that does not connect, over the link. */
import type { Fallback } from "../types";
import { PathMemory } from "./path_memory";
import type { Lookup, Peer, PeerListener } from "./peer";
import { Timers } from "./timers";
import { WebRTCPeer, type WebRTCPeerOptions } from "./webrtc_peer";

/** The time for WebRTC to connect, in ms from the offer on, and at least from the answer on. */
const CONNECT_MS = 4000;
const CONNECT_AFTER_ANSWER_MS = 3000;
/** The time for the server to end the session that did not connect, in ms. */
const CLOSE_MS = 1000;

export interface FallbackPeerOptions extends WebRTCPeerOptions {
  fallback: Fallback;
  /** The address of the app. */
  root: string;
  /** The address of the link's worklet; by default it lies beside this file. */
  worklet?: URL;
}

/** True if this browser can make calls in this way at all. */
export function canCall(fallback: Fallback): boolean {
  return (fallback !== "always" && hasWebRTC()) || (fallback !== "never" && hasLink());
}

const hasWebRTC = (): boolean => typeof RTCPeerConnection !== "undefined";
/** Pages that are not secure have none. */
const hasLink = (): boolean => typeof AudioWorkletNode !== "undefined";

/** Most networks have UDP, and their pages load nothing of the link. */
const loadLink = (): Promise<typeof import("../link/peer")> => import("../link/peer");

export class FallbackPeer implements Peer {
  readonly #options: FallbackPeerOptions;
  readonly #timers = new Timers();
  readonly #memory = new PathMemory();
  #listener: PeerListener | null;
  #peer: Peer | null = null;

  constructor(options: FallbackPeerOptions, listener: PeerListener) {
    this.#options = options;
    this.#listener = listener;
  }

  async call(): Promise<void> {
    const { fallback } = this.#options;
    const isDirect = fallback === "always" || !hasWebRTC() || this.#memory.isWithoutUdp;
    if (fallback !== "never" && hasLink() && isDirect) await this.#callByLink(false);
    else await this.#callByWebRTC();
  }

  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    await this.#peer?.replaceTrack(track);
  }

  send(text: string): boolean {
    return this.#peer?.send(text) ?? false;
  }

  async lookUp(): Promise<Lookup> {
    return (await this.#peer?.lookUp()) ?? "found";
  }

  detachListener(): void {
    this.#listener = null;
    this.#timers.cancelAll();
    this.#peer?.detachListener();
  }

  async close(): Promise<void> {
    this.detachListener();
    await this.#peer?.close();
  }

  async #callByWebRTC(): Promise<void> {
    const options = this.#options;
    const mayFallBack = options.fallback === "auto" && hasLink();
    const listener = mayFallBack ? this.#impatient() : this.#passing();
    const peer = await WebRTCPeer.create(options, listener);
    if (this.#listener === null) return void peer.close();
    this.#peer = peer;
    try {
      await peer.call();
    } catch (error) {
      // What fails after the peer was given up is of no interest any more.
      if (this.#peer === peer) throw error;
    }
  }

  /** The listener of WebRTC, which is given up if it does not connect in time. */
  #impatient(): PeerListener {
    const listener = this.#passing();
    const beganMs = performance.now();
    let hasConnected = false;
    const unless = (otherwise: () => void): void => {
      if (hasConnected) otherwise();
      else void this.#giveUp();
    };
    return {
      ...listener,
      onanswer: (credentials) => {
        const leftMs = beganMs + CONNECT_MS - performance.now();
        this.#giveUpAfter(Math.max(CONNECT_AFTER_ANSWER_MS, leftMs));
        listener.onanswer(credentials);
      },
      onconnected: (transport) => {
        hasConnected = true;
        this.#timers.cancelAll();
        this.#memory.isWithoutUdp = false;
        listener.onconnected(transport);
      },
      onlost: () => unless(listener.onlost),
      onclosed: () => unless(listener.onclosed),
    };
  }

  #giveUpAfter(waitMs: number): void {
    this.#timers.after("connect", waitMs, () => void this.#giveUp());
    // What will be needed then is fetched before. If that fails, it fails again, and is reported.
    this.#timers.after("load", waitMs / 2, () => void loadLink().catch(() => undefined));
  }

  /** Goes on over the link. The place of the session that did not connect must be free before. */
  async #giveUp(): Promise<void> {
    const peer = this.#peer;
    this.#peer = null;
    this.#timers.cancelAll();
    const timeout = new Promise((resolve) => this.#timers.after("close", CLOSE_MS, () => resolve(0)));
    await Promise.race([peer?.close(), timeout]);
    this.#timers.cancel("close");
    if (this.#listener === null) return;
    try {
      await this.#callByLink(true);
    } catch (error) {
      this.#listener?.onfailed(error);
    }
  }

  async #callByLink(isAfterWebRTC: boolean): Promise<void> {
    const { LinkPeer } = await loadLink();
    if (this.#listener === null) return;
    const memory = this.#memory;
    const listener = this.#passing();
    const peer = new LinkPeer(
      {
        ...this.#options,
        carrier: memory.isWithoutWebSocket ? "http" : "websocket",
        oncarrier: (kind) => (memory.isWithoutWebSocket = kind === "http"),
      },
      {
        ...listener,
        onconnected: (transport) => {
          if (isAfterWebRTC) memory.isWithoutUdp = true;
          listener.onconnected(transport);
        },
      },
    );
    this.#peer = peer;
    await peer.call();
  }

  /** Passes everything on until `close`. */
  #passing(): PeerListener {
    return {
      onanswer: (credentials) => this.#listener?.onanswer(credentials),
      onfailed: (error) => this.#listener?.onfailed(error),
      onconnected: (transport) => this.#listener?.onconnected(transport),
      onunstable: () => this.#listener?.onunstable(),
      onlost: () => this.#listener?.onlost(),
      onclosed: () => this.#listener?.onclosed(),
      ontrack: (track) => this.#listener?.ontrack(track),
      onmessage: (message) => this.#listener?.onmessage(message),
      ontext: (text) => this.#listener?.ontext?.(text),
      onwritable: () => this.#listener?.onwritable?.(),
      onparametersrefused: (reason) => this.#listener?.onparametersrefused(reason),
    };
  }
}

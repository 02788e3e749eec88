/** The life of a call, whoever shows it: it connects, recovers, is made again, and ends. */
import type { Credentials } from "../types";
import { FallbackPeer, type FallbackPeerOptions } from "./fallback";
import type { Peer, PeerListener, Transport } from "./peer";
import { causeOfFirst, impliesServerAway } from "./problems";
import { RECOVER_MS, type Cause } from "./redial";
import { Redialler } from "./redialler";
import {
  IDLE,
  isActive,
  isDialling,
  next,
  type CallEvent,
  type CallState,
  type Ending,
  type Problem,
  type Redialling,
} from "./state";
import { Timers } from "./timers";

/** The time limit for a connection to be established, in ms: as long as the server waits. */
const CONNECT_TIMEOUT_MS = 30_000;
/** The audio that a browser's jitter buffer may still hold when the server ends a call, in ms. */
const DRAIN_MS = 400;

/** The call whose life it is. What a peer reports of media and messages goes to it directly. */
export interface LifecycleHost extends Pick<
  PeerListener,
  "ontrack" | "onmessage" | "ontext" | "onwritable" | "onparametersrefused"
> {
  /** Returns the terms of an offer; asked before each. */
  offerOptions(): FallbackPeerOptions | Promise<FallbackPeerOptions>;
  /** True if a call that breaks while it is open may be made again by itself. */
  redials(): boolean;
  /** Returns how a call ended whose server gave this reason, which may be empty. */
  endingOf(reason: string): Ending;
  /** True if the call is as old as its time limit, which ends it for good. */
  isAtLimit(): boolean;
  problemOf(error: unknown): Problem;
  onstate(state: CallState): void;
  onanswer(credentials: Credentials): void;
  /** The call is open, for the first time or again. */
  onopen(): void;
  /** The call broke, and will be made again. */
  onbroken(): void;
  /** Everything that a call holds is to be released; the server may be out of reach. */
  onrelease(isServerAway: boolean): void;
}

export class Lifecycle {
  readonly #host: LifecycleHost;
  readonly #timers = new Timers();
  readonly #redialler = new Redialler({
    redialling: (redial) => this.#prepareRedial(redial),
    offer: () => this.#offerAgain(),
    fail: (problem) => this.fail(problem),
    problemOf: (error) => this.#host.problemOf(error),
  });
  #state: CallState = IDLE;
  #peer: Peer | null = null;
  /** Grows with each start and each end, so that a result for an earlier attempt is recognised. */
  #attempt = 0;

  constructor(host: LifecycleHost) {
    this.#host = host;
  }

  get state(): CallState {
    return this.#state;
  }

  get peer(): Peer | null {
    return this.#peer;
  }

  get isActive(): boolean {
    return isActive(this.#state.phase);
  }

  /**
   * Makes a call unless there is one. Never rejects: the state has the outcome.
   *
   * @param open opens the devices.
   */
  async start(asksPermission: boolean, open: () => Promise<unknown>): Promise<void> {
    await this.#begin(asksPermission, open, async () => {
      const attempt = this.#attempt;
      this.transition({ type: "granted" });
      // The host may have ended the call at that.
      if (attempt !== this.#attempt) return;
      this.#timers.after("connect", CONNECT_TIMEOUT_MS, () => this.fail({ code: "unreachable" }));
      await this.#connect();
    });
  }

  /** Opens the devices as a call does, and releases them; for what browsers show only then. */
  async tryDevices(open: () => Promise<unknown>): Promise<void> {
    await this.#begin(true, open, async () => void this.hangUp());
  }

  /**
   * Ends the call at once; has no effect without one. The promise, which never rejects, is kept when
   * the server has been informed, as far as that takes a request.
   */
  hangUp(): Promise<void> | undefined {
    if (!this.isActive) return undefined;
    const isServerAway = this.#isServerAway();
    this.transition({ type: "hang_up", atMs: performance.now() });
    return this.#release(isServerAway);
  }

  /** Call when the browser has a network again: a call that waits for one is made now. */
  online(): void {
    this.#redialler.online();
  }

  /** Ends the call as the server asks for, or makes it again after a cause that passes. */
  endWith(reason: string, cause: Cause | null): void {
    if (cause && this.#mayCallAgain()) this.#callAgain(cause);
    else this.#end(reason);
  }

  fail(problem: Problem): void {
    // A call that has ended, and is played to its end, does not fail any more.
    if (this.#state.phase === "closing") return;
    const isServerAway = this.#isServerAway() && impliesServerAway(problem);
    this.transition({ type: "failed", problem, atMs: performance.now() });
    void this.#release(isServerAway);
  }

  transition(event: CallEvent): void {
    const before = this.#state;
    this.#state = next(before, event);
    if (this.#state !== before) this.#host.onstate(this.#state);
  }

  /** Makes the call again at once when the server no longer has it. */
  async lookUp(): Promise<void> {
    const peer = this.#peer;
    const lookup = await peer?.lookUp();
    if (peer === this.#peer && lookup === "not_found" && this.#mayCallAgain()) this.#handleLost();
  }

  async #begin(
    asksPermission: boolean,
    open: () => Promise<unknown>,
    goOn: () => Promise<void>,
  ): Promise<void> {
    if (this.isActive) return;
    const attempt = ++this.#attempt;
    this.#redialler.reset();
    this.transition({ type: "start", asksPermission });
    if (attempt !== this.#attempt) return;
    try {
      await open();
      if (attempt === this.#attempt) await goOn();
    } catch (error) {
      if (attempt === this.#attempt) this.#handleFailed(error);
    }
  }

  async #connect(): Promise<void> {
    const attempt = this.#attempt;
    const options = await this.#host.offerOptions();
    if (attempt !== this.#attempt) return;
    this.#peer = new FallbackPeer(options, this.#listener());
    await this.#peer.call();
  }

  #listener(): PeerListener {
    const host = this.#host;
    return {
      onanswer: (credentials) => host.onanswer(credentials),
      onfailed: (error) => this.#handleFailed(error),
      onconnected: (transport) => this.#handleConnected(transport),
      onwritable: () => host.onwritable?.(),
      onunstable: () => this.#handleUnstable(),
      onlost: () => this.#handleLost(),
      onclosed: () => void this.#handleClosed(),
      ontrack: (track) => host.ontrack(track),
      onmessage: (message) => host.onmessage(message),
      ontext: (text) => host.ontext?.(text),
      onparametersrefused: (reason) => host.onparametersrefused(reason),
    };
  }

  /** An offer failed; while a call is made again, another one may follow. */
  #handleFailed(error: unknown): void {
    if (this.#state.redial) return this.#redialler.failed(error);
    const [cause, problem] = [causeOfFirst(error), this.#host.problemOf(error)];
    if (cause) this.#redialler.callAgain(cause, problem);
    else this.fail(problem);
  }

  #handleConnected(transport: Transport): void {
    const isFirst = isDialling(this.#state.phase);
    this.transition({ type: "connected", transport, atMs: performance.now() });
    this.#timers.cancel("recover");
    if (!isFirst) return;
    this.#redialler.connected();
    this.#timers.cancel("connect");
    this.#host.onopen();
  }

  #mayCallAgain(): boolean {
    return this.#state.phase === "open" && this.#host.redials();
  }

  /** Media stopped for the moment: the server's reply, or the time, decides about the call. */
  #handleUnstable(): void {
    this.transition({ type: "unstable" });
    if (!this.#mayCallAgain()) return;
    this.#timers.after("recover", RECOVER_MS, () => this.#handleLost());
    void this.lookUp();
  }

  /** Ends the call after the server closed it; a server that still answers did so on purpose. */
  async #handleClosed(): Promise<void> {
    if (!this.#mayCallAgain() || this.#host.isAtLimit()) return this.#end("");
    const peer = this.#peer;
    this.#timers.after("recover", RECOVER_MS, () => this.#handleLost());
    const lookup = await peer?.lookUp();
    if (peer !== this.#peer || this.#state.phase !== "open") return;
    if (lookup === "unreachable") this.#handleLost();
    else this.#end("");
  }

  #handleLost(): void {
    const { phase, redial } = this.#state;
    if (phase === "closing") return;
    if (this.#host.isAtLimit()) return this.#end("");
    if (redial || this.#mayCallAgain()) return this.#callAgain(redial?.cause ?? "lost");
    this.fail({ code: phase === "open" ? "lost" : "unreachable" });
  }

  #callAgain(cause: Cause): void {
    this.#redialler.callAgain(cause, { code: cause });
  }

  /** Leaves the broken connection open until the next offer, so that its last audio is played. */
  #prepareRedial(redial: Redialling): void {
    this.#attempt++;
    this.#timers.cancelAll();
    this.#peer?.detachListener();
    this.#host.onbroken();
    this.transition({ type: "redial", redial, atMs: performance.now() });
  }

  async #offerAgain(): Promise<void> {
    void this.#peer?.close();
    this.#peer = null;
    this.#attempt++;
    await this.#connect();
  }

  /**
   * True if the server is out of reach, as far as is known: of the causes for which a call is made
   * again, only `busy` comes from a server that stays.
   */
  #isServerAway(): boolean {
    const { redial } = this.#state;
    return redial !== null && redial.cause !== "busy";
  }

  #end(reason: string): void {
    if (this.#state.phase === "connecting") return this.fail({ code: "unreachable" });
    if (this.#state.phase !== "open") return;
    this.transition({ type: "ended", ending: this.#host.endingOf(reason), atMs: performance.now() });
    this.#timers.after("drain", DRAIN_MS, () => {
      this.transition({ type: "drained" });
      void this.#release();
    });
  }

  #release(isServerAway = false): Promise<void> | undefined {
    this.#attempt++;
    this.#timers.cancelAll();
    this.#redialler.cancel();
    const closed = this.#peer?.close();
    this.#peer = null;
    this.#host.onrelease(isServerAway);
    return closed;
  }
}

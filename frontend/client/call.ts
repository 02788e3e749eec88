/** One call of a page of its own: the state machine, the peer and the media, without a framework. */
import { canCall, FallbackPeer } from "../call/fallback";
import { LevelMeter, SILENCE } from "../call/levels";
import type { NoticeText, ServerMessage } from "../call/messages";
import { type Peer, type PeerListener, sendClose, type Transport } from "../call/peer";
import {
  causeOfEnding,
  causeOfFirst,
  problemOf,
  Unavailable,
} from "../call/problems";
import { RECOVER_MS, type Cause } from "../call/redial";
import { Redialler } from "../call/redialler";
import {
  IDLE,
  isDialling,
  next,
  type CallEvent,
  type CallState,
  type Medium,
  type Problem as InnerProblem,
  type Redialling,
} from "../call/state";
import { Timers } from "../call/timers";
import type { Credentials } from "../types";
import type { Call, ConnectOptions, Events, Notice, Problem, State } from "./client";
import { Emitter } from "./emitter";
import { ClientMedia } from "./media";
import { OutputReader } from "./outputs";
import { Player } from "./player";
import { folderOf, HttpServer } from "./signaling";
import { messageOf } from "./words";

/** The time limit for a connection to be established, in ms: as long as the server waits. */
const CONNECT_TIMEOUT_MS = 30_000;
/** The audio that a browser's jitter buffer may still hold when the server ends a call, in ms. */
const DRAIN_MS = 400;
/** Messages that wait until the call is open. Beyond it they are refused. */
const MAX_WAITING = 256;
/** The link's worklet, which every stream serves in its folder. */
const WORKLET = "client-worklet.js";
/** The seconds for which a notice is shown, unless the server has another time. */
const SHOWN_S = 10;
/** The twin of `SET_INPUTS` in `_session/client_inputs.py`. */
const SET_INPUTS = "set_inputs";

/**
 * Kept when the place of the call that this page closed last is free. Another call begins behind it,
 * or a stream with one place would refuse it.
 */
let leaving: Promise<void> = Promise.resolve();

export class ClientCall implements Call {
  readonly #options: ConnectOptions;
  readonly #folder: URL;
  readonly #server: HttpServer;
  readonly #media: ClientMedia;
  readonly #player: Player;
  readonly #events = new Emitter();
  readonly #timers = new Timers();
  readonly #redialler = new Redialler({
    redialling: (redial) => this.#prepareRedial(redial),
    offer: () => this.#offerAgain(),
    fail: (problem) => this.#fail(problem),
    problemOf: (error) => this.#problemOf(error),
  });
  readonly #outputs = new OutputReader(
    () => this.#server.offer({ type: "outputs", ...this.#credentials }),
    (args) => this.#events.emit("output", args),
    () => this.#reportLostOutputs(),
  );
  #status: CallState = IDLE;
  #peer: Peer | null = null;
  #credentials: Credentials | null = null;
  #remote: MediaStream | null = null;
  #meter: LevelMeter | null = null;
  /** The message with the values for the handler, or null without any. */
  #inputs: string | null;
  /** Messages that wait for the call to open. */
  readonly #waiting: string[] = [];
  /** Grows with each start and each end, so that a result for an earlier attempt is recognised. */
  #attempt = 0;
  #isOver = false;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#folder = folderOf(options.url);
    this.#server = new HttpServer(this.#folder, options.rtcConfiguration);
    this.#media = new ClientMedia(options.media ?? { audio: true }, (medium) => void this.#replaceLost(medium));
    this.#player = new Player(options, (isBlocked) => this.#events.emit("blocked", isBlocked));
    // A handler that only sends waits for the message, with values or without.
    const inputs = options.inputs ?? (this.#media.sends ? null : []);
    this.#inputs = inputs && inputMessage(inputs);
    queueMicrotask(() => void this.#start());
  }

  get state(): State {
    return this.#status.phase;
  }

  get problem(): Problem | null {
    const { problem } = this.#status;
    return problem && { ...problem, message: messageOf(problem) };
  }

  get reason(): string {
    const { ending } = this.#status;
    return ending?.by === "server" ? ending.reason : "";
  }

  get redial(): Redialling | null {
    return this.#status.redial;
  }

  get transport(): Transport | null {
    return this.#status.transport;
  }

  get isUnstable(): boolean {
    return this.#status.isUnstable;
  }

  get id(): string | null {
    return this.#credentials?.webrtc_id ?? null;
  }

  get local(): MediaStream | null {
    return this.#media.stream;
  }

  get remote(): MediaStream | null {
    return this.#remote;
  }

  get isMuted(): boolean {
    return this.#media.isMuted;
  }

  readonly on = <Name extends keyof Events>(
    name: Name,
    listener: (detail: Events[Name]) => void,
  ): (() => void) => {
    const off = this.#events.on(name, listener);
    if (name === "level") this.#measure();
    if (name === "output") this.#readOutputs();
    return () => {
      off();
      this.#measure();
    };
  };

  readonly send = (data: unknown): boolean => {
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`expected a value of JSON, got ${typeof data}`);
    return this.#send(text);
  };

  readonly setInputs = (values: readonly unknown[]): void => {
    this.#inputs = inputMessage(values);
    if (this.state === "open") this.#send(this.#inputs);
  };

  readonly mute = (isMuted = true): void => this.#media.mute(isMuted);

  readonly close = (): void => {
    if (this.#isOver) return;
    if (this.state === "open") leaving = this.#leave();
    this.#transition({ type: "hang_up", atMs: performance.now() });
    this.#release();
  };

  /** Resolves when the end of the call has reached the server; never rejects. */
  async #leave(): Promise<void> {
    // A connection over WebRTC announces its end as well, but nobody answers to that.
    if (this.transport === "link") await this.#peer?.close();
    else if (this.#credentials) await sendClose(this.#server, this.#credentials);
  }

  async #start(): Promise<void> {
    if (this.#isOver) return;
    const attempt = ++this.#attempt;
    addEventListener("pagehide", this.close);
    addEventListener("online", this.#handleOnline);
    this.#transition({ type: "start", asksPermission: this.#media.opensDevices });
    try {
      if (!canCall(this.#fallback)) throw new Unavailable("unsupported_browser");
      await this.#media.open();
      if (attempt !== this.#attempt) return;
      this.#transition({ type: "granted" });
      await leaving;
      if (attempt !== this.#attempt) return;
      this.#timers.after("connect", CONNECT_TIMEOUT_MS, () => this.#fail({ code: "unreachable" }));
      await this.#connect();
    } catch (error) {
      if (attempt === this.#attempt) this.#handleFailed(error);
    }
  }

  get #fallback(): NonNullable<ConnectOptions["fallback"]> {
    return this.#options.fallback ?? "auto";
  }

  readonly #handleOnline = (): void => this.#redialler.online();

  async #connect(): Promise<void> {
    const { sends, kinds, stream } = this.#media;
    const options = {
      server: this.#server,
      root: this.#server.url.href,
      worklet: new URL(WORKLET, this.#folder),
      fallback: this.#fallback,
      mode: sends ? "send-receive" : "receive",
      kinds,
      stream,
      configuration: null,
      parameters: null,
    } as const;
    this.#peer = new FallbackPeer(options, this.#listener());
    await this.#peer.call();
  }

  #listener(): PeerListener {
    return {
      onanswer: (credentials) => this.#handleAnswer(credentials),
      onfailed: (error) => this.#handleFailed(error),
      onconnected: (transport) => this.#handleConnected(transport),
      onwritable: () => this.#sendWaiting(),
      onunstable: () => this.#handleUnstable(),
      onlost: () => this.#handleLost(),
      onclosed: () => void this.#handleClosed(),
      ontrack: (track) => this.#handleTrack(track),
      onmessage: (message) => this.#handleMessage(message),
      ontext: (text) => this.#events.emit("message", valueOf(text)),
      onparametersrefused: () => undefined,
    };
  }

  #handleAnswer(credentials: Credentials): void {
    this.#credentials = credentials;
    // A track of WebRTC, which did not connect, has no place beside one of the link.
    this.#remote = new MediaStream();
  }

  /** An offer failed; while a call is made again, another one may follow. */
  #handleFailed(error: unknown): void {
    if (this.#status.redial) return this.#redialler.failed(error);
    const [cause, problem] = [causeOfFirst(error), this.#problemOf(error)];
    if (cause) this.#redialler.callAgain(cause, problem);
    else this.#fail(problem);
  }

  #handleConnected(transport: Transport): void {
    const isFirst = isDialling(this.state);
    this.#transition({ type: "connected", transport, atMs: performance.now() });
    this.#timers.cancel("recover");
    if (!isFirst) return;
    this.#redialler.connected();
    this.#timers.cancel("connect");
    // A handler of this call has none yet; messages that wait come behind them.
    if (this.#inputs) this.#waiting.unshift(this.#inputs);
    this.#sendWaiting();
    this.#measure();
    this.#readOutputs();
  }

  #handleTrack(track: MediaStreamTrack): void {
    const stream = (this.#remote ??= new MediaStream());
    stream.addTrack(track);
    this.#player.play(stream);
    this.#meter?.watch("remote", stream);
    this.#events.emit("track", { track, stream });
  }

  #handleMessage(message: ServerMessage): void {
    switch (message.type) {
      case "send_input":
        return void (this.#inputs && this.#send(this.#inputs));
      case "fetch_output":
        return this.#readOutputs();
      case "warning":
      case "error":
      case "info":
      case "success":
        return this.#notify(message.type, message);
      case "end_stream":
        return this.#endWith(message.text, causeOfEnding(message.code));
      case "stopword":
        return this.#events.emit("log", message.type);
      case "log":
        return this.#events.emit("log", message.text);
    }
  }

  #notify(kind: Notice["kind"], { text, style }: NoticeText): void {
    const { title = null, duration = SHOWN_S } = style ?? {};
    const notice = { kind, text, title, duration };
    if (kind !== "error") this.#events.emit("notice", notice);
    else if (this.#events.has(kind)) this.#events.emit(kind, notice);
    else console.error(text);
  }

  #send(text: string): boolean {
    if (this.#isOver || this.state === "closing") return false;
    if (this.state === "open" && this.#peer?.send(text)) return true;
    return this.#waiting.length < MAX_WAITING && this.#waiting.push(text) > 0;
  }

  /** Sends what waits, once the call is open and the transport takes texts: both may come first. */
  #sendWaiting(): void {
    while (this.state === "open" && this.#waiting[0] !== undefined) {
      if (!this.#peer?.send(this.#waiting[0])) return;
      this.#waiting.shift();
    }
  }

  /** Announced only to a client that has read some before, since most read none. */
  #readOutputs(): void {
    if (this.state === "open" && this.#events.has("output")) void this.#outputs.read();
  }

  #reportLostOutputs(): void {
    // The last ones may be announced by a session that ends before they are read.
    if (this.state === "open") this.#notify("error", { text: "Some outputs did not arrive." });
  }

  #measure(): void {
    const isNeeded = this.state === "open" && this.#events.has("level");
    if (isNeeded === (this.#meter !== null)) return;
    this.#meter?.close();
    this.#meter = null;
    if (!isNeeded) return;
    const meter = new LevelMeter((read) => {
      const local = this.isMuted ? SILENCE : read("local");
      this.#events.emit("level", { local, remote: read("remote") });
    });
    this.#meter = meter;
    for (const end of ["local", "remote"] as const) if (this[end]) meter.watch(end, this[end]);
  }

  /** Replaces an unplugged device with the browser's next choice. */
  async #replaceLost(medium: Medium): Promise<void> {
    const attempt = this.#attempt;
    try {
      const track = await this.#media.replace(medium);
      if (track) await this.#peer?.replaceTrack(track);
      if (track && this.local) this.#meter?.watch("local", this.local);
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(this.#problemOf(error));
    }
  }

  #problemOf(error: unknown): InnerProblem {
    return problemOf(error, this.#media.constraints);
  }

  #mayCallAgain(): boolean {
    return this.state === "open" && (this.#options.redial ?? this.#media.sends);
  }

  /** Media stopped for the moment: the server's reply, or the time, decides about the call. */
  #handleUnstable(): void {
    this.#transition({ type: "unstable" });
    if (!this.#mayCallAgain()) return;
    this.#timers.after("recover", RECOVER_MS, () => this.#handleLost());
    void this.#lookUpCall();
  }

  /** Makes the call again at once when the server no longer has it. */
  async #lookUpCall(): Promise<void> {
    const peer = this.#peer;
    const lookup = await peer?.lookUp();
    if (peer === this.#peer && lookup === "not_found" && this.#mayCallAgain()) this.#handleLost();
  }

  /** Ends the call after the server closed it; a server that still answers did so on purpose. */
  async #handleClosed(): Promise<void> {
    if (!this.#mayCallAgain()) return this.#end("");
    const peer = this.#peer;
    this.#timers.after("recover", RECOVER_MS, () => this.#handleLost());
    const lookup = await peer?.lookUp();
    if (peer !== this.#peer || this.state !== "open") return;
    if (lookup === "unreachable") this.#handleLost();
    else this.#end("");
  }

  #handleLost(): void {
    const { phase, redial } = this.#status;
    if (phase === "closing") return;
    if (redial || this.#mayCallAgain()) return this.#callAgain(redial?.cause ?? "lost");
    this.#fail({ code: phase === "open" ? "lost" : "unreachable" });
  }

  #callAgain(cause: Cause): void {
    this.#redialler.callAgain(cause, { code: cause });
  }

  /** Leaves the broken connection open until the next offer, so that its last audio is played. */
  #prepareRedial(redial: Redialling): void {
    this.#attempt++;
    this.#timers.cancelAll();
    this.#peer?.detachListener();
    this.#credentials = null;
    this.#transition({ type: "redial", redial, atMs: performance.now() });
    this.#measure();
  }

  async #offerAgain(): Promise<void> {
    void this.#peer?.close();
    this.#peer = null;
    this.#attempt++;
    await this.#connect();
  }

  #endWith(reason: string, cause: Cause | null): void {
    if (cause && this.#mayCallAgain()) this.#callAgain(cause);
    else this.#end(reason);
  }

  #end(reason: string): void {
    if (this.state === "connecting") return this.#fail({ code: "unreachable" });
    if (this.state !== "open") return;
    this.#transition({ type: "ended", ending: { by: "server", reason }, atMs: performance.now() });
    this.#timers.after("drain", DRAIN_MS, () => {
      this.#transition({ type: "drained" });
      this.#release();
    });
  }

  #fail(problem: InnerProblem): void {
    this.#transition({ type: "failed", problem, atMs: performance.now() });
    this.#release();
  }

  #transition(event: CallEvent): void {
    const before = this.#status;
    this.#status = next(before, event);
    if (this.#status !== before) this.#events.emit("state", this.state);
  }

  /** Releases everything that a call holds, for good. */
  #release(): void {
    this.#isOver = true;
    this.#attempt++;
    this.#timers.cancelAll();
    this.#redialler.cancel();
    void this.#peer?.close();
    this.#media.release();
    this.#player.close();
    this.#measure();
    this.#peer = this.#credentials = this.#remote = null;
    this.#waiting.length = 0;
    removeEventListener("pagehide", this.close);
    removeEventListener("online", this.#handleOnline);
  }
}

/** @throws {TypeError} for a value that JSON cannot carry. */
const inputMessage = (values: readonly unknown[]): string =>
  JSON.stringify({ type: SET_INPUTS, data: [...values] });

/** The value of a text of JSON; any other text is a value itself. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

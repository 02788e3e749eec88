/** One call of a page of its own: the life of the call and the media, without a framework. */
import { canCall, type FallbackPeerOptions } from "../call/fallback";
import { LevelMeter, SILENCE } from "../call/levels";
import { Lifecycle } from "../call/lifecycle";
import type { NoticeText, ServerMessage } from "../call/messages";
import { sendClose, type Transport } from "../call/peer";
import { causeOfEnding, problemOf, reasonOf, Unavailable } from "../call/problems";
import type { CallState, Medium, Problem as InnerProblem, Redialling } from "../call/state";
import { Timers } from "../call/timers";
import type { Credentials } from "../types";
import type { Call, ConnectOptions, Events, Notice, Problem, State } from "./client";
import { Emitter } from "./emitter";
import { ClientMedia } from "./media";
import { OutputReader } from "./outputs";
import { Player } from "./player";
import { CLOSE_MS, folderOf, HttpServer } from "./signaling";
import { messageOf } from "./words";

/** Messages that wait until the call is open. Beyond it they are refused. */
const MAX_WAITING = 256;
/** The link's worklet, which every stream serves in its folder. */
const WORKLET = "client-worklet.js";
/** The seconds for which a notice is shown, unless the server has another time. */
const SHOWN_S = 10;
/** The twin of `SET_INPUTS` in `_session/client_inputs.py`. */
const SET_INPUTS = "set_inputs";

/**
 * Kept when the places of all calls that this page has closed are free, or a second after that.
 * Another call begins behind it, or a stream with one place would refuse it.
 */
let leaving: Promise<unknown> = Promise.resolve();

export class ClientCall implements Call {
  readonly #options: ConnectOptions;
  readonly #folder: URL;
  readonly #server: HttpServer;
  readonly #media: ClientMedia;
  readonly #player: Player;
  readonly #events = new Emitter();
  readonly #life = new Lifecycle({
    offerOptions: () => this.#offerOptions(),
    redials: () => this.#options.redial ?? this.#media.sends,
    endingOf: (reason) => ({ by: "server", reason }),
    isAtLimit: () => false,
    problemOf: (error) => this.#problemOf(error),
    onstate: (state) => this.#handleState(state),
    onanswer: (credentials) => this.#handleAnswer(credentials),
    onopen: () => this.#handleOpen(),
    onbroken: () => (this.#credentials = null),
    onrelease: () => this.#release(),
    onwritable: () => this.#sendWaiting(),
    ontrack: (track) => this.#handleTrack(track),
    onmessage: (message) => this.#handleMessage(message),
    ontext: (text) => this.#events.emit("message", valueOf(text)),
    onparametersrefused: () => undefined,
  });
  readonly #outputs = new OutputReader(
    () => this.#server.offer({ type: "outputs", ...this.#credentials }),
    (args) => {
      if (!this.#isOver) this.#events.emit("output", args);
    },
    () => this.#reportLostOutputs(),
  );
  #credentials: Credentials | null = null;
  #remote: MediaStream | null = null;
  #meter: LevelMeter | null = null;
  /** The message with the values for the handler, or null without any. */
  #inputs: string | null;
  /** True if the handler lacks them: they are sent before any message that waits. */
  #areInputsDue = false;
  /** Messages that wait for the call to open. */
  readonly #waiting: string[] = [];
  #isOver = false;

  constructor(options: ConnectOptions) {
    checkOptions(options);
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
    return this.#life.state.phase;
  }

  get problem(): Problem | null {
    const { problem } = this.#life.state;
    return problem && { ...problem, message: messageOf(problem) };
  }

  get reason(): string {
    const { ending } = this.#life.state;
    return ending?.by === "server" ? ending.reason : "";
  }

  get redial(): Redialling | null {
    return this.#life.state.redial;
  }

  get transport(): Transport | null {
    return this.#life.state.transport;
  }

  get isUnstable(): boolean {
    return this.#life.state.isUnstable;
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
    this.#sendInputs();
  };

  readonly mute = (isMuted = true): void => this.#media.mute(isMuted);

  readonly close = (): void => {
    if (this.#isOver) return;
    // A connection over WebRTC announces its end by itself, but nobody answers to that.
    const isAnnounced = this.transport === "webrtc" && this.#credentials;
    const announced = isAnnounced && sendClose(this.#server, isAnnounced);
    const closed = this.#life.hangUp();
    // Without a call there was nothing to hang up.
    if (!this.#isOver) this.#release();
    leaving = Promise.all([leaving, atMost(CLOSE_MS, Promise.all([announced, closed]))]);
  };

  async #start(): Promise<void> {
    if (this.#isOver) return;
    addEventListener("pagehide", this.close);
    addEventListener("online", this.#handleOnline);
    await this.#life.start(this.#media.opensDevices, async () => {
      if (!canCall(this.#fallback)) throw new Unavailable("unsupported_browser");
      await this.#media.open();
    });
  }

  get #fallback(): NonNullable<ConnectOptions["fallback"]> {
    return this.#options.fallback ?? "auto";
  }

  readonly #handleOnline = (): void => this.#life.online();

  async #offerOptions(): Promise<FallbackPeerOptions> {
    await leaving;
    const { sends, kinds, stream } = this.#media;
    return {
      server: this.#server,
      root: this.#server.url.href,
      worklet: new URL(WORKLET, this.#folder),
      fallback: this.#fallback,
      mode: sends ? "send-receive" : "receive",
      kinds,
      stream,
      configuration: null,
      parameters: null,
    };
  }

  #handleState(state: CallState): void {
    this.#events.emit("state", state.phase);
    this.#measure();
  }

  #handleAnswer(credentials: Credentials): void {
    this.#credentials = credentials;
    // A track of WebRTC, which did not connect, has no place beside one of the link.
    this.#remote = new MediaStream();
  }

  #handleOpen(): void {
    this.#sendInputs();
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
        return this.#sendInputs();
      case "fetch_output":
        return this.#readOutputs();
      case "warning":
      case "error":
      case "info":
      case "success":
        return this.#notify(message.type, message);
      case "end_stream":
        return this.#life.endWith(message.text, causeOfEnding(message.code));
      case "turn":
        return this.#events.emit("turn", message.turn);
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
    if (this.state === "open" && this.#life.peer?.send(text)) return true;
    return this.#waiting.length < MAX_WAITING && this.#waiting.push(text) > 0;
  }

  /** Sends the inputs, if the page has any: now, or as soon as the call can. */
  #sendInputs(): void {
    this.#areInputsDue = this.#inputs !== null;
    this.#sendWaiting();
  }

  /** Sends what waits, once the call is open and the transport takes texts: both may come first. */
  #sendWaiting(): void {
    if (this.#areInputsDue) this.#areInputsDue = !this.#deliver(this.#inputs);
    while (!this.#areInputsDue && this.#deliver(this.#waiting[0])) this.#waiting.shift();
  }

  /** Sends one text; what the transport cannot carry is reported, and holds up no other. */
  #deliver(text: string | null | undefined): boolean {
    if (this.state !== "open" || typeof text !== "string") return false;
    try {
      return this.#life.peer?.send(text) ?? false;
    } catch (error) {
      this.#notify("error", { text: `Not sent: ${reasonOf(error)}` });
      return true;
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
    try {
      const track = await this.#media.replace(medium);
      if (track) await this.#life.peer?.replaceTrack(track);
      if (track && this.local) this.#meter?.watch("local", this.local);
    } catch (error) {
      if (!this.#isOver) this.#life.fail(this.#problemOf(error));
    }
  }

  #problemOf(error: unknown): InnerProblem {
    return problemOf(error, this.#media.constraints);
  }

  /** Releases everything that a call holds, for good. */
  #release(): void {
    this.#isOver = true;
    this.#media.release();
    this.#player.close();
    this.#credentials = this.#remote = null;
    this.#waiting.length = 0;
    removeEventListener("pagehide", this.close);
    removeEventListener("online", this.#handleOnline);
  }
}

/** @throws {TypeError} for what no call can have; media are checked where they are read. */
function checkOptions({ fallback = "auto", audio, video, inputs }: ConnectOptions): void {
  if (!["auto", "never", "always"].includes(fallback)) {
    throw new TypeError(`fallback: expected "auto", "never" or "always", got "${fallback}"`);
  }
  for (const [name, element] of Object.entries({ audio, video })) {
    if (element && !("srcObject" in Object(element))) {
      throw new TypeError(`${name}: expected a media element, got ${typeof element}`);
    }
  }
  inputMessage(inputs ?? []);
}

/** Resolves with the task, or after this time. */
async function atMost(ms: number, task: Promise<unknown>): Promise<void> {
  const timers = new Timers();
  await Promise.race([task, new Promise((resolve) => timers.after("limit", ms, () => resolve(null)))]);
  timers.cancelAll();
}

/** @throws {TypeError} for what is no list, and for a value that JSON cannot carry. */
function inputMessage(values: readonly unknown[]): string {
  if (!Array.isArray(values)) throw new TypeError(`inputs: expected a list, got ${typeof values}`);
  return JSON.stringify({ type: SET_INPUTS, data: values });
}

/** The value of a text of JSON; any other text is a value itself. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** One call as the page sees it: runes around the state machine, the peer and the devices. */
import type { CallHost, Credentials, NoticeKind } from "../types";
import { CallAudio } from "./audio.svelte";
import { Capture } from "./capture";
import { DeviceChoice } from "./choice.svelte";
import { canCall, FallbackPeer } from "./fallback";
import type { NoticeText, ServerMessage } from "./messages";
import type { Peer, PeerListener, Transport } from "./peer";
import { causeOfEnding, causeOfFirst, impliesServerAway, problemOf, Unavailable } from "./problems";
import { RECOVER_MS, type Cause } from "./redial";
import { Redialler } from "./redialler";
import { Seconds } from "./seconds.svelte";
import {
  IDLE,
  isActive,
  isDialling,
  next,
  type CallEvent,
  type CallState,
  type Medium,
  type Problem,
  type Redialling,
} from "./state";
import { Timers } from "./timers";

/** The time limit for a connection to be established, in ms: as long as the server waits. */
const CONNECT_TIMEOUT_MS = 30_000;
/** The audio that a browser's jitter buffer may still hold when the server ends a call, in ms. */
const DRAIN_MS = 400;
/** A call that ends within this many seconds of its limit counts as ended by the limit. */
const LIMIT_SLACK_S = 1.5;
/** The beginning of the server's reason for that; the twin of the text in `session.py`. */
const LIMIT_REASON = "The time limit of ";
/** The stop word is confirmed on the page for this long, in ms. */
const STOPWORD_SHOWN_MS = 2500;

const TRACK_KINDS = {
  audio: ["audio"],
  video: ["video"],
  "audio-video": ["audio", "video"],
} as const;

export class Call {
  status = $state.raw<CallState>(IDLE);
  local = $state.raw<MediaStream | null>(null);
  remote = $state.raw<MediaStream | null>(null);
  hasStopword = $state(false);

  readonly devices = new DeviceChoice();
  readonly audio = new CallAudio();
  readonly #seconds = new Seconds();
  readonly #host: CallHost;
  readonly #timers = new Timers();
  #capture: Capture | null = null;
  #peer: Peer | null = null;
  /** True if `start_recording` has been dispatched and `stop_recording` has not. */
  #isOpen = false;
  readonly #redialler = new Redialler({
    redialling: (redial) => this.#prepareRedial(redial),
    offer: () => this.#offerAgain(),
    fail: (problem) => this.#fail(problem),
    problemOf: (error) => problemOf(error, this.#constraints()),
  });
  /** Grows with each start and each end, so that a result for an earlier attempt is recognised. */
  #attempt = 0;

  constructor(host: CallHost) {
    this.#host = host;
  }

  get elapsedS(): number {
    return this.#seconds.elapsed;
  }

  get isActive(): boolean {
    return isActive(this.status.phase);
  }

  /** Starts a call unless there is one. Never rejects: `status` holds the outcome. */
  async start(): Promise<void> {
    if (this.isActive) return;
    const attempt = ++this.#attempt;
    this.#redialler.reset();
    this.#isOpen = false;
    const sends = this.#host.props.mode !== "receive";
    this.#transition({ type: "start", asksPermission: sends });
    try {
      if (!canCall(this.#host.props.fallback)) throw new Unavailable("unsupported_browser");
      if (sends) await this.#openDevices();
      if (attempt !== this.#attempt) return;
      this.#transition({ type: "granted" });
      this.#timers.after("connect", CONNECT_TIMEOUT_MS, () => this.#fail({ code: "unreachable" }));
      await this.#connect();
    } catch (error) {
      if (attempt === this.#attempt) this.#handleFailed(error);
    }
  }

  /** Call when the browser has a network again: a call that waits for one is made now. */
  online(): void {
    this.#redialler.online();
  }

  /** Hangs up at once; has no effect without a call. */
  stop(): void {
    if (!this.isActive) return;
    const isServerAway = this.#isServerAway();
    this.#transition({ type: "hang_up", atMs: performance.now() });
    this.#release(isServerAway);
  }

  toggle(): void {
    if (this.isActive) this.stop();
    else void this.start();
  }

  /** Ends a running call and starts another: the effect of Python's command to start. */
  async restart(): Promise<void> {
    this.stop();
    await this.start();
  }

  muteMicrophone(isMuted: boolean): void {
    this.audio.isMicrophoneMuted = isMuted;
    this.#capture?.mute(isMuted);
  }

  /** Sends a line of text along with the credentials; has no effect without a call. */
  submit(textbox: string): void {
    if (this.#host.value === null) return;
    this.#host.value = { ...this.#host.value, textbox };
    this.#host.dispatch("submit");
  }

  /** Switches to this microphone or camera, in a running call too; null is the browser's choice. */
  async choose(medium: Medium, id: string | null): Promise<void> {
    const before = this.devices[medium];
    this.devices[medium] = id;
    this.devices.problem = null;
    try {
      await this.#replace(medium);
    } catch (error) {
      this.devices[medium] = before;
      this.devices.problem = problemOf(error, this.#constraints());
    }
  }

  /** Opens and releases the devices: browsers report labels only after the user has agreed. */
  async nameDevices(): Promise<void> {
    if (this.isActive) return;
    const attempt = ++this.#attempt;
    this.#transition({ type: "start", asksPermission: true });
    try {
      await this.#openDevices();
      if (attempt === this.#attempt) this.stop();
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(problemOf(error, this.#constraints()));
    }
  }

  #constraints(): MediaStreamConstraints {
    const { modality, track_constraints } = this.#host.props;
    return this.devices.constraints(modality, track_constraints);
  }

  async #openDevices(): Promise<void> {
    const media = navigator.mediaDevices;
    if (!media) throw new Unavailable(isSecureContext ? "unsupported_browser" : "insecure_page");
    const constraints = (): MediaStreamConstraints => this.#constraints();
    const onlost = (medium: Medium): void => void this.#replaceLost(medium);
    const capture = new Capture({ media, constraints, onlost });
    this.#capture = capture;
    capture.mute(this.audio.isMicrophoneMuted);
    this.local = await capture.open();
    await this.devices.refresh();
  }

  async #connect(): Promise<void> {
    const { props, root, server } = this.#host;
    const options = {
      server,
      root,
      fallback: props.fallback,
      mode: props.mode,
      kinds: TRACK_KINDS[props.modality],
      stream: this.local,
      configuration: props.rtc_configuration,
      parameters: props.rtp_params,
      query: globalThis.location?.search,
    };
    this.#peer = new FallbackPeer(options, this.#listener());
    await this.#peer.call();
  }

  #listener(): PeerListener {
    return {
      onanswer: (credentials) => this.#handleAnswer(credentials),
      onfailed: (error) => this.#handleFailed(error),
      onconnected: (transport) => this.#handleConnected(transport),
      onunstable: () => this.#handleUnstable(),
      onlost: () => this.#handleLost(),
      onclosed: () => void this.#handleClosed(),
      ontrack: (track) => this.#handleTrack(track),
      onmessage: (message) => this.#handleMessage(message),
      onparametersrefused: (reason) => this.#host.dispatch("warning", reason),
    };
  }

  #handleAnswer(credentials: Credentials): void {
    this.#host.value = credentials;
    // A track of WebRTC, which did not connect, has no place beside one of the link.
    this.remote = null;
  }

  /** An offer failed; while a call is made again, another one may follow. */
  #handleFailed(error: unknown): void {
    if (this.status.redial) return this.#redialler.failed(error);
    const [cause, problem] = [causeOfFirst(error), problemOf(error, this.#constraints())];
    if (cause) this.#callAgain(cause, problem);
    else this.#fail(problem);
  }

  #handleConnected(transport: Transport): void {
    const isFirst = isDialling(this.status.phase);
    this.#transition({ type: "connected", transport, atMs: performance.now() });
    this.#timers.cancel("recover");
    if (!isFirst) return;
    this.#redialler.connected();
    this.#timers.cancel("connect");
    this.audio.start((activity) => this.#transition({ type: "activity", activity }));
    this.audio.watch("local", this.local);
    this.audio.watch("remote", this.remote);
    this.#seconds.start(() => void this.#lookUpCall());
    // For the app, a call that was made again is the same one as the call that broke.
    if (!this.#isOpen) this.#host.dispatch("start_recording");
    this.#isOpen = true;
    // In receive mode the tick makes the server call the app's function.
    if (this.#host.props.mode === "receive") this.#host.dispatch("tick");
  }

  #handleTrack(track: MediaStreamTrack): void {
    this.remote = new MediaStream([...(this.remote?.getTracks() ?? []), track]);
    this.audio.watch("remote", this.remote);
  }

  #handleMessage(message: ServerMessage): void {
    switch (message.type) {
      case "send_input":
        return this.#host.dispatch("tick");
      case "fetch_output":
        return this.#host.dispatch("state_change");
      case "warning":
      case "error":
      case "info":
      case "success":
        return this.#dispatchNotice(message.type, message);
      case "end_stream":
        return this.#endWith(message.text, causeOfEnding(message.code));
      case "stopword":
        this.hasStopword = true;
        return this.#timers.after("stopword", STOPWORD_SHOWN_MS, () => (this.hasStopword = false));
      case "log":
        // The turn that the stop word opened is over: the next one needs the stop word again.
        if (message.text === "pause_detected") this.hasStopword = false;
        return this.#transition({
          type: "activity",
          activity: this.audio.onServerLog(message.text),
        });
    }
  }

  /**
   * Dispatches a message to the user.
   *
   * Gradio shows a title or a duration of our own only when they come from Python: such a message
   * goes to the server as an event and returns from there.
   */
  #dispatchNotice(kind: NoticeKind, { text, style }: NoticeText): void {
    if (style) this.#host.dispatch("notice", { kind, text, ...style });
    else if (kind !== "success") this.#host.dispatch(kind, text);
  }

  /** Replaces an unplugged device with the browser's next choice. */
  async #replaceLost(medium: Medium): Promise<void> {
    this.devices.reset(medium);
    const capture = this.#capture;
    try {
      await this.#replace(medium);
    } catch (error) {
      if (capture === this.#capture) this.#fail(problemOf(error, this.#constraints()));
    }
  }

  async #replace(medium: Medium): Promise<void> {
    if (this.local === null || this.#capture === null) return;
    const track = await this.#capture.replace(medium === "camera" ? "video" : "audio");
    if (track) await this.#peer?.replaceTrack(track);
    if (medium === "microphone") this.audio.watch("local", this.local);
  }

  /**
   * True if a call that breaks may be made again by itself.
   *
   * In receive mode it may not: the app starts the stream, on a click of its own, and a new call
   * would begin it again.
   */
  #mayCallAgain(): boolean {
    return this.status.phase === "open" && this.#host.props.mode !== "receive";
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
    if (!this.#mayCallAgain() || this.#isAtLimit()) return this.#end("");
    const peer = this.#peer;
    this.#timers.after("recover", RECOVER_MS, () => this.#handleLost());
    const lookup = await peer?.lookUp();
    if (peer !== this.#peer || this.status.phase !== "open") return;
    if (lookup === "unreachable") this.#handleLost();
    else this.#end("");
  }

  #handleLost(): void {
    const { phase, redial } = this.status;
    if (this.#isAtLimit()) return this.#end("");
    if (redial) return this.#callAgain(redial.cause);
    if (this.#mayCallAgain()) return this.#callAgain("lost");
    this.#fail({ code: phase === "open" ? "lost" : "unreachable" });
  }

  #callAgain(cause: Cause, problem: Problem = { code: cause }): void {
    this.#redialler.callAgain(cause, problem);
  }

  /** Leaves the broken connection open until the next offer, so that its last audio is played. */
  #prepareRedial(redial: Redialling): void {
    this.#attempt++;
    this.#timers.cancelAll();
    this.#peer?.detachListener();
    this.#seconds.stop();
    this.audio.stop();
    this.hasStopword = false;
    this.#host.value = null;
    this.#transition({ type: "redial", redial, atMs: performance.now() });
  }

  async #offerAgain(): Promise<void> {
    void this.#peer?.close();
    this.#peer = this.remote = null;
    this.#attempt++;
    await this.#connect();
  }

  #endWith(reason: string, cause: Cause | null): void {
    if (cause && this.#mayCallAgain()) this.#callAgain(cause);
    else this.#end(reason);
  }

  /**
   * True if the server is out of reach, as far as is known: of the causes for which a call is made
   * again, only `busy` comes from a server that stays.
   */
  #isServerAway(): boolean {
    const { redial } = this.status;
    return redial !== null && redial.cause !== "busy";
  }

  #end(reason: string): void {
    if (this.status.phase === "connecting") return this.#fail({ code: "unreachable" });
    if (this.status.phase !== "open") return;
    // The page has its own text for the limit; any other reason came from the app.
    const isApps = reason !== "" && !reason.startsWith(LIMIT_REASON);
    const ending =
      !isApps && this.#isAtLimit()
        ? ({ by: "time_limit" } as const)
        : ({ by: "server", reason } as const);
    this.#transition({ type: "ended", ending, atMs: performance.now() });
    this.#timers.after("drain", DRAIN_MS, () => {
      this.#transition({ type: "drained" });
      this.#release();
    });
  }

  #isAtLimit(): boolean {
    const { time_limit } = this.#host.props;
    return time_limit !== null && this.#seconds.elapsedMs / 1000 > time_limit - LIMIT_SLACK_S;
  }

  #fail(problem: Problem): void {
    const isServerAway = this.#isServerAway() && impliesServerAway(problem);
    this.#transition({ type: "failed", problem, atMs: performance.now() });
    this.#release(isServerAway);
  }

  #transition(event: CallEvent): void {
    this.status = next(this.status, event);
  }

  /**
   * Releases everything that a call holds, and dispatches `stop_recording`.
   *
   * The event is left out when the server is away: Gradio would reload the page over an event
   * that it cannot deliver.
   */
  #release(isServerAway = false): void {
    this.#attempt++;
    const wasOpen = this.#isOpen;
    this.#isOpen = wasOpen && isServerAway;
    this.#timers.cancelAll();
    this.#redialler.cancel();
    this.#seconds.stop();
    void this.#peer?.close();
    this.#capture?.release();
    this.audio.stop();
    this.#peer = this.#capture = null;
    this.local = this.remote = null;
    this.hasStopword = false;
    this.#host.value = null;
    if (wasOpen && !isServerAway) this.#host.dispatch("stop_recording");
  }
}

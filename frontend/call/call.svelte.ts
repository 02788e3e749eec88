/** One call as the page sees it: runes around the life of the call and the devices. */
import type { CallHost, Credentials, NoticeKind, TurnTimings } from "../types";
import { CallAudio } from "./audio.svelte";
import { Capture } from "./capture";
import { DeviceChoice } from "./choice.svelte";
import { canCall, type FallbackPeerOptions } from "./fallback";
import { Lifecycle } from "./lifecycle";
import type { NoticeText, ServerMessage } from "./messages";
import { causeOfEnding, problemOf, Unavailable } from "./problems";
import { Seconds } from "./seconds.svelte";
import { IDLE, isActive, type CallState, type Ending, type Medium } from "./state";
import { Timers } from "./timers";

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
  /** The last turn of this call, also after its end; null before the first. */
  turn = $state.raw<TurnTimings | null>(null);

  readonly devices = new DeviceChoice();
  readonly audio = new CallAudio();
  readonly #seconds = new Seconds();
  readonly #host: CallHost;
  readonly #timers = new Timers();
  #capture: Capture | null = null;
  /** True if `start_recording` has been dispatched and `stop_recording` has not. */
  #isOpen = false;
  readonly #life = new Lifecycle({
    offerOptions: () => this.#offerOptions(),
    // In receive mode the app starts the stream, on a click of its own, and a new call would begin
    // it again.
    redials: () => this.#host.props.mode !== "receive",
    endingOf: (reason) => this.#endingOf(reason),
    isAtLimit: () => this.#isAtLimit(),
    problemOf: (error) => problemOf(error, this.#constraints()),
    onstate: (state) => (this.status = state),
    onanswer: (credentials) => this.#handleAnswer(credentials),
    onopen: () => this.#handleOpen(),
    onbroken: () => this.#reset(),
    onrelease: (isServerAway) => this.#release(isServerAway),
    ontrack: (track) => this.#handleTrack(track),
    onmessage: (message) => this.#handleMessage(message),
    onparametersrefused: (reason) => this.#host.dispatch("warning", reason),
  });

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
    this.#isOpen = false;
    this.turn = null;
    const { mode, fallback } = this.#host.props;
    const sends = mode !== "receive";
    await this.#life.start(sends, async () => {
      if (!canCall(fallback)) throw new Unavailable("unsupported_browser");
      if (sends) await this.#openDevices();
    });
  }

  /** Call when the browser has a network again: a call that waits for one is made now. */
  online(): void {
    this.#life.online();
  }

  /** Hangs up at once; has no effect without a call. */
  stop(): void {
    void this.#life.hangUp();
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
    await this.#life.tryDevices(() => this.#openDevices());
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

  #offerOptions(): FallbackPeerOptions {
    const { props, root, server } = this.#host;
    return {
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
  }

  #handleAnswer(credentials: Credentials): void {
    this.#host.value = credentials;
    // A track of WebRTC, which did not connect, has no place beside one of the link.
    this.remote = null;
  }

  #handleOpen(): void {
    this.audio.start((activity) => this.#life.transition({ type: "activity", activity }));
    this.audio.watch("local", this.local);
    this.audio.watch("remote", this.remote);
    this.#seconds.start(() => void this.#life.lookUp());
    // For the app, a call that was made again is the same one as the call that broke.
    if (!this.#isOpen) this.#host.dispatch("start_recording");
    this.#isOpen = true;
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
      case "turn":
        this.turn = message.turn;
        return;
      case "end_stream":
        return this.#life.endWith(message.text, causeOfEnding(message.code));
      case "stopword":
        this.hasStopword = true;
        return this.#timers.after("stopword", STOPWORD_SHOWN_MS, () => (this.hasStopword = false));
      case "log":
        // The turn that the stop word opened is over: the next one needs the stop word again.
        if (message.text === "pause_detected") this.hasStopword = false;
        return this.#life.transition({
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
      if (capture === this.#capture) this.#life.fail(problemOf(error, this.#constraints()));
    }
  }

  async #replace(medium: Medium): Promise<void> {
    if (this.local === null || this.#capture === null) return;
    const track = await this.#capture.replace(medium === "camera" ? "video" : "audio");
    if (track) await this.#life.peer?.replaceTrack(track);
    if (medium === "microphone") this.audio.watch("local", this.local);
  }

  #endingOf(reason: string): Ending {
    // The page has its own text for the limit; any other reason came from the app.
    const isApps = reason !== "" && !reason.startsWith(LIMIT_REASON);
    return !isApps && this.#isAtLimit() ? { by: "time_limit" } : { by: "server", reason };
  }

  #isAtLimit(): boolean {
    const { time_limit } = this.#host.props;
    return time_limit !== null && this.#seconds.elapsedMs / 1000 > time_limit - LIMIT_SLACK_S;
  }

  /** Discards what belongs to one connection. */
  #reset(): void {
    this.#timers.cancelAll();
    this.#seconds.stop();
    this.audio.stop();
    this.hasStopword = false;
    this.#host.value = null;
  }

  /**
   * Releases everything that a call holds, and dispatches `stop_recording`.
   *
   * The event is left out when the server is away: Gradio would reload the page over an event
   * that it cannot deliver.
   */
  #release(isServerAway: boolean): void {
    const wasOpen = this.#isOpen;
    this.#isOpen = wasOpen && isServerAway;
    this.#reset();
    this.#capture?.release();
    this.#capture = this.local = this.remote = null;
    if (wasOpen && !isServerAway) this.#host.dispatch("stop_recording");
  }
}

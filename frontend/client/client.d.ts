/**
 * The client of gradio_webrtc for pages of your own: a call to the handler of a `Stream`, over WebRTC
 * or, where that does not connect, over the app's own origin.
 *
 *     import { connect } from "@gradio-webrtc/client";
 *
 *     const call = connect({ url: "/talk", media: { audio: true } });
 *     call.on("state", (state) => console.log(state, call.problem?.message ?? call.reason));
 *     call.on("message", (data) => console.log(data));
 *     button.onclick = () => call.close();
 */

/**
 * Makes a call, and returns it at once; its state reports the progress. The call begins behind the
 * code that runs now: listeners that are added there miss nothing, and a call that is closed there
 * asks for no microphone, as in an effect that React's StrictMode runs twice.
 *
 * @throws {TypeError} for options that no call can have.
 */
export declare function connect(options?: ConnectOptions): Call;

export interface ConnectOptions {
  /**
   * The folder of the stream's routes, such as "/talk" or "https://example.com/talk": the `path` with
   * which it is mounted. By default the folder from which this file was loaded.
   */
  url?: string | URL;
  /** What is sent and received; by default `{ audio: true }`. */
  media?: { audio?: Media; video?: Media };
  /**
   * The element that plays the handler's audio; false for none, where the page does so itself. By
   * default `video`, which keeps both in step, or an element of the call's own.
   */
  audio?: HTMLMediaElement | false;
  /** The element that shows the handler's video. */
  video?: HTMLVideoElement;
  /** The values for `additional_inputs` of the stream, in their order; see `Call.setInputs`. */
  inputs?: readonly unknown[];
  /**
   * When the call goes over a WebSocket or HTTP, which need no UDP: if WebRTC does not connect
   * ("auto", the default), "never" or "always". The stream must allow it.
   */
  fallback?: "auto" | "never" | "always";
  /** STUN and TURN servers, or a function that returns them for each try. */
  rtcConfiguration?: RTCConfiguration | (() => RTCConfiguration | Promise<RTCConfiguration>);
  /**
   * True to make a call again that broke: three times, with growing waits. By default for calls that
   * send something: a handler that only sends would begin again.
   */
  redial?: boolean;
}

/**
 * One kind of media: true for a device of the user's, or constraints for one; a stream or a track of
 * the page's own, of which the call sends a copy: it stays open, is as muted as it was, and is muted
 * by `Call.mute` from then on; "receive" to send none, as for a stream of the mode "receive"; false
 * for none at all.
 */
export type Media = boolean | "receive" | MediaTrackConstraints | MediaStream | MediaStreamTrack;

/**
 * - `idle`: the call has not begun yet, or the page has closed it.
 * - `permission`: the browser asks the user for the microphone or the camera.
 * - `connecting`: the call is being made.
 * - `open`: media can flow.
 * - `redialling`: the call broke, or the server had no room, and it is made again by itself.
 * - `closing`: the server has ended the call, and its last audio is still being played.
 * - `ended`: the server ended the call; `reason` is its text.
 * - `failed`: the call could not be made, or it broke; `problem` is the reason.
 */
export type State =
  "idle" | "permission" | "connecting" | "open" | "redialling" | "closing" | "ended" | "failed";

/** The reason for which there is no call. */
export interface Problem {
  /**
   * - `permission_refused`, `no_device`, `device_busy`: of the `medium`.
   * - `insecure_page`: neither HTTPS nor localhost; `unsupported_browser`.
   * - `limit_reached`: the stream has no place; `busy`: the server has no room for the moment.
   * - `handler_failed`: the handler refused the call.
   * - `refused`: for any other reason.
   * - `unreachable`, `stopping`, `lost`: of the server, or the network.
   */
  code:
    | "permission_refused"
    | "no_device"
    | "device_busy"
    | "insecure_page"
    | "unsupported_browser"
    | "limit_reached"
    | "handler_failed"
    | "refused"
    | "busy"
    | "stopping"
    | "unreachable"
    | "lost";
  /** A sentence for the user, in English or in the words of the handler. */
  message: string;
  medium?: "microphone" | "camera";
  /** Calls at once, where that is the reason. */
  limit?: number | null;
  /** The title that the handler gave its error. */
  title?: string | null;
}

/** A text for the user. */
export interface Notice {
  kind: "error" | "warning" | "info" | "success";
  text: string;
  title: string | null;
  /** Seconds; null to show it until the user closes it. */
  duration: number | null;
}

/** A level from 0, which is silence, to 1; `bands` are five, from low to high frequencies. */
export interface Level {
  loudness: number;
  bands: number[];
}

/**
 * The moments of a turn in seconds since the session connected, and the times between them, with the
 * names of `TurnTimings` in Python, whose documentation explains them. Null for what never came.
 */
export interface Turn {
  number: number;
  last_speech_s: number | null;
  candidate_s: number | null;
  decision_s: number | null;
  function_start_s: number | null;
  first_item_s: number | null;
  first_packet_s: number | null;
  heard_s: number | null;
  /** From the last speech, or the decision without one, to the first packet of the answer. */
  response_s: number | null;
  /** From there to the moment at which it is heard: the sum of pause, wait, sending and delivery. */
  total_s: number | null;
  function_s: number | null;
  pause_s: number | null;
  wait_s: number | null;
  sending_s: number | null;
  delivery_s: number | null;
  discarded_starts: number;
  was_interrupted: boolean;
}

/** The events of a call, and what their listeners get. */
export interface Events {
  /** The state is another one, or what the call states about it, such as `isUnstable`. */
  state: State;
  /** A value that the handler sent with `send`. */
  message: unknown;
  /** The values of one `AdditionalOutputs` of the handler. */
  output: unknown[];
  /** A track of the handler's, and the stream of all of them. */
  track: { track: MediaStreamTrack; stream: MediaStream };
  /** Twelve times a second in an open call, and only while somebody listens. */
  level: { local: Level; remote: Level };
  /** An event of the conversation, such as "pause_detected", "response_starting" or "stopword". */
  log: string;
  /**
   * A turn of the user's is answered, or ended without; from a stream with `latency=True`. Once a
   * turn, when its answer is on its way.
   */
  turn: Turn;
  /** A warning, an information or a success that the handler shows to the user. */
  notice: Notice;
  /**
   * An error of the handler, or something that the call could not do; it goes on. Without a listener
   * the text goes to the console.
   */
  error: Notice;
  /** True when the browser plays nothing before the next click; false once it does. */
  blocked: boolean;
}

/** One call. Its methods need no `this`, and do nothing once it is over. */
export interface Call {
  readonly state: State;
  /** The reason of "failed", or null. */
  readonly problem: Problem | null;
  /** The server's reason for "closing" and "ended"; may be empty. */
  readonly reason: string;
  /** In "redialling": the cause, and true if the browser has no network. Otherwise null. */
  readonly redial: { cause: "lost" | "stopping" | "busy"; isOffline: boolean } | null;
  /** In "open": what carries the call. Otherwise null. */
  readonly transport: "webrtc" | "link" | null;
  /** True while an open call is interrupted; it may recover. */
  readonly isUnstable: boolean;
  /** The id of the session for the server's code, such as `stream.set_input`; null without one. */
  readonly id: string | null;
  /** What is sent, from "connecting" on: to show the user's own camera. */
  readonly local: MediaStream | null;
  readonly remote: MediaStream | null;
  readonly isMuted: boolean;

  /**
   * Adds a listener, and returns the function that removes it. Either, and `close`, may be called in a
   * listener. An exception in one goes to the window's "error" event, and keeps none from its turn.
   *
   * @throws {TypeError} for an event that does not exist.
   */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
  /**
   * Sends a value to the handler's `on_message`, once the call is open; up to 256 wait for that.
   * A server admits 50 in a second and 64 KiB in each, unless it was set otherwise. One that waits
   * and turns out to be more than the transport can carry is an "error" of the call.
   *
   * @returns false when the call is over, or too many wait.
   * @throws {TypeError} for a value that JSON cannot carry.
   * @throws {Error} in an open call, for more than the transport can carry.
   */
  send(data: unknown): boolean;
  /**
   * Passes values to the handler, in the order of the stream's `additional_inputs`: now in an open
   * call, when a call opens, and whenever the server asks for them. What the server or the transport
   * refuses is an "error" of the call.
   *
   * @throws {TypeError} for what is no list of values of JSON.
   */
  setInputs(values: readonly unknown[]): void;
  /** Sends silence in place of the microphone, or no longer. */
  mute(isMuted?: boolean): void;
  /** Hangs up and releases the devices; may be called at any time. A page that is left does so itself. */
  close(): void;
}

/** The types that Python and the page exchange: the twin of the component's constructor. */

export type Mode = "send-receive" | "send" | "receive";
export type Modality = "audio" | "video" | "audio-video";

/** When a call goes over the link, which needs no UDP: if WebRTC does not connect, or always. */
export type Fallback = "auto" | "never" | "always";

/** Identifies a call in requests to the server, which issued both with its answer. */
export interface Credentials {
  webrtc_id: string;
  secret: string;
}

/** The component's value in Python: null between calls, the credentials during one. */
export type Value = (Credentials & { textbox?: string }) | null;

/** The value with which Python starts a call in receive mode. */
export const START_COMMAND = "start_webrtc_stream";

export interface ButtonLabels {
  start?: string;
  stop?: string;
  waiting?: string;
}

/** Constraints of one medium, or `{audio, video}` for both. */
export type TrackConstraints =
  | MediaTrackConstraints
  | { audio?: MediaTrackConstraints | boolean; video?: MediaTrackConstraints | boolean };

/** The component's own arguments. Label, visible, container and similar ones are Gradio's. */
export interface WebRTCProps {
  mode: Mode;
  modality: Modality;
  /** Pixels as a number, or any CSS length. */
  height: number | string | null;
  width: number | string | null;
  mirror_webcam: boolean;
  rtc_configuration: RTCConfiguration | null;
  track_constraints: TrackConstraints | null;
  /** Seconds, or null for no limit. */
  time_limit: number | null;
  rtp_params: Partial<RTCRtpSendParameters> | null;
  /** Address of an image, or Gradio's file of one, which is its form after a change by an event. */
  icon: string | { url?: string | null } | null;
  /** CSS colours. */
  icon_button_color: string | null;
  pulse_color: string | null;
  /** Per cent of the icon's size: 50 is a circle, 0 a square. */
  icon_radius: number | null;
  button_labels: ButtonLabels | null;
  variant: "wave" | "textbox";
  /** True if a button offers to fill the screen with the video. */
  full_screen: boolean;
  /** The use of the app's own origin where WebRTC does not connect. */
  fallback: Fallback;
  /** True for a bar that shows where the time of the last answer went. */
  latency: boolean;
}

/** The moments of a turn, and the times between them: names of `TurnTimings` in Python. */
export const TURN_TIMES = [
  "last_speech_s",
  "candidate_s",
  "decision_s",
  "function_start_s",
  "first_item_s",
  "first_packet_s",
  "heard_s",
  "response_s",
  "total_s",
  "function_s",
  "pause_s",
  "wait_s",
  "sending_s",
  "delivery_s",
] as const;

/** One turn of the user's; times in seconds, null for what never came. */
export interface TurnTimings extends Record<(typeof TURN_TIMES)[number], number | null> {
  number: number;
  discarded_starts: number;
  was_interrupted: boolean;
}

export type NoticeKind = "warning" | "error" | "info" | "success";

/** A message to the user; `duration` in seconds, null to show it until the user closes it. */
export interface Notice {
  kind: NoticeKind;
  text: string;
  title: string;
  duration: number | null;
}

/** The Gradio events that the page dispatches, with their data. */
export interface WebRTCEvents {
  tick: undefined;
  state_change: undefined;
  submit: undefined;
  start_recording: undefined;
  stop_recording: undefined;
  notice: Notice;
  error: string;
  warning: string;
  info: string;
}

/** The server functions of the component, as Gradio passes them. */
export interface Server {
  turn(argument: null): Promise<unknown>;
  offer(body: object): Promise<unknown>;
}

/** The environment of a call: its arguments, the server, the value and the events. */
export interface CallHost {
  readonly props: WebRTCProps;
  readonly server: Server;
  /** The address of the app, with a slash at its end. */
  readonly root: string;
  value: Value;
  dispatch<Name extends keyof WebRTCEvents>(name: Name, data?: WebRTCEvents[Name]): void;
}

/** The shared arguments of Gradio that are used here. */
export interface SharedProps {
  id: number;
  elem_id?: string | null;
  elem_classes?: string[] | null;
  visible: boolean | "hidden";
  interactive?: boolean;
  container?: boolean;
  label?: string | null;
  show_label?: boolean | null;
  scale?: number | null;
  min_width?: number | null;
  server: Server;
  register_component?: (
    id: number,
    set: (data: Record<string, unknown>) => void,
    get: () => Promise<Record<string, unknown>>,
  ) => void;
  unregister_component?: (id: number, set: (data: Record<string, unknown>) => void) => void;
  dispatcher?: (id: number, event: string, data: unknown) => void;
}

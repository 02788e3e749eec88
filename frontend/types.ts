/** What crosses the border between Python and the page: the twin of the component's constructor. */

export type Mode = "send-receive" | "send" | "receive";
export type Modality = "audio" | "video" | "audio-video";

/** How the page says which call it means; the secret was issued by the server with its answer. */
export interface Credentials {
  webrtc_id: string;
  secret: string;
}

/** What the page gives to Python: nothing between calls, the credentials during one. */
export type Value = (Credentials & { textbox?: string }) | null;

/** Python's order to a component in receive mode: connect now. */
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

/** The component's own arguments; label, visible, container and the like are Gradio's. */
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
  /** Address of a picture, or Gradio's file of one: what an event changed comes so. */
  icon: string | { url?: string | null } | null;
  /** CSS colours. */
  icon_button_color: string | null;
  pulse_color: string | null;
  /** Per cent of the icon's size: 50 is a circle, 0 a square. */
  icon_radius: number | null;
  button_labels: ButtonLabels | null;
  variant: "wave" | "textbox";
  /** Whether a button offers to fill the screen with the picture. */
  full_screen: boolean;
}

export type NoticeKind = "warning" | "error" | "info" | "success";

/** Words for the reader; `duration` in seconds, null for until they are closed. */
export interface Notice {
  kind: NoticeKind;
  text: string;
  title: string;
  duration: number | null;
}

/** Gradio events the page dispatches, with what they carry. */
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

/** The server functions of the component, as Gradio hands them over. */
export interface Server {
  turn(argument: null): Promise<unknown>;
  offer(body: object): Promise<unknown>;
}

/** What a call needs of the page around it. */
export interface CallHost {
  readonly props: WebRTCProps;
  readonly server: Server;
  value: Value;
  dispatch<Name extends keyof WebRTCEvents>(name: Name, data?: WebRTCEvents[Name]): void;
}

/** Gradio's shared arguments, as far as they are used here. */
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

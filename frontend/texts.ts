/** All texts of the page, and those of them that Gradio translates. */
import type { Cause } from "./call/redial";
import type { Activity, CallState, Medium, Problem, Redialling } from "./call/state";
import type { ButtonLabels, Mode, WebRTCProps } from "./types";

export type Translate = (key: string) => string;

/** The page warns from this many seconds before the time limit. */
export const WARN_S = 10;

/**
 * Keys of Gradio's dictionaries that fit, with Gradio's English text for each. A page in English
 * shows our texts, which are meant for calls; any other language shows Gradio's translation.
 */
const GRADIO = {
  start: { key: "audio.record", english: "Record", ours: "Start" },
  stop: { key: "audio.stop", english: "Stop", ours: "Stop" },
  cancel: { key: "chatbot.cancel", english: "Cancel", ours: "Cancel" },
  retry: { key: "chatbot.retry", english: "Retry", ours: "Try again" },
  connecting: { key: "audio.waiting", english: "Waiting", ours: "Connecting…" },
  noMicrophone: {
    key: "audio.no_microphone",
    english: "No microphone found",
    ours: "No microphone found",
  },
  noDevices: { key: "common.no_devices", english: "No devices found", ours: "No camera found" },
  audio: { key: "audio.audio", english: "Audio", ours: "Audio" },
  video: { key: "video.video", english: "Video", ours: "Video" },
  message: {
    key: "chat_interface.message_placeholder",
    english: "Type a message...",
    ours: "Type a message…",
  },
  submit: { key: "common.submit", english: "Submit", ours: "Send" },
} as const;

/** Labels of controls in English, for which Gradio has no keys. */
export const LABELS = {
  microphone: "Microphone",
  camera: "Camera",
  speaker: "Speaker",
  muteMicrophone: "Mute microphone",
  muteSpeaker: "Mute speaker",
  devices: "Devices",
  closeDevices: "Close devices",
  defaultDevice: "System default",
  nameDevices: "Show device names",
  namesHint: "Names appear once the browser allows access.",
  fullScreen: "Full screen",
  leaveFullScreen: "Leave full screen",
  playAudio: "Play sound",
  elapsed: "Time in this call",
  almostOver: "Ten seconds left in this call.",
  blockedAudio: "The browser waits for a click before it plays sound.",
  localVideo: "Your camera",
  remoteVideo: "Live picture",
  latency: "Time to the last answer",
  answer: "Answer",
  noAnswer: "none",
  interrupted: "interrupted",
} as const;

/** The parts of the time to an answer, in their order; see `TurnTimings` for each. */
export const LATENCY_PARTS = [
  { name: "pause", label: "Pause" },
  { name: "wait", label: "Function" },
  { name: "sending", label: "Sending" },
  { name: "delivery", label: "Network" },
] as const;

export interface StatusText {
  title: string;
  detail: string;
}

export type Phrase = keyof typeof GRADIO;

/** Returns a phrase in the language of the page, as far as Gradio has a translation. */
export function localize(phrase: Phrase, translate: Translate): string {
  const { key, english, ours } = GRADIO[phrase];
  const translated = translate(key);
  return translated === english || translated === key ? ours : translated;
}

/** Formats a duration as minutes and seconds, with hours only if there are some. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Formats a length of time in milliseconds, such as "1,250 ms". */
export const milliseconds = (seconds: number): string =>
  `${Math.round(seconds * 1000).toLocaleString("en")} ms`;

/** Returns the status text of a call. */
export function describe(
  status: CallState,
  hasStopword: boolean,
  { mode, modality, time_limit }: Pick<WebRTCProps, "mode" | "modality" | "time_limit">,
  translate: Translate,
): StatusText {
  switch (status.phase) {
    case "idle":
      return idle(status, mode, modality === "audio" ? "microphone" : "camera");
    case "permission":
      return PERMISSION[modality];
    case "connecting":
      return { title: localize("connecting", translate), detail: "" };
    case "open":
      if (status.isUnstable) return UNSTABLE;
      if (hasStopword) return STOPWORD;
      if (modality === "video" && mode !== "receive") return live("Live");
      return IN_CALL[mode][status.activity];
    case "redialling":
      return again(status.redial);
    case "closing":
    case "ended":
      return ended(status, mode, time_limit);
    case "failed":
      return status.problem ? explain(status.problem, translate) : { title: "", detail: "" };
  }
}

/** Returns a quiet line about an open call, or null: over the link, media comes later. */
export function noteOn(
  { phase, transport }: CallState,
  { modality }: Pick<WebRTCProps, "modality">,
): string | null {
  if (phase !== "open" || transport !== "link") return null;
  return `Connected without UDP: ${MEDIA[modality]} may lag a little.`;
}

/** Returns the text for screen readers: for changes of the call, but not for each turn. */
export function announce(
  status: CallState,
  statusText: StatusText,
  hasStopword: boolean,
  leftS: number,
  note: string | null = null,
): string {
  if (status.phase !== "open") {
    return [statusText.title, statusText.detail].filter(Boolean).join(". ");
  }
  if (status.isUnstable) return UNSTABLE.title;
  if (leftS <= WARN_S) return LABELS.almostOver;
  return hasStopword ? STOPWORD.title : (note ?? "Connected");
}

/** Returns the label of the button: that of the app if it has one. */
export function buttonLabel(
  { phase }: CallState,
  labels: ButtonLabels | null,
  translate: Translate,
): string {
  switch (phase) {
    case "permission":
    case "connecting":
    case "redialling":
      return labels?.waiting || localize("cancel", translate);
    case "open":
    case "closing":
      return labels?.stop || localize("stop", translate);
    default:
      return labels?.start || localize(phase === "failed" ? "retry" : "start", translate);
  }
}

/** Returns a description of a problem, with advice for the user. */
export function explain(problem: Problem, translate: Translate): StatusText {
  switch (problem.code) {
    case "permission_refused":
      return {
        title: `The ${problem.medium} is blocked`,
        detail: `Allow the ${problem.medium} for this page in the address bar, then try again.`,
      };
    case "no_device":
      return {
        title: localize(problem.medium === "camera" ? "noDevices" : "noMicrophone", translate),
        detail: `Connect a ${problem.medium}, then try again.`,
      };
    case "device_busy":
      return {
        title: `The ${problem.medium} cannot be used`,
        detail: "Another program may be using it. Close that, then try again.",
      };
    case "limit_reached":
      return { title: "All lines are busy", detail: busy(problem.limit) };
    case "handler_failed":
      return { title: problem.title ?? "The call could not begin", detail: problem.message };
    case "refused":
      return { title: "The call was refused", detail: problem.message };
    default:
      return FAILURES[problem.code];
  }
}

const MEDIA: Record<WebRTCProps["modality"], string> = {
  audio: "audio",
  video: "video",
  "audio-video": "audio and video",
};

const PERMISSION: Record<WebRTCProps["modality"], StatusText> = {
  audio: { title: "Allow the microphone", detail: "The browser is asking for your permission." },
  video: { title: "Allow the camera", detail: "The browser is asking for your permission." },
  "audio-video": {
    title: "Allow camera and microphone",
    detail: "The browser is asking for your permission.",
  },
};

const UNSTABLE: StatusText = {
  title: "The connection is unstable",
  detail: "Waiting for it to recover…",
};

const STOPWORD: StatusText = { title: "Heard you", detail: "Go ahead and speak." };

const TURNS: Record<Activity, StatusText> = {
  none: { title: "Connected", detail: "Go ahead and speak." },
  ready: { title: "Your turn", detail: "Go ahead and speak." },
  listening: { title: "Listening", detail: "" },
  thinking: { title: "Thinking…", detail: "" },
  speaking: { title: "Speaking", detail: "" },
};

const live = (title: string): StatusText => ({ title, detail: "" });

const IN_CALL: Record<Mode, Record<Activity, StatusText>> = {
  "send-receive": TURNS,
  send: { ...TURNS, none: live("Live"), ready: live("Live"), speaking: live("Live") },
  receive: {
    none: live("Playing"),
    ready: live("Playing"),
    listening: live("Playing"),
    thinking: live("Playing"),
    speaking: live("Playing"),
  },
};

const AGAIN: Record<Cause, StatusText> = {
  lost: { title: "The connection was lost", detail: "Calling again…" },
  stopping: { title: "The server is restarting", detail: "Calling again…" },
  busy: { title: "The server is busy", detail: "Calling again…" },
};

const OFFLINE: StatusText = {
  title: "There is no network",
  detail: "The call goes on as soon as there is one.",
};

const again = (redial: Redialling | null): StatusText =>
  redial?.isOffline ? OFFLINE : AGAIN[redial?.cause ?? "lost"];

type Failure =
  "insecure_page" | "unsupported_browser" | "unreachable" | "lost" | "busy" | "stopping";

const FAILURES: Record<Failure, StatusText> = {
  insecure_page: {
    title: "This page is not secure",
    detail:
      "Browsers give the microphone and camera only to pages opened by https:// or on localhost.",
  },
  unsupported_browser: {
    title: "This browser cannot make calls",
    detail: "It lacks WebRTC. A current Chrome, Edge, Firefox or Safari has it.",
  },
  unreachable: {
    title: "The server could not be reached",
    detail: "A firewall may be in the way. Try again, or from another network.",
  },
  lost: {
    title: "The connection was lost",
    detail: "Check the network, then try again, or load the page again.",
  },
  busy: {
    title: "The server is busy",
    detail: "Try again in a moment.",
  },
  stopping: {
    title: "The server has stopped",
    detail: "Try again in a while.",
  },
};

function idle({ lastedS }: CallState, mode: Mode, medium: Medium): StatusText {
  if (lastedS !== null) {
    const title = mode === "receive" ? "Stopped" : "Call ended";
    return { title, detail: `It lasted ${clock(lastedS)}.` };
  }
  if (mode === "receive") return { title: "Nothing is playing", detail: "" };
  return { title: "Ready when you are", detail: `Your ${medium} is off.` };
}

function ended({ ending, lastedS }: CallState, mode: Mode, limitS: number | null): StatusText {
  if (ending?.by === "time_limit" && limitS !== null) {
    return { title: "Time is up", detail: `Calls here are limited to ${clock(limitS)}.` };
  }
  const reason = ending?.by === "server" ? ending.reason : "";
  if (mode === "receive") return { title: "Finished", detail: reason };
  const lasted = lastedS === null ? "" : `It lasted ${clock(lastedS)}.`;
  return { title: "Call ended", detail: reason || lasted };
}

function busy(limit: number | null): string {
  if (limit === null) return "Try again in a moment.";
  const people = limit === 1 ? "one caller" : `${limit} callers`;
  return `There is room for ${people} at a time. Try again in a moment.`;
}

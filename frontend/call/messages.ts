/** Messages of the server in a call and its replies to requests: parsed and checked. */
import { TURN_TIMES, type Credentials, type TurnTimings } from "../types";

/** The messages of the server over the data channel; the twin of `_messages.py`. */
export type ServerMessage =
  | { type: "send_input" }
  | { type: "fetch_output" }
  | { type: "stopword" }
  /** What was sent of the answer is not to be played: the user speaks over it. */
  | { type: "hold" }
  /** The answer, or the next one, is to be played again. */
  | { type: "resume" }
  | ({ type: "warning" } & NoticeText)
  | ({ type: "error" } & NoticeText)
  | ({ type: "info" } & NoticeText)
  | ({ type: "success" } & NoticeText)
  /** A turn of the user's is answered, or ended without; only where the app shows it. */
  | { type: "turn"; turn: TurnTimings }
  | { type: "end_stream"; text: string; code: string }
  | { type: "log"; text: string };

/** A text to show to the user, as Gradio shows its own warnings. */
export interface NoticeText {
  text: string;
  /** Absent for Gradio's default: the name of the kind as the title, for ten seconds. */
  style?: NoticeStyle;
}

export interface NoticeStyle {
  title: string;
  /** Seconds; null to show it until the user closes it. */
  duration: number | null;
}

/** Gradio's titles for the kinds of messages, and its duration in seconds. */
const USUAL_TITLES = {
  warning: "Warning",
  error: "Error",
  info: "Info",
  success: "Success",
} as const;
const USUAL_DURATION = 10;

/** Messages of early servers, before messages were JSON. */
const PLAIN_TEXT_MESSAGES = new Map<string, ServerMessage>([
  ["tick", { type: "send_input" }],
  ["change", { type: "fetch_output" }],
  ["stopword", { type: "stopword" }],
]);

/** Parses a message; null for an unknown one, since newer servers may send more types. */
export function parseMessage(raw: unknown): ServerMessage | null {
  if (typeof raw !== "string") return null;
  const plain = PLAIN_TEXT_MESSAGES.get(raw);
  if (plain) return plain;
  const parsed = asRecord(parseJson(raw));
  switch (parsed?.type) {
    case "send_input":
    case "fetch_output":
    case "stopword":
    case "hold":
    case "resume":
      return { type: parsed.type };
    case "warning":
    case "error":
    case "info":
    case "success":
      return { type: parsed.type, ...noticeTextOf(parsed.type, parsed) };
    case "end_stream":
      return {
        type: parsed.type,
        text: textOf(parsed),
        code: typeof parsed.code === "string" ? parsed.code : "",
      };
    case "turn":
      return turnOf(asRecord(parsed.data));
    case "log":
      return { type: parsed.type, text: textOf(parsed) };
    default:
      return null;
  }
}

export interface Answer extends Credentials {
  sdp: string;
  /** True if the server has more candidates than the answer; the page requests them once. */
  hasMoreCandidates: boolean;
}

/** The server's answer to a request for a link: codecs of its choice, null for a missing medium. */
export interface LinkAnswer extends Credentials {
  codec: "opus" | "pcm16" | null;
  hasVideo: boolean;
  /** False if a WebSocket would be refused. */
  hasWebSocket: boolean;
  /** Relative to the root of the app. */
  path: string;
}

/**
 * The server refused an offer, or did not answer it.
 *
 * `code` is the server's error code; `unreachable`, `invalid_answer` and `refused` (for a refusal
 * without a code) are ours.
 */
export class OfferRefused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly limit: number | null = null,
    readonly title: string | null = null,
  ) {
    super(message);
    this.name = "OfferRefused";
  }
}

/**
 * Returns the answer in the server's reply to an offer.
 *
 * @throws {OfferRefused} when the server refused, or its reply is no answer.
 */
export function readAnswer(reply: unknown): Answer {
  const { answer, credentials } = readReply(reply, "answer");
  if (typeof answer.sdp !== "string") throw invalidAnswer();
  return { ...credentials, sdp: answer.sdp, hasMoreCandidates: answer.candidates_follow === true };
}

/**
 * Returns the answer in the server's reply to a request for a link.
 *
 * @throws {OfferRefused} as `readAnswer` does.
 */
export function readLinkAnswer(reply: unknown): LinkAnswer {
  const { answer, credentials } = readReply(reply, "link");
  const codec = asRecord(answer.audio)?.codec ?? null;
  if (codec !== null && codec !== "opus" && codec !== "pcm16") throw invalidAnswer();
  if (typeof answer.path !== "string") throw invalidAnswer();
  const [hasVideo, hasWebSocket] = [answer.video === "jpeg", answer.websocket !== false];
  return { ...credentials, codec, hasVideo, hasWebSocket, path: answer.path };
}

function readReply(
  reply: unknown,
  type: string,
): { answer: Record<string, unknown>; credentials: Credentials } {
  // Gradio's client does not pass on errors of the network: it returns undefined.
  if (reply === undefined) throw new OfferRefused("unreachable", "The server does not answer.");
  const answer = asRecord(reply);
  if (answer?.status === "failed") throw refusal(asRecord(answer.meta) ?? {});
  const { webrtc_id, secret } = answer ?? {};
  if (answer?.type !== type || typeof webrtc_id !== "string" || typeof secret !== "string") {
    throw invalidAnswer();
  }
  return { answer, credentials: { webrtc_id, secret } };
}

const invalidAnswer = (): OfferRefused =>
  new OfferRefused("invalid_answer", "The server's reply is not an answer.");

/** Returns the candidates in the server's reply, without unreadable ones. */
export function readCandidates(reply: unknown): RTCIceCandidateInit[] {
  const list = asRecord(reply)?.candidates;
  if (!Array.isArray(list)) return [];
  return list.flatMap((item) => {
    const candidate = asRecord(item);
    if (typeof candidate?.candidate !== "string" || candidate.candidate === "") return [];
    return [
      {
        candidate: candidate.candidate,
        sdpMid: typeof candidate.sdpMid === "string" ? candidate.sdpMid : null,
        sdpMLineIndex: typeof candidate.sdpMLineIndex === "number" ? candidate.sdpMLineIndex : null,
      },
    ];
  });
}

/** Reads from the reply to a request for candidates if the server has the call. */
export function readLookup(reply: unknown): "found" | "not_found" | "unreachable" {
  if (reply === undefined) return "unreachable";
  // A server that fails for another reason may still have the call.
  const meta = asRecord(asRecord(reply)?.meta);
  return meta?.error === "unknown_connection" ? "not_found" : "found";
}

function refusal(meta: Record<string, unknown>): OfferRefused {
  const code = typeof meta.error === "string" ? meta.error : "refused";
  const message = typeof meta.message === "string" ? meta.message : code;
  const limit = typeof meta.limit === "number" ? meta.limit : null;
  return new OfferRefused(code, message, limit, typeof meta.title === "string" ? meta.title : null);
}

function noticeTextOf(
  kind: keyof typeof USUAL_TITLES,
  message: Record<string, unknown>,
): NoticeText {
  const text = textOf(message);
  const title = typeof message.title === "string" ? message.title : USUAL_TITLES[kind];
  const { duration: sent = USUAL_DURATION } = message;
  const duration = typeof sent === "number" ? sent : null;
  // Gradio shows a component's own messages with its default title and duration only, and none of
  // success.
  const isUsual =
    kind !== "success" && title === USUAL_TITLES[kind] && duration === USUAL_DURATION;
  return isUsual ? { text } : { text, style: { title, duration } };
}

function turnOf(data: Record<string, unknown> | null): ServerMessage | null {
  if (typeof data?.number !== "number") return null;
  const { number, discarded_starts, was_interrupted } = data;
  const times = TURN_TIMES.map((name) => [name, typeof data[name] === "number" ? data[name] : null]);
  const turn = {
    ...(Object.fromEntries(times) as Pick<TurnTimings, (typeof TURN_TIMES)[number]>),
    number,
    discarded_starts: typeof discarded_starts === "number" ? discarded_starts : 0,
    was_interrupted: was_interrupted === true,
  };
  return { type: "turn", turn };
}

/** `message` is the older name of `data`; current servers send both. */
function textOf({ data, message }: Record<string, unknown>): string {
  if (typeof data === "string") return data;
  return typeof message === "string" ? message : "";
}

function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    // Text that is no JSON is not an error: handlers may send any text over the channel.
    return null;
  }
}

const asRecord = (value: unknown): Record<string, unknown> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;

/** Data-channel messages from the server and its replies to an offer: parsed and guarded. */

/** What the server says over the data channel; the twin of `messages.py`. */
export type ServerMessage =
  | { type: "send_input" }
  | { type: "fetch_output" }
  | { type: "stopword" }
  | ({ type: "warning" } & NoticeText)
  | ({ type: "error" } & NoticeText)
  | ({ type: "info" } & NoticeText)
  | ({ type: "success" } & NoticeText)
  | { type: "end_stream"; text: string; code: string }
  | { type: "log"; text: string };

/** What is shown to the reader, as Gradio shows its own warnings. */
export interface NoticeText {
  text: string;
  /** Absent when it is Gradio's usual look: the name of the kind above it, for ten seconds. */
  style?: NoticeStyle;
}

export interface NoticeStyle {
  title: string;
  /** Seconds; null for until the reader closes it. */
  duration: number | null;
}

const USUAL_TITLES = {
  warning: "Warning",
  error: "Error",
  info: "Info",
  success: "Success",
} as const;
const USUAL_DURATION = 10;

/** Words of the first dialect, before messages were JSON. */
const PLAIN_TEXT_MESSAGES = new Map<string, ServerMessage>([
  ["tick", { type: "send_input" }],
  ["change", { type: "fetch_output" }],
  ["stopword", { type: "stopword" }],
]);

/** The message in `raw`, or null when it is none we know: newer servers may say more than we do. */
export function parseMessage(raw: unknown): ServerMessage | null {
  if (typeof raw !== "string") return null;
  const plain = PLAIN_TEXT_MESSAGES.get(raw);
  if (plain) return plain;
  const parsed = asRecord(parseJson(raw));
  switch (parsed?.type) {
    case "send_input":
    case "fetch_output":
    case "stopword":
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
    case "log":
      return { type: parsed.type, text: textOf(parsed) };
    default:
      return null;
  }
}

export interface Answer {
  sdp: string;
  webrtc_id: string;
  secret: string;
  /** The server has more candidates than the answer names; they are to be asked for once. */
  hasMoreCandidates: boolean;
}

/** The server said no to an offer; `code` is one of its error codes, or its own words. */
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
 * The answer in the server's reply to an offer.
 *
 * @throws {OfferRefused} when the server refused, or its reply is no answer.
 */
export function readAnswer(reply: unknown): Answer {
  // Gradio's client keeps the network's errors to itself.
  if (reply === undefined) throw new OfferRefused("unreachable", "The server does not answer.");
  const answer = asRecord(reply);
  if (answer?.status === "failed") throw refusal(asRecord(answer.meta) ?? {});
  if (
    answer?.type !== "answer" ||
    typeof answer.sdp !== "string" ||
    typeof answer.webrtc_id !== "string" ||
    typeof answer.secret !== "string"
  ) {
    throw new OfferRefused("invalid_answer", "The server's reply is not an answer.");
  }
  const { sdp, webrtc_id, secret } = answer;
  return { sdp, webrtc_id, secret, hasMoreCandidates: answer.candidates_follow === true };
}

/** The candidates in the server's reply; an unreadable one is left out. */
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

/** Whether the server knows a call, by its reply to a request for candidates. */
export function readLookup(reply: unknown): "found" | "not_found" | "unreachable" {
  if (reply === undefined) return "unreachable";
  // A server that fails for another reason has not said so.
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
  // Of its own accord Gradio shows a component's words in the usual look, and no success.
  const isUsual =
    kind !== "success" && title === USUAL_TITLES[kind] && duration === USUAL_DURATION;
  return isUsual ? { text } : { text, style: { title, duration } };
}

/** `message` is the older name of `data`; servers of today send both. */
function textOf({ data, message }: Record<string, unknown>): string {
  if (typeof data === "string") return data;
  return typeof message === "string" ? message : "";
}

function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    // Not JSON is not an error: it is a message of somebody else's making.
    return null;
  }
}

const asRecord = (value: unknown): Record<string, unknown> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;

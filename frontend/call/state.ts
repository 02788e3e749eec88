/** The states of a call, and the one function that moves between them. */
import type { Transport } from "./peer";
import type { Cause } from "./redial";

/**
 * - `idle`: there is no call.
 * - `permission`: the browser asks the user for the microphone or the camera.
 * - `connecting`: the offer is on its way, or the paths to the server are being tried.
 * - `open`: media can flow.
 * - `redialling`: the call broke, or the server could not take it for the moment, and it is made
 *   again by itself; `redial` holds the cause.
 * - `closing`: the server has ended the call, and its last audio is still being played.
 * - `ended`: the server ended the call; `ending` holds the reason.
 * - `failed`: the call could not be established, or it broke; `problem` holds the reason.
 */
export type Phase =
  "idle" | "permission" | "connecting" | "open" | "redialling" | "closing" | "ended" | "failed";

export type Medium = "microphone" | "camera";

/** The reason for a missing call, in terms that the page can explain. */
export type Problem =
  | { code: "permission_refused"; medium: Medium }
  | { code: "no_device"; medium: Medium }
  | { code: "device_busy"; medium: Medium }
  | { code: "insecure_page" }
  | { code: "unsupported_browser" }
  | { code: "limit_reached"; limit: number | null }
  | { code: "handler_failed"; title: string | null; message: string }
  | { code: "refused"; message: string }
  | { code: "busy" }
  | { code: "stopping" }
  | { code: "unreachable" }
  | { code: "lost" };

/** The cause of a redial; `isOffline` while it waits for the browser's network. */
export interface Redialling {
  cause: Cause;
  isOffline: boolean;
}

/** The reason for which the server ended the call; its text may be empty. */
export type Ending = { by: "time_limit" } | { by: "server"; reason: string };

/** The turn of the conversation, as far as the server's log and the audio level show it. */
export type Activity = "none" | "ready" | "listening" | "thinking" | "speaking";

export interface CallState {
  phase: Phase;
  activity: Activity;
  /** What carries an open call, or null before. */
  transport: Transport | null;
  /** True while the connection is interrupted; the call may recover. */
  isUnstable: boolean;
  /** `performance.now()` when the call opened, or null before. */
  openedAtMs: number | null;
  /** Length of the last call in seconds, or null without one. */
  lastedS: number | null;
  problem: Problem | null;
  ending: Ending | null;
  redial: Redialling | null;
}

export type CallEvent =
  | { type: "start"; asksPermission: boolean }
  | { type: "granted" }
  | { type: "connected"; transport: Transport; atMs: number }
  | { type: "unstable" }
  | { type: "redial"; redial: Redialling; atMs: number }
  | { type: "activity"; activity: Activity }
  | { type: "hang_up"; atMs: number }
  | { type: "ended"; ending: Ending; atMs: number }
  | { type: "drained" }
  | { type: "failed"; problem: Problem; atMs: number };

export const IDLE: CallState = {
  phase: "idle",
  activity: "none",
  transport: null,
  isUnstable: false,
  openedAtMs: null,
  lastedS: null,
  problem: null,
  ending: null,
  redial: null,
};

const ACTIVE: ReadonlySet<Phase> = new Set([
  "permission",
  "connecting",
  "open",
  "redialling",
  "closing",
]);

/** Phases in which a call exists or is being made. */
export const isActive = (phase: Phase): boolean => ACTIVE.has(phase);

/** Phases in which a connection is being made. */
export const isDialling = (phase: Phase): boolean =>
  phase === "connecting" || phase === "redialling";

/**
 * Returns the state after an event. An event without a meaning in the current phase (for example a
 * late answer after hanging up) changes nothing: the same object is returned.
 */
export function next(state: CallState, event: CallEvent): CallState {
  const { phase } = state;
  switch (event.type) {
    case "start":
      if (isActive(phase)) return state;
      return { ...IDLE, phase: event.asksPermission ? "permission" : "connecting" };
    case "granted":
      return phase === "permission" ? { ...state, phase: "connecting" } : state;
    case "connected":
      return connected(state, event.transport, event.atMs);
    case "redial":
      if (phase !== "open" && !isDialling(phase)) return state;
      return { ...over(state, "redialling", event.atMs), redial: event.redial };
    case "unstable":
      return phase === "open" ? { ...state, isUnstable: true } : state;
    case "activity":
      if (phase !== "open" || state.activity === event.activity) return state;
      return { ...state, activity: event.activity };
    case "hang_up":
      return isActive(phase) ? over(state, "idle", event.atMs) : state;
    case "ended":
      if (phase !== "open") return state;
      return { ...over(state, "closing", event.atMs), ending: event.ending };
    case "drained":
      return phase === "closing" ? { ...state, phase: "ended" } : state;
    case "failed":
      if (!isActive(phase) || phase === "closing") return state;
      return { ...over(state, "failed", event.atMs), problem: event.problem };
  }
}

/** The first connection opens the call; a later one ends an interruption. */
function connected(state: CallState, transport: Transport, atMs: number): CallState {
  if (isDialling(state.phase)) {
    return { ...state, phase: "open", transport, openedAtMs: atMs, redial: null };
  }
  if (state.phase === "open" && state.isUnstable) return { ...state, isUnstable: false };
  return state;
}

function over(state: CallState, phase: Phase, atMs: number): CallState {
  // While a call is made again, the length is that of the call that broke.
  const lastedS = state.openedAtMs === null ? state.lastedS : (atMs - state.openedAtMs) / 1000;
  return { ...IDLE, phase, lastedS };
}

/** The states of a call, and the one function that moves between them. */
import type { Cause } from "./redial";

/**
 * - `idle`: nothing runs.
 * - `permission`: the browser asks for the microphone or the camera.
 * - `connecting`: the offer is on its way, or the paths to the server are being tried.
 * - `open`: media can flow.
 * - `redialling`: the call broke, or could not be taken for the moment, and is made again by
 *   itself; `redial` says why.
 * - `closing`: the other side has ended the call, its last sounds are still being played.
 * - `ended`: the other side ended the call; `ending` says why.
 * - `failed`: no call came about, or it broke; `problem` says why.
 */
export type Phase =
  "idle" | "permission" | "connecting" | "open" | "redialling" | "closing" | "ended" | "failed";

export type Medium = "microphone" | "camera";

/** Why there is no call, in terms the page can explain. */
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

/** Why the page calls again by itself, and whether it waits for the browser's network first. */
export interface Redialling {
  cause: Cause;
  isOffline: boolean;
}

/** Why the other side hung up; a reason may be empty. */
export type Ending = { by: "time_limit" } | { by: "server"; reason: string };

/** What the conversation is at, as far as the server and the sound tell. */
export type Activity = "none" | "ready" | "listening" | "thinking" | "speaking";

export interface CallState {
  phase: Phase;
  activity: Activity;
  /** The network stutters; the call may recover. */
  isUnstable: boolean;
  /** Milliseconds on the page's clock, or null before the call stands. */
  openedAtMs: number | null;
  /** Length of the last call in seconds. */
  lastedS: number | null;
  problem: Problem | null;
  ending: Ending | null;
  redial: Redialling | null;
}

export type CallEvent =
  | { type: "start"; asksPermission: boolean }
  | { type: "granted" }
  | { type: "connected"; atMs: number }
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
 * The state after an event. An event that has no meaning in the present phase (a late answer after
 * hanging up, say) leaves the state as it is: the same object comes back.
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
      return connected(state, event.atMs);
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

/** The first connection opens the call; a later one, after a stutter, steadies it. */
function connected(state: CallState, atMs: number): CallState {
  if (isDialling(state.phase)) return { ...state, phase: "open", openedAtMs: atMs, redial: null };
  if (state.phase === "open" && state.isUnstable) return { ...state, isUnstable: false };
  return state;
}

function over(state: CallState, phase: Phase, atMs: number): CallState {
  // While it is made again, what lasted is the call that broke.
  const lastedS = state.openedAtMs === null ? state.lastedS : (atMs - state.openedAtMs) / 1000;
  return { ...IDLE, phase, lastedS };
}

import { describe, expect, it } from "vitest";
import { IDLE, isActive, next, type CallEvent, type CallState } from "../call/state";

/** The state after these events, from idle. */
const after = (...events: CallEvent[]): CallState => events.reduce(next, IDLE);

const START: CallEvent = { type: "start", asksPermission: true };
const GRANTED: CallEvent = { type: "granted" };
const CONNECTED: CallEvent = { type: "connected", transport: "webrtc", atMs: 1000 };
const REFUSED: CallEvent = {
  type: "failed",
  problem: { code: "permission_refused", medium: "microphone" },
  atMs: 1500,
};

describe("a call that goes well", () => {
  it("asks, connects, opens and is hung up", () => {
    expect(after(START).phase).toBe("permission");
    expect(after(START, GRANTED).phase).toBe("connecting");
    expect(after(START, GRANTED, CONNECTED)).toMatchObject({ phase: "open", openedAtMs: 1000 });
    const hungUp = after(START, GRANTED, CONNECTED, { type: "hang_up", atMs: 4500 });
    expect(hungUp).toMatchObject({ phase: "idle", lastedS: 3.5, openedAtMs: null });
  });

  it("skips the permission when nothing is captured", () => {
    expect(after({ type: "start", asksPermission: false }).phase).toBe("connecting");
  });

  it("drops the last call when the next one starts", () => {
    const again = after(START, REFUSED, START);
    expect(again).toEqual({ ...IDLE, phase: "permission" });
  });
});

describe("a call that the server ends", () => {
  const ending = { by: "server", reason: "Good night." } as const;
  const open = [START, GRANTED, CONNECTED];

  it("plays its last audio before it is over", () => {
    const closing = after(...open, { type: "ended", ending, atMs: 2000 });
    expect(closing).toMatchObject({ phase: "closing", ending, lastedS: 1 });
    expect(next(closing, { type: "drained" })).toMatchObject({ phase: "ended", ending });
  });

  it("can be hung up while it plays it", () => {
    const events = [...open, { type: "ended", ending, atMs: 2000 } as const];
    expect(after(...events, { type: "hang_up", atMs: 2100 }).phase).toBe("idle");
  });

  it("does not fail after it has ended", () => {
    const closing = after(...open, { type: "ended", ending, atMs: 2000 });
    expect(next(closing, { type: "failed", problem: { code: "lost" }, atMs: 2100 })).toBe(closing);
  });
});

describe("a call that is interrupted", () => {
  const open = after(START, GRANTED, CONNECTED);

  it("is unstable, and steady again, without starting again", () => {
    const unstable = next(open, { type: "unstable" });
    expect(unstable).toMatchObject({ phase: "open", isUnstable: true });
    const steady = next(unstable, { type: "connected", transport: "webrtc", atMs: 9000 });
    expect(steady).toMatchObject({ phase: "open", isUnstable: false, openedAtMs: 1000 });
  });

  it("fails when it is lost", () => {
    const lost = next(open, { type: "failed", problem: { code: "lost" }, atMs: 3000 });
    expect(lost).toMatchObject({ phase: "failed", problem: { code: "lost" }, lastedS: 2 });
  });
});

describe("events that come too late", () => {
  it.each<[string, CallEvent]>([
    ["an answer", CONNECTED],
    ["a permission", GRANTED],
    ["a failure", REFUSED],
    ["an end", { type: "ended", ending: { by: "time_limit" }, atMs: 1 }],
    ["the end of the audio", { type: "drained" }],
    ["a turn", { type: "activity", activity: "speaking" }],
    ["an interruption", { type: "unstable" }],
    ["hanging up", { type: "hang_up", atMs: 1 }],
  ])("%s changes nothing when idle", (_name, event) => {
    expect(next(IDLE, event)).toBe(IDLE);
  });

  it("a second start changes nothing in a running call", () => {
    const open = after(START, GRANTED, CONNECTED);
    expect(next(open, START)).toBe(open);
  });

  it("an unchanged turn is the same state, so that nothing is painted", () => {
    const open = after(START, GRANTED, CONNECTED, { type: "activity", activity: "listening" });
    expect(next(open, { type: "activity", activity: "listening" })).toBe(open);
  });
});

it("separates phases with a call from those without", () => {
  const phases = [
    "idle",
    "permission",
    "connecting",
    "open",
    "closing",
    "ended",
    "failed",
  ] as const;
  expect(phases.filter(isActive)).toEqual(["permission", "connecting", "open", "closing"]);
});

import { describe as group, expect, it } from "vitest";
import { IDLE, type CallState } from "../call/state";
import {
  announce,
  buttonLabel,
  clock,
  describe,
  explain,
  localize,
  milliseconds,
  noteOn,
} from "../texts";

const english = (key: string): string =>
  ({ "audio.record": "Record", "audio.stop": "Stop", "audio.waiting": "Waiting" })[key] ?? key;
const german = (key: string): string =>
  ({ "audio.record": "Aufnehmen", "audio.stop": "Stopp", "audio.waiting": "Warten" })[key] ?? key;

const open: CallState = { ...IDLE, phase: "open", openedAtMs: 0 };
const audio = { mode: "send-receive", modality: "audio", time_limit: null } as const;

group("localize", () => {
  it("uses our English, and Gradio's other languages", () => {
    expect(localize("start", english)).toBe("Start");
    expect(localize("start", german)).toBe("Aufnehmen");
  });

  it("does not show a key that Gradio lacks", () => {
    expect(localize("noMicrophone", (key) => key)).toBe("No microphone found");
  });
});

it.each([
  [0, "0:00"],
  [9.9, "0:09"],
  [754, "12:34"],
  [3600, "1:00:00"],
  [-1, "0:00"],
])("clock(%d) is %s", (seconds, text) => expect(clock(seconds)).toBe(text));

it.each([
  [0, "0 ms"],
  [0.0204, "20 ms"],
  [1.25, "1,250 ms"],
  [61.2345, "61,235 ms"],
])("milliseconds(%d) is %s", (seconds, text) => expect(milliseconds(seconds)).toBe(text));

group("describe", () => {
  const title = (state: CallState, changes = {}): string =>
    describe(state, false, { ...audio, ...changes }, english).title;

  it("shows the turn", () => {
    const titles = (["none", "ready", "listening", "thinking", "speaking"] as const).map(
      (activity) => title({ ...open, activity }),
    );
    expect(titles).toEqual(["Connected", "Your turn", "Listening", "Thinking…", "Speaking"]);
  });

  it("calls a stream from the server playing, and shows when it was stopped", () => {
    const receive = { mode: "receive", modality: "video" };
    expect(title(IDLE, receive)).toBe("Nothing is playing");
    expect(title(open, receive)).toBe("Playing");
    expect(title({ ...IDLE, lastedS: 62 }, receive)).toBe("Stopped");
  });

  it("puts an interruption before everything else", () => {
    const unstable = { ...open, isUnstable: true, activity: "speaking" } as const;
    expect(title(unstable)).toBe("The connection is unstable");
  });

  it("shows that the stop word was detected", () => {
    expect(describe(open, true, audio, english).title).toBe("Heard you");
  });

  it("shows the length of a call, or the reason for its end", () => {
    const over = { ...IDLE, phase: "ended", lastedS: 62 } as const;
    const byServer = (reason: string): CallState => ({ ...over, ending: { by: "server", reason } });
    const detail = (state: CallState, time_limit: number | null = null): string =>
      describe(state, false, { ...audio, time_limit }, english).detail;
    expect(detail({ ...IDLE, lastedS: 62 })).toBe("It lasted 1:02.");
    expect(detail(byServer(""))).toBe("It lasted 1:02.");
    expect(detail(byServer("Good night."))).toBe("Good night.");
    expect(detail({ ...over, ending: { by: "time_limit" } }, 60)).toContain("1:00");
  });

  it("shows why the page calls again, and when it cannot", () => {
    const again = (redial: CallState["redial"]): CallState => ({
      ...IDLE,
      phase: "redialling",
      redial,
    });
    expect(title(again({ cause: "lost", isOffline: false }))).toBe("The connection was lost");
    expect(title(again({ cause: "stopping", isOffline: false }))).toBe("The server is restarting");
    expect(title(again({ cause: "busy", isOffline: false }))).toBe("The server is busy");
    expect(title(again({ cause: "busy", isOffline: true }))).toBe("There is no network");
  });

  it("asks for what the call needs", () => {
    const asking = { ...IDLE, phase: "permission" } as const;
    expect(title(asking)).toBe("Allow the microphone");
    expect(title(asking, { modality: "video" })).toBe("Allow the camera");
    expect(title(asking, { modality: "audio-video" })).toBe("Allow camera and microphone");
  });
});

group("noteOn", () => {
  const overLink: CallState = { ...open, transport: "link" };
  it.each([
    ["audio", "Connected without UDP: audio may lag a little."],
    ["video", "Connected without UDP: video may lag a little."],
    ["audio-video", "Connected without UDP: audio and video may lag a little."],
  ] as const)("prepares for the delay of %s over the link", (modality, note) => {
    expect(noteOn(overLink, { modality })).toBe(note);
  });

  it("has nothing to add to WebRTC, or to a call that is not open", () => {
    expect(noteOn({ ...open, transport: "webrtc" }, audio)).toBeNull();
    expect(noteOn({ ...overLink, phase: "closing" }, audio)).toBeNull();
    expect(noteOn(IDLE, audio)).toBeNull();
  });
});

group("explain", () => {
  it("advises when the microphone is blocked", () => {
    const statusText = explain({ code: "permission_refused", medium: "microphone" }, english);
    expect(statusText.title).toBe("The microphone is blocked");
    expect(statusText.detail).toContain("address bar");
  });

  it.each([
    [1, "one caller"],
    [3, "3 callers"],
    [null, "Try again"],
  ])("shows the limit of %j", (limit, text) => {
    expect(explain({ code: "limit_reached", limit }, english).detail).toContain(text);
  });

  it("keeps the server's message", () => {
    const statusText = explain({ code: "refused", message: "No audio in it." }, english);
    expect(statusText.detail).toBe("No audio in it.");
  });
});

group("announce", () => {
  const statusText = { title: "Speaking", detail: "" };

  it("does not talk over the conversation", () => {
    const announcements = (["listening", "thinking", "speaking"] as const).map((activity) =>
      announce({ ...open, activity }, statusText, false, Infinity),
    );
    expect(new Set(announcements)).toEqual(new Set(["Connected"]));
  });

  it("announces the end of the time, an interruption and the stop word", () => {
    expect(announce(open, statusText, false, 10)).toContain("Ten seconds");
    expect(announce({ ...open, isUnstable: true }, statusText, false, 10)).toContain("unstable");
    expect(announce(open, statusText, true, 60)).toBe("Heard you");
  });

  it("announces a note once the call is open, and nothing more important", () => {
    expect(announce(open, statusText, false, Infinity, "Slow.")).toBe("Slow.");
    expect(announce(open, statusText, true, Infinity, "Slow.")).toBe("Heard you");
    expect(announce({ ...open, isUnstable: true }, statusText, false, 60, "Slow.")).toContain(
      "unstable",
    );
  });

  it("announces everything else in full", () => {
    const failed = { title: "The microphone is blocked", detail: "Allow it." };
    expect(announce({ ...IDLE, phase: "failed" }, failed, false, Infinity)).toBe(
      "The microphone is blocked. Allow it.",
    );
  });
});

group("buttonLabel", () => {
  const all = { start: "Call Anna", stop: "Hang up", waiting: "Ringing" };
  const label = (phase: CallState["phase"], labels: object | null): string =>
    buttonLabel({ ...IDLE, phase }, labels, english);

  it("uses the app's labels, and ours where it has none", () => {
    const phases = ["idle", "connecting", "open", "failed"] as const;
    expect(phases.map((phase) => label(phase, all))).toEqual([
      "Call Anna",
      "Ringing",
      "Hang up",
      "Call Anna",
    ]);
    expect(phases.map((phase) => label(phase, { start: "", stop: "", waiting: "" }))).toEqual([
      "Start",
      "Cancel",
      "Stop",
      "Try again",
    ]);
    expect(label("idle", null)).toBe("Start");
  });
});

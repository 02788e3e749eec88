import { beforeEach, describe, expect, it, vi } from "vitest";
import { call, connection, dispatch, events, host, media, open, server } from "./calling";
import { ANSWER, deferred, FakeAudioContext, FakeTrack, namedError } from "./fakes";

describe("a call", () => {
  it("asks, connects and opens", async () => {
    const permission = deferred<void>();
    media.pending = permission.promise;
    const starting = call.start();
    expect(call.status.phase).toBe("permission");
    permission.resolve();
    await starting;
    expect(call.status.phase).toBe("connecting");
    connection().become("connected");
    expect(call.status.phase).toBe("open");
    expect(events()).toEqual(["start_recording"]);
  });

  it("has its credentials before its first message", async () => {
    dispatch.mockImplementation((name: string) => {
      if (name === "tick") expect(host.value).toEqual({ webrtc_id: "call-1", secret: "s3cret" });
    });
    await call.start();
    connection().deliver({ type: "send_input" });
    expect(events()).toEqual(["tick"]);
    expect.assertions(2);
  });

  it("gets its id from the server, each time", async () => {
    await open();
    call.stop();
    server.replies.offer = { ...ANSWER, webrtc_id: "call-2", secret: "0ther" };
    await open();
    for (const offer of server.ofType("offer")) expect(offer).not.toHaveProperty("webrtc_id");
    expect(host.value).toEqual({ webrtc_id: "call-2", secret: "0ther" });
  });

  it("releases everything when hung up", async () => {
    const pc = await open();
    pc.ontrack?.({ track: new FakeTrack("audio") });
    call.stop();
    expect(call.status).toMatchObject({ phase: "idle" });
    expect(pc.isClosed).toBe(true);
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(FakeAudioContext.open).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect([host.value, call.local, call.remote]).toEqual([null, null, null]);
    expect(events()).toEqual(["start_recording", "stop_recording"]);
  });

  it("does not open the microphone again after it", async () => {
    await open();
    call.stop();
    await vi.runAllTimersAsync();
    expect(media.requests).toHaveLength(1);
  });

  it("counts its seconds", async () => {
    await open();
    vi.advanceTimersByTime(61_500);
    expect(call.elapsedS).toBe(61);
  });
});

describe("giving up", () => {
  it("while the browser asks releases what is granted later", async () => {
    const permission = deferred<void>();
    media.pending = permission.promise;
    const starting = call.start();
    call.stop();
    permission.resolve();
    await starting;
    expect(call.status.phase).toBe("idle");
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(server.bodies).toEqual([]);
  });

  it("while the server has not answered ignores the answer", async () => {
    const reply = deferred<unknown>();
    server.replies.offer = reply.promise;
    const starting = call.start();
    await vi.waitFor(() => expect(server.ofType("offer")).toHaveLength(1));
    call.stop();
    reply.resolve(ANSWER);
    await starting;
    expect(call.status.phase).toBe("idle");
    expect(host.value).toBeNull();
    expect(connection().isClosed).toBe(true);
  });
});

describe("no call", () => {
  it.each([
    ["NotAllowedError", { code: "permission_refused", medium: "microphone" }],
    ["NotFoundError", { code: "no_device", medium: "microphone" }],
  ])("after %s, and the reason is kept", async (name, problem) => {
    media.refusals = [namedError(name)];
    await call.start();
    expect(call.status).toMatchObject({ phase: "failed", problem });
    expect(server.bodies).toEqual([]);
  });

  it("when all lines are busy, and the microphone is released", async () => {
    const meta = { error: "concurrency_limit_reached", limit: 2 };
    server.replies.offer = { status: "failed", meta };
    await call.start();
    expect(call.status).toMatchObject({
      phase: "failed",
      problem: { code: "limit_reached", limit: 2 },
    });
    expect(media.opened[0]?.readyState).toBe("ended");
  });

  it("on a page that is not secure", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", false);
    await call.start();
    expect(call.status.problem).toEqual({ code: "insecure_page" });
  });

  it("in a browser without WebRTC", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    await call.start();
    expect(call.status.problem).toEqual({ code: "unsupported_browser" });
  });

  it("when no path to the server is found in time", async () => {
    await call.start();
    vi.advanceTimersByTime(29_000);
    expect(call.status.phase).toBe("connecting");
    vi.advanceTimersByTime(1000);
    expect(call.status.problem).toEqual({ code: "unreachable" });
    expect(connection().isClosed).toBe(true);
  });

  it("does not prevent another try", async () => {
    media.refusals = [namedError("NotAllowedError")];
    await call.start();
    await open();
    expect(call.status.phase).toBe("open");
  });
});

describe("the server", () => {
  it("ends a call with its reason once the last audio is played", async () => {
    const pc = await open();
    pc.deliver({ type: "end_stream", data: "Good night." });
    expect(call.status.phase).toBe("closing");
    expect(pc.isClosed).toBe(false);
    pc.channel?.onclose?.();
    vi.advanceTimersByTime(400);
    const ending = { by: "server", reason: "Good night." };
    expect(call.status).toMatchObject({ phase: "ended", ending });
    expect(pc.isClosed).toBe(true);
  });

  it("may simply go away", async () => {
    const pc = await open();
    pc.channel?.onclose?.();
    await vi.advanceTimersByTimeAsync(400);
    expect(call.status.ending).toEqual({ by: "server", reason: "" });
  });

  it("ends a call at its limit", async () => {
    host.props.time_limit = 60;
    const pc = await open();
    vi.advanceTimersByTime(59_800);
    pc.channel?.onclose?.();
    vi.advanceTimersByTime(400);
    expect(call.status.ending).toEqual({ by: "time_limit" });
  });

  it("ends a call at its limit, and sends that as its reason", async () => {
    host.props.time_limit = 60;
    const pc = await open();
    vi.advanceTimersByTime(59_800);
    pc.deliver({ type: "end_stream", data: "The time limit of 60 seconds is reached." });
    vi.advanceTimersByTime(400);
    expect(call.status.ending).toEqual({ by: "time_limit" });
  });

  it("may have another reason shortly before the limit", async () => {
    host.props.time_limit = 2;
    const pc = await open();
    vi.advanceTimersByTime(1800);
    pc.deliver({ type: "end_stream", data: "We close at noon." });
    vi.advanceTimersByTime(400);
    expect(call.status.ending).toEqual({ by: "server", reason: "We close at noon." });
  });

  it("may get lost, but not at the first interruption", async () => {
    const pc = await open();
    pc.become("disconnected");
    expect(call.status).toMatchObject({ phase: "open", isUnstable: true });
    pc.become("failed");
    expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "lost" } });
  });

  it("reaches the user through events, toasts and the stop word", async () => {
    const pc = await open();
    dispatch.mockClear();
    pc.deliver({ type: "fetch_output", data: [] });
    pc.deliver({ type: "warning", message: "quiet", data: "quiet" });
    pc.deliver({ type: "error", message: "oops" });
    pc.deliver({ type: "info", message: "so far" });
    pc.deliver({ type: "warning", message: "quiet", title: "Mind", duration: 2 });
    pc.deliver({ type: "success", message: "done" });
    expect(dispatch.mock.calls).toEqual([
      ["state_change"],
      ["warning", "quiet"],
      ["error", "oops"],
      ["info", "so far"],
      ["notice", { kind: "warning", text: "quiet", title: "Mind", duration: 2 }],
      ["notice", { kind: "success", text: "done", title: "Success", duration: 10 }],
    ]);
    pc.deliver({ type: "stopword", data: "" });
    expect(call.hasStopword).toBe(true);
    vi.advanceTimersByTime(2500);
    expect(call.hasStopword).toBe(false);
    pc.deliver({ type: "stopword", data: "" });
    pc.deliver({ type: "log", data: "pause_detected" });
    expect(call.hasStopword).toBe(false);
    expect(call.status.activity).toBe("thinking");
  });
});

describe("the audio", () => {
  it("has levels, those of the microphone only while it is on", async () => {
    const pc = await open();
    pc.ontrack?.({ track: new FakeTrack("audio") });
    FakeAudioContext.amplitude = 0.5;
    vi.advanceTimersByTime(200);
    expect(call.audio.localLevel.loudness).toBeGreaterThan(0);
    expect(call.audio.remoteLevel.loudness).toBeGreaterThan(0);
    call.muteMicrophone(true);
    vi.advanceTimersByTime(200);
    expect(call.audio.localLevel.loudness).toBe(0);
    expect(media.opened[0]?.enabled).toBe(false);
  });

  it("shows when an answer is over", async () => {
    const pc = await open();
    pc.ontrack?.({ track: new FakeTrack("audio") });
    pc.deliver({ type: "log", data: "response_starting" });
    FakeAudioContext.amplitude = 0.5;
    vi.advanceTimersByTime(500);
    pc.deliver({ type: "log", data: "response_finished" });
    expect(call.status.activity).toBe("speaking");
    FakeAudioContext.amplitude = 0;
    vi.advanceTimersByTime(2000);
    expect(call.status.activity).toBe("ready");
  });
});

describe("devices", () => {
  it("can be chosen before a call", async () => {
    await call.choose("microphone", "desk");
    await open();
    expect(media.requests).toEqual([{ audio: { deviceId: { exact: "desk" } } }]);
  });

  it("can be changed in a call without a new offer", async () => {
    const pc = await open();
    await call.choose("microphone", "desk");
    expect(pc.senders[0]?.track).toBe(media.opened[1]);
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended", "live"]);
    expect(server.ofType("offer")).toHaveLength(1);
  });

  it("that cannot be opened leave the old one in use", async () => {
    await open();
    media.refusals = [namedError("NotReadableError")];
    await call.choose("microphone", "desk");
    expect(call.status.phase).toBe("open");
    expect(call.devices.microphone).toBeNull();
    expect(call.devices.problem).toEqual({ code: "device_busy", medium: "microphone" });
    expect(media.opened[0]?.readyState).toBe("live");
  });

  it("that are unplugged are replaced by what is left", async () => {
    const pc = await open();
    call.devices.microphone = "desk";
    media.opened[0]?.onended?.();
    await vi.waitFor(() => expect(pc.senders[0]?.track).toBe(media.opened[1]));
    expect(call.devices.microphone).toBeNull();
    expect(call.status.phase).toBe("open");
  });

  it("of which none is left end the call", async () => {
    await open();
    media.refusals = [namedError("NotFoundError")];
    media.opened[0]?.onended?.();
    await vi.waitFor(() => expect(call.status.phase).toBe("failed"));
    expect(call.status.problem).toEqual({ code: "no_device", medium: "microphone" });
  });

  it("can be named without a call", async () => {
    await call.nameDevices();
    expect(call.status.phase).toBe("idle");
    expect(call.devices.available.microphones).toEqual([{ id: "mic-1", label: "mic-1" }]);
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(server.bodies).toEqual([]);
  });
});

describe("receiving", () => {
  beforeEach(() => void (host.props.mode = "receive"));

  it("asks for no microphone and ticks when the server asks for inputs", async () => {
    await call.start();
    expect(events()).toEqual([]);
    connection().become("connected");
    expect(media.requests).toEqual([]);
    expect(events()).toEqual(["start_recording"]);
    connection().deliver({ type: "send_input", data: [] });
    expect(events()).toEqual(["start_recording", "tick"]);
  });

  it("starts again on a second command", async () => {
    const first = await open();
    first.deliver({ type: "send_input" });
    await call.restart();
    expect(first.isClosed).toBe(true);
    connection().become("connected");
    connection().deliver({ type: "send_input" });
    expect(events().filter((name) => name === "tick")).toHaveLength(2);
  });
});

it("sends a line of text beside the credentials", async () => {
  call.submit("too early");
  await open();
  call.submit("Hello");
  expect(host.value).toEqual({ webrtc_id: "call-1", secret: "s3cret", textbox: "Hello" });
  expect(events().filter((name) => name === "submit")).toHaveLength(1);
});

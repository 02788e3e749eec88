import { describe, expect, it, vi } from "vitest";
import { OFFER_RETRY_MS, RECOVER_MS } from "../../call/redial";
import type { Call } from "../../client/client";
import { ANSWER, FakeAudioContext, FakeTrack, namedError, deferred } from "../fakes";
import { FakeLinkPeer } from "../link_peer";
import {
  become,
  begin,
  collect,
  connection,
  media,
  open,
  page,
  pass,
  refusal,
  route,
  sent,
} from "./calling";

vi.mock("../../link/peer", async () => ({
  LinkPeer: (await import("../link_peer")).FakeLinkPeer,
}));

const offers = (): number => route.ofType("offer").length;
const tracks = (): string[] => media.opened.map(({ readyState }) => readyState);
/** Longer than any wait before a try. */
const WAIT_MS = 20_000;

describe("a call", () => {
  it("is returned at once, and reports its states", async () => {
    const call = begin();
    expect(call.state).toBe("idle");
    const states = collect(call, "state");
    await pass();
    expect(states).toEqual(["permission", "connecting"]);
    become("connected");
    expect(call).toMatchObject({ state: "open", transport: "webrtc", id: "call-1", problem: null });
    call.close();
    expect(states).toEqual(["permission", "connecting", "open", "idle"]);
    expect(call).toMatchObject({ id: null, local: null, remote: null });
  });

  it("that is closed at once asks for nothing", async () => {
    begin().close();
    const second = await open();
    expect(second.state).toBe("open");
    expect([media.requests.length, offers()]).toEqual([1, 1]);
  });

  it("that is closed during the question leaves no microphone open", async () => {
    const prompt = deferred<void>();
    media.pending = prompt.promise;
    const call = begin();
    await pass();
    call.close();
    prompt.resolve();
    await pass();
    expect(tracks()).toEqual(["ended"]);
    expect(offers()).toBe(0);
  });

  it.each(["permission", "connecting", "open"])(
    "that a listener closes in the state %s leaves nothing open",
    async (state) => {
      const call = begin();
      call.on("state", (now) => now === state && call.close());
      await pass();
      become("connected");
      await pass();
      expect(call.state).toBe("idle");
      expect(tracks().filter((each) => each !== "ended")).toEqual([]);
      expect(offers()).toBe(state === "open" ? 1 : 0);
    },
  );

  it("may be closed at any time, and twice", async () => {
    const call = await open();
    call.close();
    call.close();
    expect(connection().isClosed).toBe(true);
    expect(tracks()).toEqual(["ended"]);
    expect(call.send(1)).toBe(false);
    call.mute();
    call.setInputs([1]);
    expect(route.ofType("close")).toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
  });

  it("is closed with its page", async () => {
    const call = await open();
    page.dispatchEvent(new Event("pagehide"));
    expect(call.state).toBe("idle");
    expect(tracks()).toEqual(["ended"]);
    expect(route.requests.at(-1)).toMatchObject({ body: { type: "close" }, keepalive: true });
  });

  it("waits for the place of the one that was closed before", async () => {
    const reply = deferred<object>();
    route.replies.close = reply.promise;
    (await open()).close();
    const second = begin();
    await pass();
    expect([second.state, offers()]).toEqual(["connecting", 1]);
    reply.resolve({ status: "success" });
    await pass();
    expect(offers()).toBe(2);
  });

  it("waits for that no longer than a second, over the link too", async () => {
    const never = deferred<void>();
    const first = begin({ fallback: "always" });
    await pass();
    const link = FakeLinkPeer.all[0] as FakeLinkPeer;
    link.listener.onconnected("link");
    link.close = () => never.promise;
    first.close();
    const second = begin();
    await pass(900);
    expect([second.state, offers()]).toEqual(["connecting", 0]);
    await pass(100);
    expect(offers()).toBe(1);
  });

  it("waits for the place of one that was closed before it was open", async () => {
    const first = begin();
    await pass();
    const reply = deferred<object>();
    route.replies.close = reply.promise;
    first.close();
    begin();
    await pass();
    expect(offers()).toBe(1);
    reply.resolve({ status: "success" });
    await pass();
    expect(offers()).toBe(2);
  });

  it("needs no `this`", async () => {
    const { on, send, mute, close } = await open();
    expect(on("log", () => undefined)).toBeTypeOf("function");
    expect(send(1)).toBe(true);
    mute();
    close();
    expect(tracks()).toEqual(["ended"]);
  });

  it("that ended stays so, and is over for good", async () => {
    const call = await open();
    connection().deliver({ type: "end_stream", data: "Enough for today." });
    expect(call).toMatchObject({ state: "closing", reason: "Enough for today." });
    expect(call.send(1)).toBe(false);
    connection().become("failed");
    await pass(400);
    expect(call).toMatchObject({ state: "ended", reason: "Enough for today." });
    expect(tracks()).toEqual(["ended"]);
    call.close();
    expect(call.state).toBe("ended");
  });

  it("goes on over the link, whose worklet the stream has", async () => {
    const call = begin({ fallback: "always" });
    await pass();
    const link = FakeLinkPeer.all[0] as FakeLinkPeer;
    expect(link.options.root).toBe("http://app/talk/webrtc/offer");
    expect(link.options.worklet?.href).toBe("http://app/talk/client-worklet.js");
    link.listener.onconnected("link");
    expect(call).toMatchObject({ state: "open", transport: "link" });
  });
});

describe("listeners", () => {
  it("are removed by what `on` returned, each by its own", async () => {
    const call = await open();
    const listener = vi.fn();
    const [first, second] = [call.on("log", listener), call.on("log", listener)];
    connection().deliver({ type: "log", data: "pause_detected" });
    expect(listener.mock.calls).toEqual([["pause_detected"], ["pause_detected"]]);
    first();
    first();
    connection().deliver({ type: "stopword" });
    expect(listener.mock.calls.slice(2)).toEqual([["stopword"]]);
    second();
    connection().deliver({ type: "log", data: "pause_detected" });
    expect(listener).toHaveBeenCalledTimes(3);
  });

  it("get each turn that the server reports", async () => {
    const call = await open();
    const listener = vi.fn();
    call.on("turn", listener);
    connection().deliver({ type: "turn", data: { number: 2, response_s: 0.9 } });
    expect(listener).toHaveBeenCalledOnce();
    expect(listener.mock.calls[0]?.[0]).toMatchObject({ number: 2, response_s: 0.9, pause_s: null });
  });

  it("that another one removes during the event do not get it", async () => {
    const call = await open();
    const later = vi.fn();
    call.on("log", () => off());
    const off = call.on("log", later);
    connection().deliver({ type: "log", data: "pause_detected" });
    expect(later).not.toHaveBeenCalled();
  });

  it("that throw keep no other from the event", async () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const call = await open();
    const error = new Error("in the page");
    call.on("log", () => {
      throw error;
    });
    const logs = collect(call, "log");
    connection().deliver({ type: "log", data: "pause_detected" });
    expect(logs).toEqual(["pause_detected"]);
    expect(report).toHaveBeenCalledExactlyOnceWith(error);
  });

  it("of an event that does not exist are an error", async () => {
    const call = await open();
    expect(() => call.on("open" as "log", () => undefined)).toThrow(/expected one of state, message/);
  });

  it("get the texts for the user; errors without one go to the console", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const call = await open();
    const notices = collect(call, "notice");
    connection().deliver({ type: "warning", message: "Low.", title: "Battery", duration: null });
    connection().deliver({ type: "error", message: "No model." });
    expect(notices).toEqual([{ kind: "warning", text: "Low.", title: "Battery", duration: null }]);
    expect(logged).toHaveBeenCalledExactlyOnceWith("No model.");
    const errors = collect(call, "error");
    connection().deliver({ type: "error", message: "No voice." });
    expect(errors).toEqual([{ kind: "error", text: "No voice.", title: null, duration: 10 }]);
    expect(logged).toHaveBeenCalledOnce();
  });
});

describe("levels", () => {
  it("are measured while somebody listens to an open call", async () => {
    const call = begin();
    const levels: number[] = [];
    const off = call.on("level", ({ local }) => levels.push(local.loudness));
    await pass();
    expect(FakeAudioContext.open).toBe(0);
    FakeAudioContext.amplitude = 0.1;
    become("connected");
    expect(FakeAudioContext.open).toBe(1);
    await pass(80);
    call.mute();
    await pass(80);
    expect(levels).toEqual([expect.closeTo(0.9, 0), 0]);
    off();
    expect(FakeAudioContext.open).toBe(0);
    call.on("level", () => undefined);
    expect(FakeAudioContext.open).toBe(1);
    call.close();
    expect(FakeAudioContext.open).toBe(0);
  });
});

describe("a call that cannot be made", () => {
  it.each([
    ["NotAllowedError", "permission_refused", "The microphone is blocked."],
    ["NotFoundError", "no_device", "No microphone was found."],
    ["NotReadableError", "device_busy", "The microphone cannot be used."],
  ])("for a %s names it", async (name, code, message) => {
    media.refusals = [namedError(name)];
    const call = begin();
    await pass();
    expect(call.state).toBe("failed");
    expect(call.problem).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it("on a page that is not secure names that", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", false);
    const call = begin();
    await pass();
    expect(call.problem).toMatchObject({ code: "insecure_page" });
  });

  it("in a browser without WebRTC names that", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    const call = begin({ fallback: "never" });
    await pass();
    expect(call.problem?.code).toBe("unsupported_browser");
  });

  it.each([
    ["concurrency_limit_reached", { code: "limit_reached", limit: null }, "All lines are busy."],
    ["handler_failed", { code: "handler_failed", title: null }, "no"],
    ["invalid_offer", { code: "refused" }, "no"],
    ["too_many_offers", { code: "busy" }, "The server is busy."],
  ])("since the server refuses with %s has its reason", async (error, problem, message) => {
    route.replies.offer = refusal(error);
    const call = begin();
    await pass();
    expect(call.state).toBe("failed");
    const expected = { ...problem, message: expect.stringContaining(message) };
    expect(call.problem).toMatchObject(expected);
    expect(tracks()).toEqual(["ended"]);
  });

  it("since the address is another one has the address in its reason", async () => {
    route.status = 404;
    const call = begin({ url: "https://host/other" });
    await pass();
    expect(call.problem?.message).toMatch(
      /^https:\/\/host\/other\/webrtc\/offer answered with status 404/,
    );
  });

  it.each([429, 500, 502])("since the server answers with %d may be made later", async (status) => {
    route.status = status;
    const call = begin();
    await pass();
    expect(call.problem?.code).toBe(status === 429 ? "busy" : "unreachable");
  });

  it("since nothing answers, or no JSON does, names that", async () => {
    route.isThere = false;
    const call = begin();
    await pass();
    expect(call.problem).toMatchObject({ code: "unreachable", message: /does not answer/ });
    route.isThere = true;
    route.replies.offer = "<!doctype html>";
    const second = begin();
    await pass();
    expect(second.problem).toMatchObject({ code: "refused" });
  });

  it("fails after 30 s without a connection", async () => {
    const call = begin({ fallback: "never" });
    await pass(30_000);
    expect(call).toMatchObject({ state: "failed", problem: { code: "unreachable" } });
  });
});

describe("a call that broke", () => {
  async function broken(options = {}): Promise<Call> {
    const call = await open(options);
    route.isThere = false;
    become("failed");
    return call;
  }

  it("is made again with its microphone", async () => {
    const call = await broken();
    expect(call).toMatchObject({ state: "redialling", redial: { cause: "lost", isOffline: false } });
    expect(call.id).toBeNull();
    const first = connection();
    await pass(1000);
    route.isThere = true;
    route.replies.offer = { ...ANSWER, webrtc_id: "call-2" };
    await pass(OFFER_RETRY_MS);
    become("connected");
    expect(call).toMatchObject({ state: "open", id: "call-2", redial: null });
    expect(media.requests).toHaveLength(1);
    expect(first.isClosed).toBe(true);
    const ids = route.ofType("offer").map(({ webrtc_id }) => webrtc_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is not made again when a listener closes it", async () => {
    const call = await open();
    call.on("state", (state) => state === "redialling" && call.close());
    become("failed");
    await pass(5 * WAIT_MS);
    expect([call.state, offers()]).toEqual(["idle", 1]);
  });

  it("is not made again when a listener closes it as the network comes back", async () => {
    const call = await broken();
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: false });
    await pass(WAIT_MS);
    const before = offers();
    call.on("state", () => call.close());
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: true });
    page.dispatchEvent(new Event("online"));
    await pass(WAIT_MS);
    expect(offers()).toBe(before);
  });

  it("is left to the page after three tries", async () => {
    const call = await broken();
    await pass(5 * WAIT_MS);
    expect(call).toMatchObject({ state: "failed", problem: { code: "lost" } });
    expect(tracks()).toEqual(["ended"]);
  });

  it("is not made again where it is not to be", async () => {
    expect((await broken({ redial: false })).problem?.code).toBe("lost");
    route.isThere = true;
    expect((await broken({ media: { audio: "receive" } })).problem?.code).toBe("lost");
    route.isThere = true;
    expect((await broken({ media: { audio: "receive" }, redial: true })).state).toBe("redialling");
  });

  it("waits for a network when the browser has none", async () => {
    const call = await broken();
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: false });
    await pass(WAIT_MS);
    expect(call.redial).toEqual({ cause: "lost", isOffline: true });
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: true });
    route.isThere = true;
    page.dispatchEvent(new Event("online"));
    await pass();
    become("connected");
    expect(call.state).toBe("open");
  });

  it("is made again at once when the server no longer has it, and not while it has", async () => {
    const call = await open();
    become("disconnected");
    expect(call.isUnstable).toBe(true);
    await pass();
    expect(call.state).toBe("open");
    route.replies.candidates = refusal("unknown_connection");
    become("disconnected");
    await pass();
    expect(call.state).toBe("redialling");
  });

  it("may recover by itself", async () => {
    const call = await open();
    become("disconnected");
    await pass(RECOVER_MS - 1);
    become("connected");
    await pass(RECOVER_MS);
    expect(call).toMatchObject({ state: "open", isUnstable: false });
  });

  it("is over when a server that is there closed it", async () => {
    const call = await open();
    connection().channel?.onclose?.();
    await pass(400);
    expect(call).toMatchObject({ state: "ended", reason: "" });
  });

  it("is made again when its server announced that it stops", async () => {
    const call = await open();
    connection().deliver({ type: "end_stream", data: "Stopping.", code: "server_stopping" });
    expect(call.redial?.cause).toBe("stopping");
    expect(call.send("for the next one")).toBe(true);
    await pass(3000);
    become("connected");
    expect(sent()).toEqual(["for the next one"]);
  });
});

describe("a microphone that is unplugged", () => {
  it("is replaced by another one", async () => {
    const call = await open();
    media.opened[0]?.onended?.();
    await pass();
    expect(media.requests).toHaveLength(2);
    expect(connection().senders[0]?.track).toBe(media.opened[1]);
    expect(call.state).toBe("open");
  });

  it("lets a call that is ending end", async () => {
    const call = await open();
    media.refusals = [namedError("NotFoundError")];
    connection().deliver({ type: "end_stream", data: "Enough for today." });
    media.opened[0]?.onended?.();
    await pass(400);
    expect(call).toMatchObject({ state: "ended", problem: null });
  });

  it("ends the call without another one", async () => {
    const call = await open();
    media.refusals = [namedError("NotFoundError")];
    media.opened[0]?.onended?.();
    await pass();
    expect(call.problem).toMatchObject({ code: "no_device", medium: "microphone" });
  });
});

describe("tracks of the handler", () => {
  it("are reported and kept in one stream", async () => {
    const call = begin();
    const got = collect(call, "track");
    await pass();
    const track = new FakeTrack("audio");
    connection().ontrack?.({ track });
    expect(got[0]?.track).toBe(track);
    expect(got[0]?.stream).toBe(call.remote);
    expect(call.remote?.getTracks()).toEqual([track]);
  });
});

import { describe, expect, it, vi } from "vitest";
import { OFFER_RETRY_MS, RECOVER_MS, Redial, TRY_MS, WAITS_MS } from "../call/redial";
import { call, connection, events, host, media, open, server } from "./calling";
import { ANSWER } from "./fakes";

describe("the tries of a call", () => {
  it("wait longer each time, and end", () => {
    const redial = new Redial(() => 0.5);
    expect([0, 1, 2, 3].map(() => redial.next("lost", 0))).toEqual([...WAITS_MS.lost, null]);
  });

  it("vary by a quarter of the wait", () => {
    const [waitMs] = WAITS_MS.busy;
    expect(new Redial(() => 0).next("busy", 0)).toBe(waitMs! * 0.75);
    expect(new Redial(() => 1).next("busy", 0)).toBe(waitMs! * 1.25);
  });

  it("are counted from the start after a call that lasted, and only then", () => {
    const redial = new Redial(() => 0.5);
    redial.next("lost", 0);
    redial.opened(1000);
    expect(redial.next("lost", 2000)).toBe(WAITS_MS.lost[1]);
    redial.opened(3000);
    expect(redial.next("lost", 13_000)).toBe(WAITS_MS.lost[0]);
  });
});

const offers = (): number => server.ofType("offer").length;
const refusal = (error: string): object => ({ status: "failed", meta: { error, message: "no" } });
/** Longer than any wait before a try. */
const WAIT_MS = 20_000;

/** Takes the server away: Gradio's client returns undefined for a failed request. */
function goAway(): void {
  server.replies = { offer: undefined, candidates: undefined, close: undefined };
}

function comeBack(): void {
  const offer = { ...ANSWER, webrtc_id: "call-2", secret: "0ther" };
  server.replies = { offer, candidates: { candidates: [] } };
}

describe("a call that broke", () => {
  it("is made again with its microphone, and without an event for the app", async () => {
    const broken = await open();
    goAway();
    broken.become("failed");
    expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "lost" } });
    expect(host.value).toBeNull();
    await vi.advanceTimersByTimeAsync(1000);
    expect(call.status.phase).toBe("redialling");
    comeBack();
    await vi.advanceTimersByTimeAsync(OFFER_RETRY_MS);
    connection().become("connected");
    expect(call.status).toMatchObject({ phase: "open", redial: null });
    expect(host.value).toEqual({ webrtc_id: "call-2", secret: "0ther" });
    expect(media.requests).toHaveLength(1);
    expect(broken.isClosed).toBe(true);
    expect(server.ofType("close")).toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
    expect(events()).toEqual(["start_recording"]);
  });

  it("is left to the user after three tries", async () => {
    const broken = await open();
    goAway();
    broken.become("failed");
    await vi.advanceTimersByTimeAsync(3 * (WAIT_MS + TRY_MS));
    expect(call.status).toMatchObject({ phase: "failed", problem: { code: "lost" } });
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(vi.getTimerCount()).toBe(0);
    // Gradio would reload the page over an event that it cannot deliver.
    expect(events()).toEqual(["start_recording"]);
    comeBack();
    await open();
    call.stop();
    // What the user begins is another call.
    expect(events()).toEqual(["start_recording", "start_recording", "stop_recording"]);
  });

  it("is made again at once when the server no longer has it", async () => {
    const broken = await open();
    server.replies.candidates = refusal("unknown_connection");
    broken.become("disconnected");
    await vi.advanceTimersByTimeAsync(0);
    expect(call.status.phase).toBe("redialling");
  });

  it("is not given up for a request that failed on the server", async () => {
    const unstable = await open();
    server.replies.candidates = refusal("server_error");
    unstable.become("disconnected");
    await vi.advanceTimersByTimeAsync(0);
    expect(call.status).toMatchObject({ phase: "open", isUnstable: true });
  });

  it("may recover by itself while the server has it", async () => {
    const unstable = await open();
    unstable.become("disconnected");
    await vi.advanceTimersByTimeAsync(RECOVER_MS - 1);
    unstable.become("connected");
    await vi.advanceTimersByTimeAsync(RECOVER_MS);
    expect(call.status).toMatchObject({ phase: "open", isUnstable: false });
    expect(offers()).toBe(1);
  });

  it("is made again when it does not recover", async () => {
    const unstable = await open();
    unstable.become("disconnected");
    await vi.advanceTimersByTimeAsync(RECOVER_MS);
    expect(call.status.phase).toBe("redialling");
  });

  it("is over when a server that is there closed it", async () => {
    const closed = await open();
    server.replies.candidates = refusal("unknown_connection");
    closed.channel?.onclose?.();
    await vi.advanceTimersByTimeAsync(400);
    expect(call.status).toMatchObject({ phase: "ended", ending: { by: "server", reason: "" } });
  });

  it("is made again when its server closed it and is away", async () => {
    const closed = await open();
    goAway();
    closed.channel?.onclose?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(call.status.phase).toBe("redialling");
  });

  it("is looked up after a sleep", async () => {
    await open();
    server.replies.candidates = refusal("unknown_connection");
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(call.status.phase).toBe("redialling");
  });

  it("waits for a network when the browser has none", async () => {
    const broken = await open();
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: false });
    broken.become("failed");
    await vi.advanceTimersByTimeAsync(3 * (WAIT_MS + TRY_MS));
    expect(call.status).toMatchObject({ phase: "redialling", redial: { isOffline: true } });
    expect(offers()).toBe(1);
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: true });
    call.online();
    await vi.advanceTimersByTimeAsync(0);
    expect(offers()).toBe(2);
    connection().become("connected");
    expect(call.status.phase).toBe("open");
  });

  it("waits for a network that went away in the middle of its last try", async () => {
    const broken = await open();
    goAway();
    broken.become("failed");
    const [first, second, third] = WAITS_MS.lost.map((waitMs) => 1.25 * waitMs + TRY_MS);
    await vi.advanceTimersByTimeAsync(first! + second! + third! - TRY_MS);
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: false });
    await vi.advanceTimersByTimeAsync(TRY_MS);
    expect(call.status).toMatchObject({ phase: "redialling", redial: { isOffline: true } });
    comeBack();
    vi.stubGlobal("navigator", { mediaDevices: media, onLine: true });
    call.online();
    await vi.advanceTimersByTimeAsync(0);
    connection().become("connected");
    expect(call.status.phase).toBe("open");
  });

  it("is not made again once the user hangs up", async () => {
    const broken = await open();
    goAway();
    broken.become("failed");
    call.stop();
    await vi.advanceTimersByTimeAsync(WAIT_MS);
    expect(call.status.phase).toBe("idle");
    expect(offers()).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is tried again when the new connection fails too", async () => {
    (await open()).become("failed");
    await vi.advanceTimersByTimeAsync(1000);
    expect(offers()).toBe(2);
    connection().become("failed");
    await vi.advanceTimersByTimeAsync(5000);
    expect(offers()).toBe(3);
  });

  it("is left to the app when it only receives: it would begin again", async () => {
    host.props.mode = "receive";
    (await open()).become("failed");
    expect(call.status).toMatchObject({ phase: "failed", problem: { code: "lost" } });
  });

  it("is no loss at the time limit", async () => {
    host.props.time_limit = 60;
    const pc = await open();
    vi.advanceTimersByTime(59_800);
    pc.become("failed");
    expect(call.status.ending).toEqual({ by: "time_limit" });
  });
});

describe("a server that stops", () => {
  const STOPPING = { type: "end_stream", data: "The server is stopping.", code: "server_stopping" };

  it("is called again, and its last audio is played until then", async () => {
    const stopped = await open();
    stopped.deliver(STOPPING);
    expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "stopping" } });
    expect(stopped.isClosed).toBe(false);
    // Events of the old connection have no effect from now on.
    stopped.channel?.onclose?.();
    stopped.become("failed");
    await vi.advanceTimersByTimeAsync(3000);
    expect([stopped.isClosed, offers()]).toEqual([true, 2]);
  });

  it("is called again when it still refuses for that reason", async () => {
    (await open()).deliver(STOPPING);
    server.replies.offer = refusal("server_stopping");
    await vi.advanceTimersByTimeAsync(3 * WAIT_MS);
    expect(call.status).toMatchObject({ phase: "failed", problem: { code: "stopping" } });
    expect(offers()).toBe(4);
  });
});

describe("a refusal", () => {
  it.each(["server_busy", "server_stopping"])("of a first call, %s, passes", async (code) => {
    server.replies.offer = refusal(code);
    await call.start();
    expect(call.status.phase).toBe("redialling");
    comeBack();
    await vi.advanceTimersByTimeAsync(WAIT_MS);
    connection().become("connected");
    expect(call.status.phase).toBe("open");
    expect(events()).toEqual(["start_recording"]);
  });

  it.each([
    ["concurrency_limit_reached", "limit_reached"],
    ["too_many_offers", "busy"],
    ["handler_failed", "handler_failed"],
  ])("of a first call, %s, is shown", async (code, problem) => {
    server.replies.offer = refusal(code);
    await call.start();
    expect(call.status).toMatchObject({ phase: "failed", problem: { code: problem } });
  });

  it.each(["concurrency_limit_reached", "too_many_offers", "server_busy"])(
    "of a call that broke, %s, does not end it",
    async (code) => {
      (await open()).become("failed");
      server.replies.offer = refusal(code);
      await vi.advanceTimersByTimeAsync(1000);
      expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "busy" } });
    },
  );

  it("of a call that broke may end it", async () => {
    (await open()).become("failed");
    server.replies.offer = refusal("handler_failed");
    await vi.advanceTimersByTimeAsync(1000);
    expect(call.status).toMatchObject({ phase: "failed", problem: { code: "handler_failed" } });
    // The server is there, so the event can be delivered.
    expect(events()).toEqual(["start_recording", "stop_recording"]);
  });
});

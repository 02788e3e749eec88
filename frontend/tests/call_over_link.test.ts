import { beforeEach, describe, expect, it, vi } from "vitest";
import { OfferRefused } from "../call/messages";
import { RECOVER_MS } from "../call/redial";
import { call, connection, events, host, media, server } from "./calling";
import { FakeTrack } from "./fakes";
import { FakeLinkPeer } from "./link_peer";
import { FakeStorage } from "./storage";

vi.mock("../link/peer", async () => ({ LinkPeer: (await import("./link_peer")).FakeLinkPeer }));

const link = (): FakeLinkPeer => FakeLinkPeer.all.at(-1) as FakeLinkPeer;
const asTrack = (track: FakeTrack): MediaStreamTrack => track as unknown as MediaStreamTrack;

beforeEach(() => {
  FakeLinkPeer.all = [];
  FakeLinkPeer.error = null;
  vi.stubGlobal("AudioWorkletNode", class {});
  vi.stubGlobal("sessionStorage", new FakeStorage());
});

/** Starts a call in a network without UDP. */
async function open(): Promise<FakeLinkPeer> {
  await call.start();
  connection().ontrack?.({ track: new FakeTrack("audio") });
  await vi.advanceTimersByTimeAsync(4000);
  link().listener.ontrack(asTrack(new FakeTrack("audio")));
  link().listener.onconnected("link");
  return link();
}

describe("a call without UDP", () => {
  it("opens with the same microphone, and has the track of the link alone", async () => {
    await open();
    expect(call.status).toMatchObject({ phase: "open", transport: "link" });
    expect(media.requests).toHaveLength(1);
    expect(call.remote?.getTracks()).toHaveLength(1);
    expect(host.value).toEqual({ webrtc_id: "link-1", secret: "l1nk" });
    expect(connection().isClosed).toBe(true);
    expect(events()).toEqual(["start_recording"]);
  });

  it("has messages, a mute, devices and an end, as any call", async () => {
    await open();
    link().listener.onmessage({ type: "send_input" });
    expect(events()).toEqual(["start_recording", "tick"]);
    call.muteMicrophone(true);
    expect(media.opened[0]?.enabled).toBe(false);
    await call.choose("microphone", "desk");
    expect(link().replaced).toEqual([media.opened[1]]);
    call.stop();
    expect(link().isClosed).toBe(true);
    expect(call.status).toMatchObject({ phase: "idle", transport: null });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is unstable without a carrier, and made again when the server no longer has it", async () => {
    await open();
    link().lookUp = async () => "found";
    link().listener.onunstable();
    await vi.advanceTimersByTimeAsync(RECOVER_MS - 1);
    expect(call.status).toMatchObject({ phase: "open", isUnstable: true, transport: "link" });
    link().listener.onconnected("link");
    expect(call.status).toMatchObject({ phase: "open", isUnstable: false });
    link().lookUp = async () => "not_found";
    link().listener.onunstable();
    await vi.advanceTimersByTimeAsync(0);
    expect(call.status).toMatchObject({ phase: "redialling", transport: null });
  });

  it("is made again over the link at once, when it breaks for good", async () => {
    const broken = await open();
    broken.listener.onlost();
    expect(call.status.phase).toBe("redialling");
    await vi.advanceTimersByTimeAsync(1000);
    expect([broken.isClosed, FakeLinkPeer.all.length]).toEqual([true, 2]);
    expect(server.ofType("offer")).toHaveLength(1);
    link().listener.onconnected("link");
    expect(call.status).toMatchObject({ phase: "open", redial: null });
    expect(events()).toEqual(["start_recording"]);
  });

  it("fails with the reason for which the link was refused", async () => {
    FakeLinkPeer.error = new OfferRefused("concurrency_limit_reached", "no", 1);
    await call.start();
    await vi.advanceTimersByTimeAsync(4000);
    expect(call.status).toMatchObject({
      phase: "failed",
      problem: { code: "limit_reached", limit: 1 },
    });
  });

  it("is made again after a refusal that passes, in a first call and in later ones", async () => {
    FakeLinkPeer.error = new OfferRefused("server_busy", "no");
    await call.start();
    await vi.advanceTimersByTimeAsync(4000);
    expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "busy" } });
    await vi.advanceTimersByTimeAsync(6000);
    expect(call.status).toMatchObject({ phase: "redialling", redial: { cause: "busy" } });
    FakeLinkPeer.error = null;
    await vi.advanceTimersByTimeAsync(9000);
    link().listener.onconnected("link");
    expect(call.status.phase).toBe("open");
  });

  it("is no call in a browser that has neither", async () => {
    vi.stubGlobal("AudioWorkletNode", undefined);
    host.props.fallback = "always";
    await call.start();
    expect(call.status.problem).toEqual({ code: "unsupported_browser" });
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { canCall, FallbackPeer, type FallbackPeerOptions } from "../call/fallback";
import { OfferRefused } from "../call/messages";
import type { PeerListener } from "../call/peer";
import { asStream, deferred, FakePeerConnection, FakeServer, FakeStream, FakeTrack } from "./fakes";
import { FakeLinkPeer } from "./link_peer";
import { FakeStorage } from "./storage";

vi.mock("../link/peer", async () => ({ LinkPeer: (await import("./link_peer")).FakeLinkPeer }));

let server: FakeServer;
type Callbacks = Required<PeerListener>;
let listener: { [Name in keyof Callbacks]: ReturnType<typeof vi.fn<Callbacks[Name]>> };
let peer: FallbackPeer;

const links = (): FakeLinkPeer[] => FakeLinkPeer.all;
const link = (): FakeLinkPeer => FakeLinkPeer.all.at(-1) as FakeLinkPeer;
const connection = (): FakePeerConnection => FakePeerConnection.last;
const offers = (): number => server.ofType("offer").length;
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

const create = (changes: Partial<FallbackPeerOptions> = {}): FallbackPeer =>
  new FallbackPeer(
    {
      server,
      root: "http://app/",
      mode: "send-receive",
      kinds: ["audio"],
      stream: asStream(new FakeStream([new FakeTrack("audio")])),
      configuration: null,
      parameters: null,
      fallback: "auto",
      ...changes,
    },
    listener,
  );

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  FakeLinkPeer.all = [];
  FakeLinkPeer.error = null;
  vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
  vi.stubGlobal("AudioWorkletNode", class {});
  vi.stubGlobal("sessionStorage", new FakeStorage());
  listener = {
    onanswer: vi.fn(),
    onfailed: vi.fn(),
    onconnected: vi.fn(),
    onunstable: vi.fn(),
    onlost: vi.fn(),
    onclosed: vi.fn(),
    ontrack: vi.fn(),
    onmessage: vi.fn(),
    ontext: vi.fn(),
    onwritable: vi.fn(),
    onparametersrefused: vi.fn(),
  };
  peer = create();
});
afterEach(() => {
  void peer.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A call whose WebRTC does not connect, and whose link does. */
async function fallBack(): Promise<void> {
  await peer.call();
  await pass(4000);
  link().listener.onconnected("link");
}

describe("auto", () => {
  it("stays with WebRTC when that connects", async () => {
    await peer.call();
    await pass(3999);
    connection().become("connected");
    await pass(10_000);
    expect(links()).toEqual([]);
    expect(listener.onconnected.mock.calls).toEqual([["webrtc"]]);
    connection().become("failed");
    await pass(0);
    expect(listener.onlost).toHaveBeenCalledOnce();
    expect(links()).toEqual([]);
  });

  it.each([
    [100, 3899],
    [1000, 2999],
    [6000, 2999],
  ])("goes on over the link 4 s after an offer, %d ms of them for the answer", async (ms, left) => {
    const reply = deferred<unknown>();
    const answer = server.replies.offer;
    server.replies.offer = reply.promise;
    const calling = peer.call();
    await pass(ms);
    reply.resolve(answer);
    await calling;
    await pass(left);
    expect(links()).toEqual([]);
    await pass(1);
    expect(connection().isClosed).toBe(true);
    expect(links()).toHaveLength(1);
    expect(link().options).toMatchObject({ root: "http://app/", carrier: "websocket" });
    link().listener.onconnected("link");
    expect(listener.onconnected.mock.calls).toEqual([["link"]]);
    expect(listener.onlost).not.toHaveBeenCalled();
  });

  it.each(["failed", "closed"])("goes on at once when WebRTC is %s", async (state) => {
    await peer.call();
    connection().become(state);
    await pass(0);
    expect(links()).toHaveLength(1);
    expect(listener.onlost).not.toHaveBeenCalled();
    expect(listener.onclosed).not.toHaveBeenCalled();
  });

  it("takes the same stream, without another prompt", async () => {
    await fallBack();
    expect(link().options.stream?.getTracks()).toHaveLength(1);
  });

  it("leaves the place of WebRTC before it asks for one", async () => {
    const reply = deferred<unknown>();
    server.replies.close = reply.promise;
    await peer.call();
    await pass(4500);
    expect(server.ofType("close")).toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
    expect(links()).toEqual([]);
    reply.resolve({ status: "success" });
    await pass(0);
    expect(links()).toHaveLength(1);
  });

  it("does not wait for a server that does not reply to that", async () => {
    server.replies.close = new Promise(() => undefined);
    await peer.call();
    await pass(5000);
    expect(links()).toHaveLength(1);
  });

  it("is over when the call is closed meanwhile", async () => {
    server.replies.close = new Promise(() => undefined);
    await peer.call();
    await pass(4500);
    await peer.close();
    await pass(10_000);
    expect(links()).toEqual([]);
  });

  it("reports that the link was refused", async () => {
    FakeLinkPeer.error = new OfferRefused("server_busy", "no");
    await peer.call();
    await pass(4000);
    expect(listener.onfailed.mock.calls).toEqual([[FakeLinkPeer.error]]);
  });

  it("is no answer to a refusal", async () => {
    server.replies.offer = { status: "failed", meta: { error: "server_busy" } };
    await expect(peer.call()).rejects.toMatchObject({ code: "server_busy" });
    await pass(10_000);
    expect(links()).toEqual([]);
  });

  it("needs no WebRTC", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    await peer.call();
    expect([offers(), links().length]).toEqual([0, 1]);
  });

  it("is WebRTC alone on a page that cannot have a link", async () => {
    vi.stubGlobal("AudioWorkletNode", undefined);
    await peer.call();
    await pass(10_000);
    expect([offers(), links().length]).toEqual([1, 0]);
    connection().become("failed");
    expect(listener.onlost).toHaveBeenCalledOnce();
  });

  it("passes tracks, texts and look-ups to what carries the call", async () => {
    expect(await peer.lookUp()).toBe("found");
    expect(peer.send("early")).toBe(false);
    await fallBack();
    await peer.replaceTrack(new FakeTrack("audio") as unknown as MediaStreamTrack);
    expect(link().replaced).toHaveLength(1);
    expect(peer.send("hello")).toBe(true);
    expect(link().sent).toEqual(["hello"]);
    link().listener.onwritable?.();
    link().listener.ontext?.("answer");
    expect(listener.onwritable).toHaveBeenCalledOnce();
    expect(listener.ontext.mock.calls).toEqual([["answer"]]);
    expect(await peer.lookUp()).toBe("not_found");
    await peer.close();
    expect(link().isClosed).toBe(true);
  });

  it("calls nothing back once it is detached", async () => {
    await fallBack();
    peer.detachListener();
    link().listener.onlost();
    link().listener.onfailed(new Error("late"));
    expect(listener.onlost).not.toHaveBeenCalled();
    expect(link().isClosed).toBe(false);
  });
});

describe("the memory of the page", () => {
  const again = async (): Promise<void> => {
    await peer.close();
    peer = create();
    await peer.call();
  };

  it("spares the next call the wait, for ten minutes", async () => {
    await fallBack();
    await again();
    expect([offers(), links().length]).toEqual([1, 2]);
    link().listener.onconnected("link");
    await pass(600_000);
    await again();
    expect(offers()).toBe(2);
  });

  it("has nothing of a link that did not connect either", async () => {
    await peer.call();
    await pass(4000);
    await again();
    expect(offers()).toBe(2);
  });

  it("drops what WebRTC disproves", async () => {
    await fallBack();
    await pass(600_000);
    await again();
    connection().become("connected");
    vi.setSystemTime(Date.now() - 600_000);
    await again();
    expect(offers()).toBe(3);
  });

  it("has the kind of carrier that opens here", async () => {
    await fallBack();
    link().options.oncarrier("http");
    await again();
    expect(link().options.carrier).toBe("http");
    link().options.oncarrier("websocket");
    await again();
    expect(link().options.carrier).toBe("websocket");
  });

  it("may be blocked by the browser, or hold nonsense", async () => {
    vi.stubGlobal("sessionStorage", undefined);
    await fallBack();
    await again();
    expect(offers()).toBe(2);
    const storage = new FakeStorage();
    storage.setItem("gradio_webrtc_paths", "{");
    vi.stubGlobal("sessionStorage", storage);
    await again();
    expect(offers()).toBe(3);
  });
});

describe("never", () => {
  it("is WebRTC alone", async () => {
    peer = create({ fallback: "never" });
    await peer.call();
    await pass(10_000);
    connection().become("failed");
    expect(links()).toEqual([]);
    expect(listener.onlost).toHaveBeenCalledOnce();
  });
});

describe("always", () => {
  it("is the link alone", async () => {
    peer = create({ fallback: "always" });
    await peer.call();
    expect([offers(), links().length]).toEqual([0, 1]);
    expect(server.turn).not.toHaveBeenCalled();
  });

  it("rejects when the link is refused", async () => {
    FakeLinkPeer.error = new OfferRefused("server_busy", "no");
    peer = create({ fallback: "always" });
    await expect(peer.call()).rejects.toBe(FakeLinkPeer.error);
  });

  it("teaches the page nothing about WebRTC", async () => {
    peer = create({ fallback: "always" });
    await peer.call();
    link().listener.onconnected("link");
    await peer.close();
    peer = create();
    await peer.call();
    expect(offers()).toBe(1);
  });
});

describe("a browser", () => {
  it.each([
    [true, true, [true, true, true]],
    [true, false, [true, true, false]],
    [false, true, [true, false, true]],
    [false, false, [false, false, false]],
  ])("with WebRTC %s and worklets %s can call", (hasWebRTC, hasWorklets, expected) => {
    if (!hasWebRTC) vi.stubGlobal("RTCPeerConnection", undefined);
    if (!hasWorklets) vi.stubGlobal("AudioWorkletNode", undefined);
    expect((["auto", "never", "always"] as const).map(canCall)).toEqual(expected);
  });
});

import { beforeEach, describe, expect, it, vi } from "vitest";
import type { PeerListener } from "../call/peer";
import { WebRTCPeer, type WebRTCPeerOptions } from "../call/webrtc_peer";
import {
  ANSWER,
  asStream,
  deferred,
  type FakeChannel,
  FakePeerConnection,
  FakeServer,
  FakeStream,
  FakeTrack,
} from "./fakes";

let server: FakeServer;
type Callbacks = Required<PeerListener>;
let listener: { [Name in keyof Callbacks]: ReturnType<typeof vi.fn<Callbacks[Name]>> };
const connection = (): FakePeerConnection => FakePeerConnection.last;

const create = (changes: Partial<WebRTCPeerOptions> = {}): Promise<WebRTCPeer> =>
  WebRTCPeer.create(
    {
      server,
      mode: "send-receive",
      kinds: ["audio"],
      stream: asStream(new FakeStream([new FakeTrack("audio")])),
      configuration: null,
      parameters: null,
      query: "?room=7",
      newConnection: (given) => new FakePeerConnection(given) as unknown as RTCPeerConnection,
      ...changes,
    },
    listener,
  );

beforeEach(() => {
  server = new FakeServer();
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
});

describe("the offer", () => {
  it("carries the description and no id: the server makes one", async () => {
    const peer = await create();
    await peer.call();
    const offer = { type: "offer", sdp: "v=0 offer", query: "?room=7" };
    expect(server.bodies[0]).toStrictEqual(offer);
    expect(connection().remoteDescription).toEqual({ type: "answer", sdp: ANSWER.sdp });
  });

  it("reports the credentials before the answer is applied", async () => {
    const peer = await create();
    listener.onanswer.mockImplementation(() => {
      expect(connection().remoteDescription).toBeNull();
    });
    await peer.call();
    expect(listener.onanswer).toHaveBeenCalledExactlyOnceWith({
      webrtc_id: "call-1",
      secret: "s3cret",
    });
  });

  it("rejects when the server refuses", async () => {
    server.replies.offer = {
      status: "failed",
      meta: { error: "concurrency_limit_reached", limit: 1 },
    };
    const peer = await create();
    await expect(peer.call()).rejects.toMatchObject({
      code: "concurrency_limit_reached",
      limit: 1,
    });
  });

  it("rejects when the network fails", async () => {
    server.replies.offer = new TypeError("Failed to fetch");
    const peer = await create();
    await expect(peer.call()).rejects.toThrow("Failed to fetch");
  });

  it("is closed on the server when the call was closed meanwhile", async () => {
    const reply = deferred<unknown>();
    server.replies.offer = reply.promise;
    const peer = await create();
    const calling = peer.call();
    peer.close();
    reply.resolve(ANSWER);
    await calling;
    expect(listener.onanswer).not.toHaveBeenCalled();
    expect(connection().remoteDescription).toBeNull();
    expect(server.ofType("close")).toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
  });
});

describe("the configuration", () => {
  it("is the server's for this call", async () => {
    server.configuration = { iceTransportPolicy: "relay" };
    await create({ configuration: { iceServers: [] } });
    expect(connection().configuration).toMatchObject({ iceTransportPolicy: "relay" });
    expect(connection().configuration).not.toHaveProperty("iceServers");
  });

  it("is the component's when the server has none, and bundles", async () => {
    await create({ configuration: { iceServers: [] } });
    expect(connection().configuration).toEqual({ bundlePolicy: "max-bundle", iceServers: [] });
    expect(server.turn).toHaveBeenCalledExactlyOnceWith(null);
  });
});

describe("candidates", () => {
  it("wait for the answer and go with its secret", async () => {
    const reply = deferred<unknown>();
    server.replies.offer = reply.promise;
    const peer = await create();
    const calling = peer.call();
    await vi.waitFor(() => expect(server.ofType("offer")).toHaveLength(1));
    connection().find("candidate:early");
    expect(server.ofType("ice-candidate")).toEqual([]);
    reply.resolve(ANSWER);
    await calling;
    connection().find("candidate:late");
    const common = { type: "ice-candidate", webrtc_id: "call-1", secret: "s3cret" };
    const at = { sdpMid: "0", sdpMLineIndex: 0 };
    expect(server.ofType("ice-candidate")).toEqual([
      { ...common, candidate: { candidate: "candidate:early", ...at } },
      { ...common, candidate: { candidate: "candidate:late", ...at } },
    ]);
  });

  it("are sent without the marks of their end", async () => {
    const peer = await create();
    await peer.call();
    connection().onicecandidate?.({ candidate: null });
    connection().find("");
    expect(server.ofType("ice-candidate")).toEqual([]);
  });

  it("may be lost without harm", async () => {
    server.replies["ice-candidate"] = new Error("offline");
    const peer = await create();
    await peer.call();
    connection().find("candidate:1");
    await Promise.resolve();
    expect(listener.onlost).not.toHaveBeenCalled();
  });

  it("of the server are fetched once when it announces more", async () => {
    server.replies.offer = { ...ANSWER, candidates_follow: true };
    const candidate = { candidate: "candidate:9", sdpMid: "0", sdpMLineIndex: 0 };
    server.replies.candidates = { candidates: [candidate] };
    const peer = await create();
    await peer.call();
    expect(server.ofType("candidates")).toEqual([
      { type: "candidates", webrtc_id: "call-1", secret: "s3cret" },
    ]);
    expect(connection().remoteCandidates).toEqual([candidate]);
  });

  it("of the server are not asked for otherwise", async () => {
    const peer = await create();
    await peer.call();
    expect(server.ofType("candidates")).toEqual([]);
  });
});

describe("the media", () => {
  it.each([
    ["send-receive", "sendrecv"],
    ["send", "sendonly"],
  ] as const)("in mode %s is offered as %s", async (mode, direction) => {
    await create({ mode });
    expect(connection().transceivers.map(({ init }) => init.direction)).toEqual([direction]);
  });

  it("in mode receive is asked for, of each kind", async () => {
    await create({ mode: "receive", stream: null, kinds: ["audio", "video"] });
    expect(connection().transceivers).toEqual([
      { what: "audio", init: { direction: "recvonly" } },
      { what: "video", init: { direction: "recvonly" } },
    ]);
  });

  it("is sent and received by kind, where only one kind is sent", async () => {
    await create({ kinds: ["audio", "video"] });
    const directions = connection().transceivers.map(({ init }) => init.direction);
    expect(directions).toEqual(["sendrecv", "recvonly"]);
    expect(connection().transceivers[1]?.what).toBe("video");
  });

  it("is reported as it arrives", async () => {
    await create();
    const track = new FakeTrack("audio");
    connection().ontrack?.({ track });
    expect(listener.ontrack).toHaveBeenCalledExactlyOnceWith(track);
  });

  it("is muted while an answer is held, and keeps that to itself", async () => {
    await create();
    const [audio, video] = [new FakeTrack("audio"), new FakeTrack("video")];
    connection().receivers = [{ track: audio }, { track: video }];
    const receive = (type: string) => connection().channel?.onmessage?.({ data: `{"type":"${type}"}` });
    receive("hold");
    expect([audio.enabled, video.enabled]).toEqual([false, true]);
    receive("resume");
    expect([audio.enabled, video.enabled]).toEqual([true, true]);
    expect(listener.onmessage).not.toHaveBeenCalled();
    expect(listener.ontext).not.toHaveBeenCalled();
  });

  it("can change its source", async () => {
    const peer = await create();
    const track = new FakeTrack("audio");
    await peer.replaceTrack(track as unknown as MediaStreamTrack);
    expect(connection().senders[0]?.track).toBe(track);
  });

  it("takes the app's sending parameters", async () => {
    const parameters = { degradationPreference: "maintain-framerate" } as const;
    const peer = await create({ parameters });
    await peer.call();
    expect(connection().senders[0]?.parameters).toMatchObject({ encodings: [{}], ...parameters });
  });

  it("continues without parameters that the browser refuses", async () => {
    const peer = await create({ parameters: { degradationPreference: "balanced" } });
    connection().senders[0]?.setParameters.mockRejectedValue(new Error("no such preference"));
    await peer.call();
    expect(listener.onparametersrefused).toHaveBeenCalledExactlyOnceWith("no such preference");
  });
});

describe("the data channel", () => {
  it("is opened by the page, and sends the handshake", async () => {
    await create();
    const { channel } = connection();
    expect(channel?.label).toBe("text");
    channel?.onopen?.();
    expect(channel?.sent).toEqual(["handshake"]);
    expect(listener.onwritable).toHaveBeenCalledOnce();
  });

  it("takes texts while it is open", async () => {
    const peer = await create();
    const channel = connection().channel as FakeChannel;
    channel.readyState = "connecting";
    expect(peer.send("early")).toBe(false);
    channel.readyState = "open";
    expect(peer.send("hello")).toBe(true);
    expect(channel.sent).toEqual(["hello"]);
  });

  it("reports messages of the server, and all other texts as they are", async () => {
    await create();
    connection().deliver({ type: "send_input" });
    connection().deliver('{"type": "turned"}');
    connection().channel?.onmessage?.({ data: new ArrayBuffer(1) });
    expect(listener.onmessage.mock.calls).toEqual([[{ type: "send_input" }]]);
    expect(listener.ontext.mock.calls).toEqual([['{"type": "turned"}']]);
  });

  it("closes with the call", async () => {
    await create();
    connection().channel?.onclose?.();
    expect(listener.onclosed).toHaveBeenCalledOnce();
  });
});

describe("the connection", () => {
  it("may be interrupted without being lost", async () => {
    await create();
    connection().become("connected");
    connection().become("disconnected");
    connection().become("connected");
    expect(listener.onconnected).toHaveBeenCalledTimes(2);
    expect(listener.onunstable).toHaveBeenCalledOnce();
    expect(listener.onlost).not.toHaveBeenCalled();
    connection().become("failed");
    expect(listener.onlost).toHaveBeenCalledOnce();
  });

  it("calls nothing back once it is closed", async () => {
    const peer = await create();
    peer.close();
    connection().become("connected");
    connection().deliver({ type: "send_input" });
    connection().channel?.onclose?.();
    connection().ontrack?.({ track: new FakeTrack("audio") });
    expect(connection().isClosed).toBe(true);
    for (const callback of Object.values(listener)) expect(callback).not.toHaveBeenCalled();
  });
});

describe("the delay of the browser", () => {
  const audio = (jitterBufferDelay: number, jitterBufferEmittedCount: number) => ({
    type: "inbound-rtp",
    kind: "audio",
    jitterBufferDelay,
    jitterBufferEmittedCount,
  });
  const begin = async (delay: number, count: number): Promise<void> => {
    connection().stats = [
      { type: "outbound-rtp", kind: "audio" },
      audio(delay, count),
      { type: "inbound-rtp", kind: "video", jitterBufferDelay: 9, jitterBufferEmittedCount: 9 },
    ];
    connection().deliver({ type: "log", data: "response_starting" });
    await vi.advanceTimersByTimeAsync(1000);
  };
  const sent = (): string[] => (connection().channel as FakeChannel).sent;

  beforeEach(() => {
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });

  it("is reported soon after an answer has begun", async () => {
    const peer = await create();
    await peer.call();
    await begin(4800, 48000);
    await begin(4800 + 1920, 48000 + 9600);
    expect(sent().map((text) => JSON.parse(text))).toEqual([
      { type: "inbound_stats", data: audio(4800, 48000) },
      { type: "inbound_stats", data: audio(6720, 57600) },
    ]);
    expect(sent()[0]).toMatch(/^{"type":"inbound_stats",/);
  });

  it("is no news where nothing was played, and after the call", async () => {
    const peer = await create();
    await peer.call();
    await begin(0, 0);
    (connection().channel as FakeChannel).readyState = "closed";
    await begin(4800, 48000);
    expect(sent()).toEqual([]);
  });
});

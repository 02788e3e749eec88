import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PeerListener } from "../../call/peer";
import { KIND } from "../../link/frames";
import { LinkPeer, type LinkPeerOptions } from "../../link/peer";
import { asStream, deferred, FakeServer, FakeStream, FakeTrack } from "../fakes";
import { FakeSocket, installNetwork, type FakeFetch } from "./network";
import { installVideo, type FakeVideo } from "./video_elements";
import { FakeContext, FakeEncoder, FakeNode, installWebAudio, withoutWebCodecs } from "./web_audio";
import { bytes, frame, outline, read, text, wire } from "./wire";

const ANSWER = {
  type: "link",
  webrtc_id: "call-1",
  secret: "s3cret",
  audio: { codec: "opus", rate: 48_000 },
  video: null,
  path: "gradio_api/gradio_webrtc/link",
};

let server: FakeServer;
let network: FakeFetch;
let video: FakeVideo;
type Callbacks = Required<PeerListener>;
let listener: { [Name in keyof Callbacks]: ReturnType<typeof vi.fn<Callbacks[Name]>> };
let peer: LinkPeer;
const carriers: string[] = [];

const create = (changes: Partial<LinkPeerOptions> = {}): LinkPeer =>
  new LinkPeer(
    {
      server,
      root: "http://app/talk/",
      mode: "send-receive",
      kinds: ["audio"],
      stream: asStream(new FakeStream([new FakeTrack("audio")])),
      query: "?room=7",
      carrier: "websocket",
      oncarrier: (kind) => carriers.push(kind),
      ...changes,
    },
    listener,
  );

const context = (): FakeContext => FakeContext.all.at(-1) as FakeContext;
const node = (name: string): FakeNode => FakeNode.all.get(name) as FakeNode;
const welcome = (): void =>
  FakeSocket.last.receive(wire(frame(KIND.WELCOME, 0, text('{"received": 0}'))));

async function open(changes: Partial<LinkPeerOptions> = {}): Promise<void> {
  peer = create(changes);
  await peer.call();
  welcome();
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  server.replies.link = ANSWER;
  network = installNetwork();
  installWebAudio();
  video = installVideo();
  carriers.length = 0;
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
afterEach(async () => {
  await peer.close();
  expect(vi.getTimerCount()).toBe(0);
  expect(FakeContext.all.every(({ state }) => state === "closed")).toBe(true);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the request", () => {
  it("lists what the browser has", async () => {
    await open();
    const audio = { codecs: ["opus", "pcm16"], rate: 48_000 };
    expect(server.bodies).toEqual([{ type: "link", audio, video: ["jpeg"], query: "?room=7" }]);
    await peer.close();
    withoutWebCodecs();
    server.replies.link = { ...ANSWER, audio: { codec: "pcm16", rate: 24_000 } };
    await open();
    expect(server.bodies[1]).toMatchObject({ audio: { codecs: ["pcm16"], rate: 24_000 } });
  });

  it("rejects when the server refuses", async () => {
    server.replies.link = { status: "failed", meta: { error: "server_busy" } };
    peer = create();
    await expect(peer.call()).rejects.toMatchObject({ code: "server_busy" });
  });

  it.each([
    { ...ANSWER, path: undefined },
    { ...ANSWER, audio: { codec: "mp3" } },
    { ...ANSWER, secret: 7 },
    { type: "answer", sdp: "", webrtc_id: "call-1", secret: "s3cret" },
  ])("rejects an answer that is none", async (answer) => {
    server.replies.link = answer;
    peer = create();
    await expect(peer.call()).rejects.toMatchObject({ code: "invalid_answer" });
  });

  it("rejects when the browser has no worklets", async () => {
    vi.stubGlobal(
      "AudioContext",
      class extends FakeContext {
        override audioWorklet = { addModule: async () => Promise.reject(new Error("not found")) };
      },
    );
    peer = create();
    await expect(peer.call()).rejects.toThrow("not found");
    expect(server.ofType("close"), "whose session would wait for a carrier").toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
    await peer.close();
    server.replies.link = undefined;
    peer = create();
    await expect(peer.call(), "of both, the server counts").rejects.toMatchObject({
      code: "unreachable",
    });
  });

  it("is not made after the call was closed", async () => {
    peer = create();
    const calling = peer.call();
    await peer.close();
    await calling;
    expect(server.bodies).toEqual([]);
  });

  it("is taken back when the call was closed meanwhile", async () => {
    const reply = deferred<unknown>();
    server.replies.link = reply.promise;
    peer = create();
    const calling = peer.call();
    await vi.waitFor(() => expect(server.bodies).toHaveLength(1));
    await peer.close();
    reply.resolve(ANSWER);
    await calling;
    expect(server.ofType("close")).toEqual([
      { type: "close", webrtc_id: "call-1", secret: "s3cret" },
    ]);
    expect(listener.onanswer).not.toHaveBeenCalled();
    expect(FakeSocket.all).toEqual([]);
  });
});

describe("a call over a link", () => {
  it("has its credentials and its track before it is connected", async () => {
    peer = create();
    await peer.call();
    expect(listener.onanswer.mock.calls).toEqual([[{ webrtc_id: "call-1", secret: "s3cret" }]]);
    expect(listener.ontrack.mock.calls).toEqual([context().destination.getTracks()]);
    expect(listener.onconnected).not.toHaveBeenCalled();
    expect(String(FakeSocket.last.url)).toBe("ws://app/talk/gradio_api/gradio_webrtc/link");
    expect(FakeSocket.last.protocols).toEqual(["link", "call-1.s3cret.0"]);
    welcome();
    expect(listener.onconnected.mock.calls).toEqual([["link"]]);
    expect(carriers).toEqual(["websocket"]);
  });

  it("sends the microphone and plays what comes", async () => {
    await open();
    node("microphone").port.onmessage?.({ data: new Float32Array(960) });
    expect(FakeSocket.last.sent.map(outline)).toEqual([[[KIND.AUDIO, 1]]]);
    server.replies.link = { ...ANSWER, audio: { codec: "pcm16", rate: 48_000 } };
    await peer.close();
    await open();
    FakeSocket.last.receive(wire(frame(KIND.AUDIO, 1, bytes(0, 0x40)), frame(KIND.CLEAR, 2)));
    expect(node("loudspeaker").port.posted).toEqual([[Float32Array.from([0.5])], null]);
  });

  it.each([
    ["send", ["microphone"], 0],
    ["receive", ["loudspeaker"], 1],
  ] as const)("in mode %s has a %s", async (mode, nodes, tracks) => {
    await open({ mode, ...(mode === "receive" && { stream: null }) });
    expect([...FakeNode.all.keys()]).toEqual(nodes);
    expect(listener.ontrack).toHaveBeenCalledTimes(tracks);
  });

  it("keeps holds to itself, which come with a frame that empties its buffer", async () => {
    await open();
    const message = (number: number, type: string) => frame(KIND.TEXT, number, text(`{"type":"${type}"}`));
    FakeSocket.last.receive(wire(frame(KIND.CLEAR, 1), message(2, "hold"), message(3, "resume")));
    expect(node("loudspeaker").port.posted).toEqual([null]);
    expect(listener.onmessage).not.toHaveBeenCalled();
  });

  it("passes on the messages of the server, and all other texts as they are", async () => {
    await open();
    const message = (number: number, value: string) => frame(KIND.TEXT, number, text(value));
    FakeSocket.last.receive(wire(message(1, '{"type": "send_input"}'), message(2, "nonsense")));
    expect(listener.onmessage.mock.calls).toEqual([[{ type: "send_input" }]]);
    expect(listener.ontext.mock.calls).toEqual([["nonsense"]]);
  });

  it("asks for no WebSocket of a server that has none", async () => {
    server.replies.link = { ...ANSWER, websocket: false };
    const before = FakeSocket.all.length;
    peer = create();
    await peer.call();
    expect([FakeSocket.all.length - before, network.requests.length]).toEqual([0, 1]);
    const closing = peer.close();
    network.posts.at(-1)?.respond(204);
    await closing;
  });

  it("sends texts once there is a carrier", async () => {
    peer = create();
    expect(peer.send("early")).toBe(false);
    await peer.call();
    expect(peer.send("early")).toBe(false);
    welcome();
    expect(listener.onwritable).toHaveBeenCalledOnce();
    expect(peer.send("hello")).toBe(true);
    expect(read(FakeSocket.last.sent.at(-1) ?? null)).toEqual([frame(KIND.TEXT, 1, text("hello"))]);
    await peer.close();
    expect(peer.send("late")).toBe(false);
  });

  it("takes a worklet from elsewhere", async () => {
    await open({ worklet: new URL("http://app/talk/client-worklet.js") });
    expect(context().modules).toEqual(["http://app/talk/client-worklet.js"]);
  });

  it("passes on how its carriers fare", async () => {
    await open();
    await vi.advanceTimersByTimeAsync(5000);
    FakeSocket.last.onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(500);
    expect(listener.onunstable).toHaveBeenCalledOnce();
    welcome();
    expect(listener.onconnected).toHaveBeenCalledTimes(2);
    FakeSocket.last.receive(wire(frame(KIND.BYE)));
    expect(listener.onclosed).toHaveBeenCalledOnce();
  });

  it("is lost without a carrier, or without the browser's codec", async () => {
    await open();
    FakeEncoder.last.fail();
    expect(listener.onlost).toHaveBeenCalledOnce();
    await peer.close();
    await open();
    FakeSocket.last.onclose?.({ code: 4400 });
    expect(listener.onlost).toHaveBeenCalledTimes(2);
  });

  it("can change its microphone", async () => {
    await open();
    const track = new FakeTrack("audio");
    await peer.replaceTrack(track as unknown as MediaStreamTrack);
    expect(context().sources.at(-1)?.stream.getTracks()).toEqual([track]);
  });

  it("asks the server about itself", async () => {
    await open();
    expect(await peer.lookUp()).toBe("found");
    expect(server.bodies.at(-1)).toEqual({
      type: "candidates",
      webrtc_id: "call-1",
      secret: "s3cret",
    });
  });

  it("sends a goodbye, once", async () => {
    await open();
    await peer.close();
    await peer.close();
    expect(FakeSocket.last.sent.map(outline)).toEqual([[[KIND.BYE, 0]]]);
    expect(server.ofType("close")).toEqual([]);
    expect(network.requests).toEqual([]);
  });

  it("plays on while nobody listens, until it is closed", async () => {
    await open();
    peer.detachListener();
    FakeSocket.last.receive(wire(frame(KIND.BYE)));
    expect(listener.onclosed).not.toHaveBeenCalled();
    expect(context().state).toBe("running");
  });
});

describe("video over a link", () => {
  const camera = (): FakeTrack => new FakeTrack("video");
  const openVideo = (track = camera()): Promise<void> => {
    server.replies.link = { ...ANSWER, audio: null, video: "jpeg" };
    return open({ kinds: ["video"], stream: asStream(new FakeStream([track])) });
  };
  const sent = (): unknown[] => FakeSocket.last.sent.map(outline);
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  it("asks for no audio, and opens none", async () => {
    await openVideo();
    expect(server.bodies[0]).toMatchObject({ audio: { codecs: [] } });
    expect(FakeContext.all).toEqual([]);
  });

  it("goes as JPEG of 640 pixels at most, two frames at a time", async () => {
    await openVideo();
    video.size = [1280, 720];
    await pass(70);
    expect([video.canvas.width, video.canvas.height]).toEqual([640, 360]);
    expect(sent()).toEqual([[[KIND.VIDEO, 1]]]);
    await pass(500);
    expect(sent()).toEqual([[[KIND.VIDEO, 1]], [[KIND.VIDEO, 2]]]);
    FakeSocket.last.receive(wire(frame(KIND.ACK, 0, bytes(0, 0, 0, 2, 0, 0, 0, 0))));
    await pass(70);
    expect(sent()).toHaveLength(3);
    const [, , third] = FakeSocket.last.sent;
    const timestamp = new DataView((third as Uint8Array<ArrayBuffer>).buffer).getUint32(9);
    expect(timestamp).toBeGreaterThan(450);
    expect([...(third as Uint8Array<ArrayBuffer>).slice(13)]).toEqual([...video.jpeg]);
  });

  it("goes in fewer bytes after a frame that was too large", async () => {
    await openVideo();
    video.size = [320, 240];
    video.jpeg = new Uint8Array(300_000);
    await pass(70);
    video.jpeg = bytes(1);
    await pass(70);
    expect(sent()).toHaveLength(1);
    expect(video.qualities[1]).toBeLessThan(video.qualities[0] as number);
  });

  it("waits for the camera, and takes another one", async () => {
    await openVideo();
    await pass(500);
    expect(sent()).toEqual([]);
    const track = camera();
    await peer.replaceTrack(track as unknown as MediaStreamTrack);
    expect((video.element.srcObject as unknown as FakeStream).getTracks()).toEqual([track]);
    await peer.close();
    expect(video.element.srcObject).toBeNull();
  });

  it("comes on a track that begins with its first frame", async () => {
    await openVideo();
    const show = (number: number): void =>
      FakeSocket.last.receive(wire(frame(KIND.VIDEO, number, bytes(0, 0, 0, 0, number))));
    expect(listener.ontrack).not.toHaveBeenCalled();
    show(1);
    await pass(0);
    expect(listener.ontrack.mock.calls).toEqual([[video.captured]]);
    const drawing = deferred<void>();
    video.pending = drawing.promise;
    for (const number of [2, 3, 4]) show(number);
    drawing.resolve();
    await pass(0);
    expect(video.drawn).toEqual([[1], [2], [4]]);
    expect(listener.ontrack).toHaveBeenCalledOnce();
    await peer.close();
    expect(video.captured.readyState).toBe("ended");
  });
});

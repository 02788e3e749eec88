import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CarrierKind } from "../../link/carrier";
import { KIND, writeAck } from "../../link/frames";
import { Link, type LinkListener } from "../../link/link";
import { FakeFetch, FakeSocket, installNetwork, TARGET } from "./network";
import { bytes, frame, outline, read, text, wire } from "./wire";

const { WELCOME, TEXT, AUDIO, VIDEO, CLEAR, ACK, BYE } = KIND;

let network: FakeFetch;
let listener: { [Name in keyof LinkListener]: ReturnType<typeof vi.fn<LinkListener[Name]>> };
let link: Link;

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const welcome = (received = 0) => frame(WELCOME, 0, text(JSON.stringify({ received })));
const sockets = (): FakeSocket[] => FakeSocket.all;
const gets = (): number => network.requests.length - network.posts.length;
const connects = (): CarrierKind[] => listener.onconnected.mock.calls.map(([kind]) => kind);

/** Opens a link over this kind of carrier. */
async function open(kind: CarrierKind = "websocket"): Promise<void> {
  link.connect(kind);
  await accept(kind);
}

/** Lets the server welcome the carrier that was opened last. */
async function accept(kind: CarrierKind = "websocket", received = 0): Promise<void> {
  if (kind === "websocket") FakeSocket.last.receive(wire(welcome(received)));
  else {
    network.get.respond(200);
    network.get.stream(wire(welcome(received)));
  }
  await pass(0);
}

const breakSocket = (code = 1006): void => FakeSocket.last.onclose?.({ code });

beforeEach(() => {
  vi.useFakeTimers();
  network = installNetwork();
  listener = {
    onconnected: vi.fn(),
    onunstable: vi.fn(),
    onlost: vi.fn(),
    onclosed: vi.fn(),
    ontext: vi.fn(),
    onaudio: vi.fn(),
    onvideo: vi.fn(),
    onclear: vi.fn(),
  };
  link = new Link(TARGET, listener);
});
afterEach(() => {
  link.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the first carrier", () => {
  it("is a WebSocket, connected when it is welcomed", async () => {
    link.connect("websocket");
    expect(listener.onconnected).not.toHaveBeenCalled();
    await accept();
    expect(connects()).toEqual(["websocket"]);
    expect(network.requests).toEqual([]);
  });

  it("is HTTP when the WebSocket closes", async () => {
    link.connect("websocket");
    breakSocket();
    await pass(0);
    await accept("http");
    expect(connects()).toEqual(["http"]);
  });

  it("is HTTP, and stays so, with a server that has no WebSockets", async () => {
    link.connect("http", false);
    network.get.respond(502);
    await pass(300);
    expect(gets()).toBe(2);
    await accept("http");
    network.get.end();
    await pass(300);
    expect([connects(), sockets(), gets()]).toEqual([["http"], [], 3]);
  });

  it("is HTTP beside a WebSocket that a proxy holds, which is given up after 1.5 s", async () => {
    link.connect("websocket");
    await pass(299);
    expect(gets()).toBe(0);
    await pass(1);
    expect(gets()).toBe(1);
    await accept("http");
    await pass(1199);
    expect(FakeSocket.last.closedWith).toBeNull();
    await pass(1);
    expect(FakeSocket.last.closedWith).toBe(1000);
    await pass(5000);
    expect([connects(), sockets().length, gets()]).toEqual([["http"], 1, 1]);
  });

  it("is a slow WebSocket after all, over which what HTTP began goes on", async () => {
    link.connect("websocket");
    const slow = FakeSocket.last;
    await pass(300);
    await accept("http");
    link.sendVideo(bytes(1));
    slow.receive(wire(welcome(0)));
    await pass(0);
    expect(connects()).toEqual(["http", "websocket"]);
    expect(network.get.isAborted).toBe(true);
    expect(slow.sent.map(outline)).toEqual([[[VIDEO, 1]]]);
    slow.receive(writeAck(1, 0));
    await pass(3000);
    expect([sockets().length, gets()]).toEqual([1, 1]);
  });

  it("is the WebSocket, even if its server ends the GET for it before that is known", async () => {
    link.connect("websocket");
    await pass(300);
    await accept("http");
    network.get.end();
    await pass(100);
    FakeSocket.last.receive(wire(welcome(0)));
    await pass(3000);
    expect(connects()).toEqual(["http", "websocket"]);
    expect([sockets().length, gets(), listener.onunstable.mock.calls.length]).toEqual([1, 1, 0]);
  });

  it("is another WebSocket if a GET came late and took its place", async () => {
    link.connect("websocket");
    await pass(300);
    await accept();
    expect(network.get.isAborted).toBe(true);
    breakSocket(4409);
    await pass(0);
    await accept();
    expect(connects()).toEqual(["websocket", "websocket"]);
    expect(gets()).toBe(1);
  });

  it("is HTTP when the page may not have a WebSocket", async () => {
    vi.stubGlobal(
      "WebSocket",
      class {
        constructor() {
          throw new DOMException("by policy", "SecurityError");
        }
      },
    );
    link.connect("websocket");
    await pass(0);
    await accept("http");
    expect(connects()).toEqual(["http"]);
  });

  it("may be HTTP from the beginning, and a WebSocket where that fails", async () => {
    link.connect("http");
    expect(sockets()).toEqual([]);
    network.get.respond(502);
    await pass(300);
    await accept();
    expect(connects()).toEqual(["websocket"]);
  });

  it("is not looked for once the server refuses", async () => {
    link.connect("websocket");
    breakSocket();
    await pass(0);
    network.get.respond(404);
    await pass(0);
    expect(listener.onlost).toHaveBeenCalledOnce();
    await pass(20_000);
    expect([sockets().length, gets()]).toEqual([1, 1]);
  });

  it("is looked for in both ways, but not for ever", async () => {
    link.connect("websocket");
    for (let n = 0; n < 40; n++) {
      breakSocket();
      await pass(0);
      network.get.fail();
      await pass(300);
    }
    expect(listener.onlost).toHaveBeenCalledOnce();
    expect(gets()).toBeGreaterThan(10);
    expect(listener.onconnected).not.toHaveBeenCalled();
  });

  it("is tried again a second after the server was busy", async () => {
    link.connect("http");
    network.get.respond(429);
    await pass(999);
    expect(gets()).toBe(1);
    await pass(1);
    expect(gets()).toBe(2);
  });
});

describe("what comes", () => {
  it("is passed on by its kind", async () => {
    await open();
    const { last } = FakeSocket;
    last.receive(wire(frame(TEXT, 1, text("{}")), frame(AUDIO, 2, bytes(1)), frame(CLEAR, 3)));
    last.receive(wire(frame(VIDEO, 4, bytes(0, 0, 0, 0, 5))));
    expect(listener.ontext.mock.calls).toEqual([["{}"]]);
    expect(listener.onaudio.mock.calls).toEqual([[bytes(1)]]);
    expect(listener.onclear).toHaveBeenCalledOnce();
    expect(listener.onvideo.mock.calls).toEqual([[bytes(0, 0, 0, 0, 5)]]);
  });

  it("is acknowledged after 0.4 s, video at once", async () => {
    await open();
    const { last } = FakeSocket;
    last.receive(wire(frame(AUDIO, 1)));
    await pass(150);
    last.receive(wire(frame(AUDIO, 2)));
    await pass(249);
    expect(last.sent).toEqual([]);
    await pass(1);
    expect(last.sent.map((message) => read(message)[0]?.payload)).toEqual([
      bytes(0, 0, 0, 2, 0, 0, 0, 250),
    ]);
    last.receive(wire(frame(VIDEO, 3)));
    expect(last.sent).toHaveLength(2);
    await pass(1000);
    expect(last.sent).toHaveLength(2);
  });

  it("is acknowledged along with audio after 0.2 s", async () => {
    await open();
    const { last } = FakeSocket;
    last.receive(wire(frame(AUDIO, 1)));
    await pass(180);
    link.sendAudio(bytes(1));
    await pass(20);
    link.sendAudio(bytes(2));
    expect(last.sent.map(outline)).toEqual([[[AUDIO, 1]], [[AUDIO, 2], [ACK, 0]]]);
    await pass(1000);
    expect(last.sent).toHaveLength(2);
  });

  it("may be a goodbye", async () => {
    await open();
    FakeSocket.last.receive(wire(frame(BYE)));
    breakSocket(1000);
    await pass(10_000);
    expect(listener.onclosed).toHaveBeenCalledOnce();
    expect(listener.onlost).not.toHaveBeenCalled();
    expect(sockets()).toHaveLength(1);
  });

  it("comes in full, whatever goes wrong with a part of it", async () => {
    await open();
    const later: (() => void)[] = [];
    vi.stubGlobal("queueMicrotask", (action: () => void) => later.push(action));
    listener.onaudio.mockImplementationOnce(() => {
      throw new Error("no loudspeaker");
    });
    FakeSocket.last.receive(wire(frame(AUDIO, 1), frame(AUDIO, 2, bytes(2))));
    expect(listener.onaudio.mock.calls.at(-1)).toEqual([bytes(2)]);
    expect(listener.onlost).not.toHaveBeenCalled();
    expect(later[0]).toThrow("no loudspeaker");
  });

  it("ends the link if it breaks the rules", async () => {
    await open();
    expect(() => FakeSocket.last.receive(bytes(0, 0, 0, 0, 0, 0, 0, 0, 0))).toThrow("length 0");
    expect(listener.onlost).toHaveBeenCalledOnce();
    expect(FakeSocket.last.closedWith).toBe(1000);
  });
});

describe("what goes", () => {
  it("waits for the carrier", async () => {
    link.sendAudio(bytes(1));
    link.connect("websocket");
    link.sendAudio(bytes(2));
    expect(FakeSocket.last.sent).toEqual([]);
    await accept();
    expect(FakeSocket.last.sent.map(outline)).toEqual([[[AUDIO, 1], [AUDIO, 2]]]);
  });

  it("is a sign of life after 2 s without anything else", async () => {
    await open();
    link.sendAudio(bytes(1));
    FakeSocket.last.receive(writeAck(1, 0));
    await pass(1999);
    expect(FakeSocket.last.sent).toHaveLength(1);
    await pass(1);
    expect(outline(FakeSocket.last.sent[1] ?? null)).toEqual([[ACK, 0]]);
    await pass(4000);
    expect(FakeSocket.last.sent).toHaveLength(4);
  });

  it("goes in POSTs of 40 ms or more, two at a time", async () => {
    await open("http");
    const bodies = (): number[] =>
      network.posts.map(({ body }) => read(body as Uint8Array<ArrayBuffer>).length);
    link.sendAudio(bytes(1));
    expect(bodies()).toEqual([]);
    for (let n = 2; n <= 12; n++) link.sendAudio(bytes(n));
    expect(bodies()).toEqual([2, 5]);
    network.posts[1]?.respond(204);
    await pass(0);
    expect(bodies()).toEqual([2, 5, 5]);
  });

  it("may be text, which does not wait for audio", async () => {
    link.connect("http");
    expect(link.sendText("early")).toBe(false);
    await accept("http");
    expect(link.sendText("hello")).toBe(true);
    const sent = read(network.posts[0]?.body as Uint8Array<ArrayBuffer>);
    expect(sent).toEqual([frame(TEXT, 1, text("hello"))]);
    expect(() => link.sendText("x".repeat(262_145))).toThrow(RangeError);
    link.close();
    expect(link.sendText("late")).toBe(false);
  });

  it("is the end of the link when it is more text than a server takes", async () => {
    await open();
    const long = "x".repeat(262_144);
    const taken = Array.from({ length: 5 }, () => link.sendText(long));
    expect(taken).toEqual([true, true, true, true, false]);
    expect(listener.onlost).toHaveBeenCalledOnce();
  });

  it("counts the video that is not acknowledged, and does not let it wait", async () => {
    await open("http");
    link.sendVideo(bytes(1));
    expect([link.videoFrames, network.posts.length]).toEqual([1, 1]);
    network.get.stream(writeAck(1, 0));
    await pass(0);
    expect(link.videoFrames).toBe(0);
  });
});

describe("a carrier that breaks", () => {
  it("is followed by another, over which what is missing is sent again", async () => {
    await open();
    for (let n = 1; n <= 3; n++) link.sendAudio(bytes(n));
    FakeSocket.last.receive(wire(frame(AUDIO, 1), frame(AUDIO, 2)));
    FakeSocket.last.receive(writeAck(3, 0));
    await pass(5000);
    link.sendAudio(bytes(4));
    breakSocket();
    link.sendAudio(bytes(5));
    await pass(0);
    expect(FakeSocket.last.protocols[1]).toBe("call-1.s3cret.2");
    await accept("websocket", 3);
    expect(FakeSocket.last.sent.map(outline)).toEqual([[[AUDIO, 4], [AUDIO, 5]]]);
    FakeSocket.last.receive(wire(frame(AUDIO, 2), frame(AUDIO, 3, bytes(3))));
    expect(listener.onaudio.mock.calls.at(-1)).toEqual([bytes(3)]);
    expect(listener.onaudio).toHaveBeenCalledTimes(3);
    expect(listener.onunstable).not.toHaveBeenCalled();
    expect(connects()).toEqual(["websocket", "websocket"]);
  });

  it("is followed by one of the other kind if it broke at once", async () => {
    await open();
    await pass(2000);
    breakSocket();
    await pass(0);
    await accept("http");
    expect(connects()).toEqual(["websocket", "http"]);
  });

  it("is reported after 0.5 s, and its end after 6 s", async () => {
    await open();
    await pass(5000);
    breakSocket();
    await pass(499);
    expect(listener.onunstable).not.toHaveBeenCalled();
    await pass(1);
    expect(listener.onunstable).toHaveBeenCalledOnce();
    await pass(5499);
    expect(listener.onlost).not.toHaveBeenCalled();
    await pass(1);
    expect(listener.onlost).toHaveBeenCalledOnce();
  });

  it("is gone for good when the server no longer has the session", async () => {
    await open("http");
    await pass(5000);
    network.get.end();
    await pass(0);
    network.get.respond(404);
    await pass(0);
    expect(listener.onlost).toHaveBeenCalledOnce();
  });

  it("counts as broken when nothing is acknowledged for 4 s", async () => {
    await open();
    for (let n = 0; n < 205; n++) {
      link.sendAudio(bytes(n));
      await pass(20);
    }
    expect(sockets()).toHaveLength(2);
    await accept();
    expect(outline(FakeSocket.last.sent[0] ?? null)).toHaveLength(205);
  });

  it("counts as broken when nothing comes for 13 s", async () => {
    await open();
    await pass(12_999);
    expect(sockets()).toHaveLength(1);
    await pass(2000);
    expect(sockets()).toHaveLength(2);
  });
});

describe("closing", () => {
  it("sends a goodbye over the WebSocket", async () => {
    await open();
    link.close();
    expect(FakeSocket.last.sent.map(outline)).toEqual([[[BYE, 0]]]);
    expect(FakeSocket.last.closedWith).toBe(1000);
    link.close();
    expect(FakeSocket.last.sent).toHaveLength(1);
  });

  it("sends a goodbye in a request of its own, over HTTP and without a carrier", async () => {
    await open("http");
    link.close();
    expect(network.posts.map(({ keepalive }) => keepalive)).toEqual([true]);
    link = new Link(TARGET, listener);
    link.connect("websocket");
    link.close();
    expect(network.posts.map(({ keepalive }) => keepalive)).toEqual([true, true]);
    expect(outline(network.posts[1]?.body as Uint8Array<ArrayBuffer>)).toEqual([[BYE, 0]]);
  });

  it("is the end of all callbacks", async () => {
    await open();
    link.close();
    FakeSocket.last.receive(wire(frame(TEXT, 1)));
    breakSocket();
    await pass(20_000);
    expect(listener.ontext).not.toHaveBeenCalled();
    expect(listener.onlost).not.toHaveBeenCalled();
    expect(sockets()).toHaveLength(1);
  });
});

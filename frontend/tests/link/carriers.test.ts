import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CarrierListener } from "../../link/carrier";
import { HttpCarrier, sendLast } from "../../link/http_carrier";
import { WebSocketCarrier } from "../../link/websocket_carrier";
import { FakeFetch, FakeSocket, installNetwork, TARGET } from "./network";
import { bytes } from "./wire";

let network: FakeFetch;
let listener: { [Name in keyof CarrierListener]: ReturnType<typeof vi.fn<CarrierListener[Name]>> };
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  network = installNetwork();
  listener = { onbytes: vi.fn(), onready: vi.fn(), onbroken: vi.fn() };
});
afterEach(() => void vi.unstubAllGlobals());

describe("a WebSocket", () => {
  const open = (url = TARGET.url, received = 7): [WebSocketCarrier, FakeSocket] => [
    new WebSocketCarrier({ ...TARGET, url }, received, listener),
    FakeSocket.last,
  ];

  it("names the session in a protocol, and nothing in its address", () => {
    const [, socket] = open();
    expect(String(socket.url)).toBe("ws://app/talk/gradio_api/gradio_webrtc/link");
    expect(socket.protocols).toEqual(["link", "call-1.s3cret.7"]);
    expect(String(open(new URL("https://app/link"))[1].url)).toBe("wss://app/link");
  });

  it("passes bytes both ways, and no text", () => {
    const [carrier, socket] = open();
    socket.receive(bytes(1, 2));
    socket.onmessage?.({ data: "text" });
    expect(listener.onbytes.mock.calls).toEqual([[bytes(1, 2)]]);
    carrier.send(bytes(3));
    expect(socket.sent).toEqual([bytes(3)]);
  });

  it("takes every frame at once, until the network is slow", () => {
    const [carrier, socket] = open();
    expect([carrier.takes(0, false), carrier.takes(1, false), carrier.takes(0, true)]).toEqual([
      false,
      true,
      true,
    ]);
    socket.bufferedAmount = 100_000;
    expect([carrier.takes(5, false), carrier.takes(5, true)]).toEqual([false, false]);
  });

  it("takes nothing while it is closing", () => {
    const [carrier, socket] = open();
    socket.readyState = 2;
    expect([carrier.takes(1, false), carrier.takes(0, true)]).toEqual([false, false]);
  });

  it.each([
    [1006, "broken"],
    [1001, "broken"],
    [4409, "replaced"],
    [4400, "refused"],
  ] as const)("that ends with %d is %s", (code, why) => {
    const [, socket] = open();
    socket.onclose?.({ code });
    expect(listener.onbroken.mock.calls).toEqual([[why]]);
  });

  it("reports nothing once it is closed", () => {
    const [carrier, socket] = open();
    carrier.close();
    socket.onclose?.({ code: 1000 });
    socket.receive(bytes(1));
    expect(socket.closedWith).toBe(1000);
    expect(listener.onbroken).not.toHaveBeenCalled();
    expect(listener.onbytes).not.toHaveBeenCalled();
  });
});

describe("HTTP", () => {
  it("streams down what the GET brings", async () => {
    new HttpCarrier(TARGET, 7, listener);
    expect(network.get).toMatchObject({
      url: "http://app/talk/gradio_api/gradio_webrtc/link",
      headers: { "X-Link-Session": "call-1.s3cret", "X-Link-Received": "7" },
    });
    network.get.respond(200);
    network.get.stream(bytes(1, 2));
    network.get.stream(bytes(3));
    await settle();
    expect(listener.onbytes.mock.calls).toEqual([[bytes(1, 2)], [bytes(3)]]);
    network.get.end();
    await settle();
    expect(listener.onbroken.mock.calls).toEqual([["broken"]]);
  });

  it.each([
    [404, "refused"],
    [400, "refused"],
    [429, "busy"],
    [502, "broken"],
    [401, "broken"],
  ] as const)("whose GET gets %d is %s", async (status, why) => {
    new HttpCarrier(TARGET, 0, listener);
    network.get.respond(status);
    await settle();
    expect(listener.onbroken.mock.calls).toEqual([[why]]);
  });

  it("breaks with the network, in each of its requests, once", async () => {
    new HttpCarrier(TARGET, 0, listener);
    network.get.fail();
    await settle();
    expect(listener.onbroken.mock.calls).toEqual([["broken"]]);
    const second = new HttpCarrier(TARGET, 0, listener);
    network.get.respond(200);
    second.send(bytes(1));
    second.send(bytes(2));
    network.posts[0]?.fail();
    network.posts[1]?.respond(404);
    await settle();
    expect(listener.onbroken.mock.calls).toEqual([["broken"], ["broken"]]);
    expect(network.get.isAborted).toBe(true);
  });

  it("posts 40 ms, and 100 ms beside another one, and no third", async () => {
    const carrier = new HttpCarrier(TARGET, 0, listener);
    const taken = (): boolean[] => [1, 2, 4, 5].map((frames) => carrier.takes(frames, false));
    expect(taken()).toEqual([false, true, true, true]);
    expect(carrier.takes(0, true)).toBe(true);
    carrier.send(bytes(1));
    expect(taken()).toEqual([false, false, false, true]);
    expect(carrier.takes(0, true)).toBe(true);
    carrier.send(bytes(2));
    expect(taken()).toEqual([false, false, false, false]);
    expect(carrier.takes(9, true)).toBe(false);
    expect(network.posts.map(({ body, headers }) => [body, headers["X-Link-Session"]])).toEqual([
      [bytes(1), "call-1.s3cret"],
      [bytes(2), "call-1.s3cret"],
    ]);
    network.posts[1]?.respond(204);
    await settle();
    expect(listener.onready).toHaveBeenCalledOnce();
    expect(taken()).toEqual([false, false, false, true]);
  });

  it("that took too much is busy", async () => {
    const carrier = new HttpCarrier(TARGET, 0, listener);
    carrier.send(bytes(1));
    network.posts[0]?.respond(429);
    await settle();
    expect(listener.onbroken.mock.calls).toEqual([["busy"]]);
  });

  it("reports nothing once it is closed, and leaves no request open", async () => {
    const carrier = new HttpCarrier(TARGET, 0, listener);
    network.get.respond(200);
    carrier.send(bytes(1));
    carrier.close();
    await settle();
    expect([network.get.isAborted, network.posts[0]?.isAborted]).toEqual([true, true]);
    expect(listener.onbroken).not.toHaveBeenCalled();
  });

  it("sends a last message that outlives the page", async () => {
    sendLast(TARGET, bytes(9));
    expect(network.posts[0]).toMatchObject({ body: bytes(9), keepalive: true });
    network.posts[0]?.fail();
    await settle();
  });
});

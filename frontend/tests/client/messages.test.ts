import { describe, expect, it } from "vitest";
import { deferred } from "../fakes";
import { become, begin, collect, connection, open, pass, refusal, route, sent, texts } from "./calling";

describe("messages", () => {
  it("wait until the call is open and its channel too", async () => {
    const call = begin();
    expect(call.send({ at: 0 })).toBe(true);
    await pass();
    const channel = connection().channel!;
    channel.readyState = "connecting";
    connection().become("connected");
    expect(call.send({ at: 1 })).toBe(true);
    expect(channel.sent).toEqual([]);
    channel.readyState = "open";
    channel.onopen?.();
    expect(call.send({ at: 2 })).toBe(true);
    expect(sent()).toEqual([{ at: 0 }, { at: 1 }, { at: 2 }]);
  });

  it("wait for a channel that opens before the call does", async () => {
    const call = begin();
    call.send("early");
    await pass();
    connection().channel?.onopen?.();
    expect(sent()).toEqual([]);
    connection().become("connected");
    expect(sent()).toEqual(["early"]);
  });

  it("do not wait without a bound", () => {
    const call = begin();
    const taken = Array.from({ length: 257 }, (_, n) => call.send(n));
    expect(taken.indexOf(false)).toBe(256);
  });

  it("that the transport cannot carry are an error, and hold up no other", async () => {
    const call = begin({ inputs: ["long"] });
    const errors = collect(call, "error");
    call.send("long");
    call.send("short");
    await pass();
    const channel = connection().channel!;
    const take = channel.send.bind(channel);
    channel.send = (text) => {
      if (text.includes("long")) throw new TypeError("larger than max-message-size");
      take(text);
    };
    become("connected");
    expect(sent()).toEqual(["short"]);
    expect(texts(errors)).toEqual(Array(2).fill("Not sent: larger than max-message-size"));
    expect(() => call.send("long")).toThrow(TypeError);
    connection().deliver({ type: "send_input" });
    expect(errors).toHaveLength(3);
  });

  it("are any value of JSON, in both directions", async () => {
    const call = await open();
    const messages = collect(call, "message");
    for (const value of ["handshake", "7", 7, null, [1, { a: "ä" }]]) {
      call.send(value);
      connection().deliver(JSON.stringify(value));
    }
    connection().deliver("no JSON");
    expect(sent()).toEqual(["handshake", "7", 7, null, [1, { a: "ä" }]]);
    expect(connection().channel?.sent[1]).toBe('"handshake"');
    expect(messages).toEqual(["handshake", "7", 7, null, [1, { a: "ä" }], "no JSON"]);
    expect(() => call.send(undefined)).toThrow(/expected a value of JSON, got undefined/);
    expect(() => call.send(1n)).toThrow(TypeError);
  });
});

describe("inputs", () => {
  const message = (...data: unknown[]): object => ({ type: "set_inputs", data });

  it("are sent when the call opens, before what waits, and when the server asks for them", async () => {
    const call = begin({ inputs: [0.5, "calm"] });
    call.send("early");
    await pass();
    become("connected");
    expect(sent()).toEqual([message(0.5, "calm"), "early"]);
    connection().deliver({ type: "send_input" });
    expect(sent()).toEqual([message(0.5, "calm"), "early", message(0.5, "calm")]);
  });

  it("are sent again to the handler of a call that was made again", async () => {
    await open({ inputs: [1] });
    become("failed");
    await pass(1000);
    become("connected");
    expect(sent()).toEqual([message(1)]);
  });

  it("that waited for a channel are not sent behind newer ones", async () => {
    const call = begin({ inputs: [1] });
    await pass();
    connection().channel!.readyState = "connecting";
    connection().become("connected");
    connection().become("failed");
    call.setInputs([2]);
    await pass(1000);
    become("connected");
    expect(sent()).toEqual([message(2)]);
  });

  it("are sent when they change in an open call", async () => {
    const call = begin({ inputs: [1] });
    call.setInputs([2]);
    await pass();
    become("connected");
    expect(sent()).toEqual([message(2)]);
    const values = [3];
    call.setInputs(values);
    values.push(4);
    connection().deliver({ type: "send_input" });
    expect(sent()).toEqual([message(2), message(3), message(3)]);
    expect(() => call.setInputs([1n])).toThrow(TypeError);
  });

  it("are left to the page without any, but for a handler that only sends", async () => {
    await open();
    connection().deliver({ type: "send_input" });
    expect(sent()).toEqual([]);
    await open({ media: { audio: "receive" } });
    expect(sent()).toEqual([message()]);
    connection().deliver({ type: "send_input" });
    expect(sent()).toEqual([message(), message()]);
  });
});

describe("outputs", () => {
  const OUTPUTS = { type: "outputs", webrtc_id: "call-1", secret: "s3cret" };

  it("are not asked for without a listener", async () => {
    await open();
    connection().deliver({ type: "fetch_output" });
    await pass();
    expect(route.ofType("outputs")).toEqual([]);
  });

  it("are read when the call opens, and when there are more", async () => {
    const call = begin();
    const outputs = collect(call, "output");
    await pass();
    route.replies.outputs = { outputs: [["first", 1]] };
    become("connected");
    await pass();
    expect(route.ofType("outputs")).toEqual([OUTPUTS]);
    route.replies.outputs = { outputs: [["second"], ["third"]] };
    connection().deliver({ type: "fetch_output" });
    await pass();
    expect(outputs).toEqual([["first", 1], ["second"], ["third"]]);
  });

  it("are read one request at a time, and once more for what came meanwhile", async () => {
    const call = await open();
    const reply = deferred<object>();
    route.replies.outputs = reply.promise;
    const outputs = collect(call, "output");
    connection().deliver({ type: "fetch_output" });
    connection().deliver({ type: "fetch_output" });
    await pass();
    expect(route.ofType("outputs")).toHaveLength(1);
    reply.resolve({ outputs: [] });
    route.replies.outputs = { outputs: [["late"]] };
    await pass();
    expect(outputs).toEqual([["late"]]);
    expect(route.ofType("outputs")).toHaveLength(2);
  });

  it("do not come any more once the call is closed", async () => {
    const call = await open();
    const got: unknown[] = [];
    call.on("output", (args) => {
      got.push(...args);
      call.close();
    });
    route.replies.outputs = { outputs: [[1], [2]] };
    connection().deliver({ type: "fetch_output" });
    await pass();
    expect(got).toEqual([1]);
  });

  it("that were lost are an error, unless the call is over", async () => {
    const call = await open();
    const errors = collect(call, "error");
    route.replies.outputs = refusal("unknown_connection");
    call.on("output", () => undefined);
    await pass();
    expect(texts(errors)).toEqual(["Some outputs did not arrive."]);
    connection().deliver({ type: "fetch_output" });
    call.close();
    await pass();
    expect(errors).toHaveLength(1);
  });
});

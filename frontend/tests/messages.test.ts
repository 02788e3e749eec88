import { describe, expect, it } from "vitest";
import { OfferRefused, parseMessage, readAnswer, readCandidates } from "../call/messages";
import { TURN_TIMES } from "../types";

describe("parseMessage", () => {
  it.each([
    ['{"type":"send_input","data":[]}', { type: "send_input" }],
    ['{"type":"fetch_output","data":[]}', { type: "fetch_output" }],
    ['{"type":"stopword","data":""}', { type: "stopword" }],
    ['{"type":"hold","data":[]}', { type: "hold" }],
    ['{"type":"resume","data":[]}', { type: "resume" }],
    ['{"type":"warning","message":"m","data":"d"}', { type: "warning", text: "d" }],
    ['{"type":"error","message":"m"}', { type: "error", text: "m" }],
    ['{"type":"info","message":"m","title":"Info","duration":10}', { type: "info", text: "m" }],
    [
      '{"type":"warning","message":"m","title":"Mind","duration":10}',
      { type: "warning", text: "m", style: { title: "Mind", duration: 10 } },
    ],
    [
      '{"type":"error","message":"m","title":"Error","duration":null}',
      { type: "error", text: "m", style: { title: "Error", duration: null } },
    ],
    [
      '{"type":"success","message":"m"}',
      { type: "success", text: "m", style: { title: "Success", duration: 10 } },
    ],
    ['{"type":"end_stream","data":"done"}', { type: "end_stream", text: "done", code: "" }],
    [
      '{"type":"end_stream","data":"done","code":"server_stopping"}',
      { type: "end_stream", text: "done", code: "server_stopping" },
    ],
    ['{"type":"log","data":"started_talking"}', { type: "log", text: "started_talking" }],
    ['{"type":"error"}', { type: "error", text: "" }],
    ["tick", { type: "send_input" }],
    ["change", { type: "fetch_output" }],
    ["stopword", { type: "stopword" }],
  ])("understands %s", (raw, message) => {
    expect(parseMessage(raw)).toEqual(message);
  });

  it.each([
    ["text that is no message", "Server received: handshake"],
    ["a number", "42"],
    ["a list", '["send_input"]'],
    ["null", "null"],
    ["a type of tomorrow", '{"type":"sing"}'],
    ["a type that is no string", '{"type":7}'],
    ["bytes", new ArrayBuffer(4)],
  ])("leaves out %s", (_name, raw) => {
    expect(parseMessage(raw)).toBeNull();
  });
});

describe("the message about a turn", () => {
  const read = (data: unknown): unknown => parseMessage(JSON.stringify({ type: "turn", data }));

  it("has all times, and null for what never came", () => {
    const turn = { number: 3, last_speech_s: 1.5, heard_s: null, response_s: "soon" };
    expect(read({ ...turn, discarded_starts: 1, was_interrupted: true, next: 2 })).toEqual({
      type: "turn",
      turn: {
        ...Object.fromEntries(TURN_TIMES.map((name) => [name, null])),
        number: 3,
        last_speech_s: 1.5,
        discarded_starts: 1,
        was_interrupted: true,
      },
    });
  });

  it.each([[null], [[]], [{}], [{ number: "3" }]])("is left out with %j", (data) => {
    expect(read(data)).toBeNull();
  });
});

describe("readAnswer", () => {
  const answer = { type: "answer", sdp: "v=0", webrtc_id: "id", secret: "s" };

  it("takes the answer, its secret, and whether candidates follow", () => {
    const { sdp, webrtc_id, secret } = answer;
    expect(readAnswer(answer)).toEqual({ sdp, webrtc_id, secret, hasMoreCandidates: false });
    expect(readAnswer({ ...answer, candidates_follow: true }).hasMoreCandidates).toBe(true);
  });

  it("throws with the limit that was reached", () => {
    const reply = { status: "failed", meta: { error: "concurrency_limit_reached", limit: 3 } };
    expect(() => readAnswer(reply)).toThrowError(
      expect.objectContaining({
        name: "OfferRefused",
        code: "concurrency_limit_reached",
        limit: 3,
      }),
    );
  });

  it("keeps the title of a handler that could not be made", () => {
    const meta = { error: "handler_failed", message: "No model.", title: "Asleep" };
    expect(() => readAnswer({ status: "failed", meta })).toThrowError(
      expect.objectContaining({ code: "handler_failed", message: "No model.", title: "Asleep" }),
    );
  });

  it("keeps the server's message", () => {
    const reply = {
      status: "failed",
      meta: { error: "invalid_offer", message: "No audio in it." },
    };
    expect(() => readAnswer(reply)).toThrowError("No audio in it.");
  });

  it.each([
    ["nothing", null],
    ["a failure without a message", { status: "failed" }],
    ["no secret", { ...answer, secret: undefined }],
    ["no description", { ...answer, sdp: 1 }],
    ["an offer", { ...answer, type: "offer" }],
  ])("refuses %s", (_name, reply) => {
    expect(() => readAnswer(reply)).toThrow(OfferRefused);
  });
});

describe("readCandidates", () => {
  it("keeps what is readable", () => {
    const good = { candidate: "candidate:1 1 udp", sdpMid: "0", sdpMLineIndex: 0 };
    const candidates = [good, { ...good, candidate: "" }, { candidate: "candidate:2" }, 5, null];
    expect(readCandidates({ candidates })).toEqual([
      good,
      { candidate: "candidate:2", sdpMid: null, sdpMLineIndex: null },
    ]);
  });

  it.each([null, {}, { candidates: "none" }])("finds none in %j", (reply) => {
    expect(readCandidates(reply)).toEqual([]);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LinkAudio } from "../../link/audio";
import { createDecoder, createEncoder, hasOpus } from "../../link/codecs";
import { asStream, FakeStream, FakeTrack } from "../fakes";
import {
  FakeAudioData,
  FakeCodec,
  FakeContext,
  FakeDecoder,
  FakeEncoder,
  FakeNode,
  installWebAudio,
  withoutWebCodecs,
} from "./web_audio";
import { bytes } from "./wire";

const microphone = (): MediaStream => asStream(new FakeStream([new FakeTrack("audio")]));
const node = (name: string): FakeNode => FakeNode.all.get(name) as FakeNode;
const context = (): FakeContext => FakeContext.all.at(-1) as FakeContext;
const never = (): void => expect.unreachable();

beforeEach(installWebAudio);
afterEach(() => void vi.unstubAllGlobals());

describe("Opus", () => {
  it("is there with WebCodecs, if both directions are", async () => {
    expect(await hasOpus()).toBe(true);
    FakeCodec.isSupported = false;
    expect(await hasOpus()).toBe(false);
    FakeCodec.isSupported = new TypeError("no such configuration");
    expect(await hasOpus()).toBe(false);
    withoutWebCodecs();
    expect(await hasOpus()).toBe(false);
  });

  it("has one packet per frame, with timestamps 20 ms apart", () => {
    const packets: unknown[] = [];
    const encoder = createEncoder("opus", (packet) => packets.push(packet), never);
    encoder.encode(new Float32Array(960));
    encoder.encode(new Float32Array(960));
    expect(packets).toEqual([bytes(0, 0), bytes(1, 1)]);
    encoder.close();
    encoder.close();
    expect(FakeEncoder.last.state).toBe("closed");
  });

  it("is decoded to channels, and no frame is left open", () => {
    const played: unknown[] = [];
    const decoder = createDecoder("opus", (channels) => played.push(channels), never);
    decoder.decode(bytes(5));
    const frame = new FakeAudioData({ data: new Float32Array(0), timestamp: 0, sampleRate: 0 });
    FakeDecoder.last.callbacks.output(frame);
    expect(FakeDecoder.last.decoded).toEqual([bytes(5)]);
    expect(played).toEqual([[new Float32Array(3).fill(1), new Float32Array(3).fill(2)]]);
    expect(frame.isClosed).toBe(true);
    decoder.reset();
    expect([FakeDecoder.last.state, FakeDecoder.last.configured]).toEqual(["configured", 2]);
  });

  it("has its pauses behind the packets before them", () => {
    const played: unknown[] = [];
    const decoder = createDecoder("opus", (channels) => played.push(channels.length), never);
    const output = (): void => {
      const init = { data: new Float32Array(0), timestamp: 0, sampleRate: 0 };
      FakeDecoder.last.callbacks.output(new FakeAudioData(init));
    };
    decoder.decode(bytes(1));
    decoder.decode(bytes(2));
    decoder.decode(bytes());
    output();
    expect(played).toEqual([2]);
    output();
    expect(played).toEqual([2, 2, 0]);
    decoder.decode(bytes());
    expect(played).toEqual([2, 2, 0, 0]);
    decoder.decode(bytes(3));
    decoder.decode(bytes());
    decoder.decode(bytes(4));
    output();
    output();
    expect(played).toEqual([2, 2, 0, 0, 2, 2]);
    decoder.decode(bytes(5));
    decoder.decode(bytes());
    decoder.reset();
    decoder.decode(bytes());
    expect(played).toEqual([2, 2, 0, 0, 2, 2, 0]);
  });

  it("may fail, and takes nothing after that", () => {
    const onfailed = vi.fn();
    const encoder = createEncoder("opus", never, onfailed);
    FakeEncoder.last.fail();
    encoder.encode(new Float32Array(960));
    const decoder = createDecoder("opus", never, onfailed);
    FakeDecoder.last.fail();
    decoder.decode(bytes(1));
    decoder.decode(bytes());
    decoder.reset();
    expect(onfailed).toHaveBeenCalledTimes(2);
    expect(FakeDecoder.last.decoded).toEqual([]);
  });
});

describe("PCM", () => {
  it("is little-endian, and clipped", () => {
    const packets: unknown[] = [];
    const encoder = createEncoder("pcm16", (packet) => packets.push(packet), never);
    encoder.encode(Float32Array.from([0, 0.5, -1, 1, 2]));
    expect(packets).toEqual([bytes(0, 0, 0, 0x40, 0, 0x80, 0xff, 0x7f, 0xff, 0x7f)]);
    encoder.close();
  });

  it("becomes samples from -1 to 1", () => {
    const played: unknown[] = [];
    const decoder = createDecoder("pcm16", (channels) => played.push(channels), never);
    decoder.decode(bytes(0, 0x40, 0, 0x80));
    decoder.reset();
    decoder.close();
    decoder.decode(bytes());
    expect(played).toEqual([[Float32Array.from([0.5, -1])], []]);
  });
});

describe("the audio of a link", () => {
  it("has the rate of Opus, or that of PCM", async () => {
    expect(await LinkAudio.open(microphone())).toMatchObject({
      codecs: ["opus", "pcm16"],
      rateHz: 48_000,
    });
    withoutWebCodecs();
    expect(await LinkAudio.open(microphone())).toMatchObject({ codecs: ["pcm16"], rateHz: 24_000 });
  });

  it("has the rate of the hardware where a browser takes no other", async () => {
    FakeContext.isStrict = true;
    expect(await LinkAudio.open(microphone())).toMatchObject({ codecs: ["pcm16"], rateHz: 44_100 });
    expect(FakeContext.all.map(({ state }) => state)).toEqual(["closed", "running"]);
  });

  it("loads its worklet from a file beside the code", async () => {
    await LinkAudio.open(null);
    expect(context().modules).toEqual([new URL("../../link/worklet.js", import.meta.url).href]);
  });

  it("is never ready if there is no worklet", async () => {
    vi.stubGlobal(
      "AudioContext",
      class extends FakeContext {
        override audioWorklet = {
          addModule: async () => Promise.reject(new DOMException("not found", "AbortError")),
        };
      },
    );
    const audio = await LinkAudio.open(null);
    const error = await audio.ready.catch((reason: unknown) => reason);
    expect(error, "as of a network, and not as of a device").toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(/cannot load .*worklet.js: not found/);
    audio.close();
    expect(context().state).toBe("closed");
  });

  it("encodes what the microphone brings", async () => {
    const audio = await LinkAudio.open(microphone());
    const packets: unknown[] = [];
    audio.send("pcm16", (packet) => packets.push(packet), never);
    expect(context().sources[0]?.target).toBe(node("microphone"));
    node("microphone").port.onmessage?.({ data: Float32Array.from([0.5]) });
    expect(packets).toEqual([bytes(0, 0x40)]);
    audio.close();
    expect(node("microphone").port.onmessage).toBeNull();
    expect([context().state, context().sources[0]?.target]).toEqual(["closed", null]);
  });

  it("sends nothing without a microphone", async () => {
    const audio = await LinkAudio.open(asStream(new FakeStream([new FakeTrack("video")])));
    audio.send("opus", never, never);
    expect(FakeNode.all.size).toBe(0);
    audio.close();
  });

  it("can change its microphone", async () => {
    const audio = await LinkAudio.open(microphone());
    audio.send("opus", () => undefined, never);
    const track = new FakeTrack("audio");
    audio.replaceTrack(track as unknown as MediaStreamTrack);
    const [before, after] = context().sources;
    expect([before?.target, after?.target]).toEqual([null, node("microphone")]);
    expect(after?.stream.getTracks()).toEqual([track]);
  });

  it("plays on a track, and drops what is not played yet", async () => {
    const audio = await LinkAudio.open(null);
    const track = audio.receive("pcm16", never);
    expect(track).toBe(context().destination.getAudioTracks()[0]);
    audio.play(bytes(0, 0x40));
    audio.clear();
    const { posted } = node("loudspeaker").port;
    expect(posted).toEqual([[Float32Array.from([0.5])], null]);
    audio.close();
    audio.play(bytes(0, 0x40));
    audio.clear();
    expect(posted.slice(2)).toEqual([null]);
  });

  it("goes on when the browser has waited for a click", async () => {
    const target = new EventTarget();
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
    const audio = await LinkAudio.open(null);
    context().state = "suspended";
    target.dispatchEvent(new Event("click"));
    expect(context().state).toBe("running");
    audio.close();
    context().state = "suspended";
    target.dispatchEvent(new Event("click"));
    expect(context().state).toBe("suspended");
  });
});

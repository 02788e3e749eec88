/** Fakes of Web Audio and WebCodecs, as far as a link uses them. */
import { vi } from "vitest";
import type { Bytes } from "../../link/frames";
import { FakeStream, FakeTrack } from "../fakes";

export class FakePort {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  posted: unknown[] = [];
  postMessage = (data: unknown): void => void this.posted.push(data);
}

export class FakeNode {
  static all = new Map<string, FakeNode>();
  port = new FakePort();
  targets: unknown[] = [];
  constructor(
    readonly context: unknown,
    readonly name: string,
  ) {
    FakeNode.all.set(name, this);
  }
  connect = (target: unknown): void => void this.targets.push(target);
}

export class FakeSource {
  target: unknown = null;
  constructor(readonly stream: FakeStream) {}
  connect = (target: unknown): void => void (this.target = target);
  disconnect = (): void => void (this.target = null);
}

export class FakeContext {
  static all: FakeContext[] = [];
  /** The rate of the hardware, and true if microphones have to have it. */
  static hardwareHz = 44_100;
  static isStrict = false;
  state = "suspended";
  sampleRate: number;
  modules: string[] = [];
  sources: FakeSource[] = [];
  destination = new FakeStream([new FakeTrack("audio")]);
  constructor({ sampleRate = FakeContext.hardwareHz } = {}) {
    this.sampleRate = sampleRate;
    FakeContext.all.push(this);
  }
  audioWorklet = { addModule: async (url: URL): Promise<void> => void this.modules.push(String(url)) };
  createMediaStreamSource(stream: FakeStream): FakeSource {
    if (FakeContext.isStrict && this.sampleRate !== FakeContext.hardwareHz) {
      throw new DOMException("different sample-rate", "NotSupportedError");
    }
    const source = new FakeSource(stream);
    this.sources.push(source);
    return source;
  }
  createMediaStreamDestination = (): object => ({ stream: this.destination });
  resume = async (): Promise<void> => void (this.state = "running");
  close = async (): Promise<void> => void (this.state = "closed");
}

export class FakeAudioData {
  isClosed = false;
  constructor(readonly init: { data: Float32Array; timestamp: number; sampleRate: number }) {}
  numberOfChannels = 2;
  numberOfFrames = 3;
  copyTo = (target: Float32Array, { planeIndex }: { planeIndex: number }): void =>
    void target.fill(planeIndex + 1);
  close = (): void => void (this.isClosed = true);
}

interface Callbacks {
  output: (result: unknown) => void;
  error: () => void;
}

class FakeCodec {
  static isSupported: boolean | Error = true;
  static last: FakeCodec;
  static isConfigSupported = async (): Promise<object> => {
    if (FakeCodec.isSupported instanceof Error) throw FakeCodec.isSupported;
    return { supported: FakeCodec.isSupported };
  };
  state = "unconfigured";
  configured = 0;
  constructor(readonly callbacks: Callbacks) {}
  configure = (): void => {
    this.state = "configured";
    this.configured += 1;
  };
  reset = (): void => void (this.state = "unconfigured");
  fail(): void {
    this.state = "closed";
    this.callbacks.error();
  }
  close(): void {
    if (this.state === "closed") throw new DOMException("closed", "InvalidStateError");
    this.state = "closed";
  }
}

/** Its packets hold the number of the frame, 20 ms apart. */
export class FakeEncoder extends FakeCodec {
  static override last: FakeEncoder;
  constructor(callbacks: Callbacks) {
    super(callbacks);
    FakeEncoder.last = this;
  }
  encode({ init }: FakeAudioData): void {
    const copyTo = (target: Bytes): void => void target.fill(init.timestamp / 20_000);
    this.callbacks.output({ byteLength: 2, copyTo });
  }
}

export class FakeDecoder extends FakeCodec {
  static override last: FakeDecoder;
  decoded: unknown[] = [];
  constructor(callbacks: Callbacks) {
    super(callbacks);
    FakeDecoder.last = this;
  }
  decode = ({ data }: { data: Bytes }): void => void this.decoded.push(data);
}

export { FakeCodec };

/** Installs all of them as globals, with Opus; `vi.unstubAllGlobals` removes them. */
export function installWebAudio(): void {
  FakeContext.all = [];
  FakeContext.isStrict = false;
  FakeNode.all.clear();
  FakeCodec.isSupported = true;
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal("AudioWorkletNode", FakeNode);
  vi.stubGlobal("MediaStream", FakeStream);
  vi.stubGlobal("AudioData", FakeAudioData);
  vi.stubGlobal("AudioEncoder", FakeEncoder);
  vi.stubGlobal("AudioDecoder", FakeDecoder);
  vi.stubGlobal(
    "EncodedAudioChunk",
    class {
      constructor(init: object) {
        Object.assign(this, init);
      }
    },
  );
}

/** Takes away WebCodecs, as in older browsers. */
export function withoutWebCodecs(): void {
  vi.stubGlobal("AudioEncoder", undefined);
  vi.stubGlobal("AudioDecoder", undefined);
}

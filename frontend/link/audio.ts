/** The audio of a link: from the microphone to packets, and from packets to a track. */
import { reasonOf } from "../call/problems";
import { createDecoder, createEncoder, hasOpus, OPUS_RATE_HZ } from "./codecs";
import type { Codec, Decoder, Encoder } from "./codecs";
import type { Bytes } from "./frames";

/** The rate of PCM, if the browser leaves the choice to the page. */
const PCM_RATE_HZ = 24_000;

/** Not a literal in `new URL`: the build would take it for a file of the sources. */
const WORKLET = "./worklet.js";

/** Events after which a browser allows audio that it has held back. */
const GESTURES = ["click", "keydown"] as const;
const CAPTURE = { capture: true };

export class LinkAudio {
  /** What the server may choose from, in the order of preference. */
  readonly codecs: readonly Codec[];
  /** Resolved when `send` and `receive` may be called; rejected if the browser has no worklets. */
  readonly ready: Promise<void>;
  readonly #context: AudioContext;
  #source: MediaStreamAudioSourceNode | null;
  #microphone: AudioWorkletNode | null = null;
  #loudspeaker: AudioWorkletNode | null = null;
  #encoder: Encoder | null = null;
  #decoder: Decoder | null = null;

  /** Opens the audio hardware, at the rate of the best codec; `stream` holds the microphone. */
  static async open(
    stream: MediaStream | null,
    worklet = new URL(WORKLET, import.meta.url),
  ): Promise<LinkAudio> {
    const codecs: Codec[] = (await hasOpus()) ? ["opus", "pcm16"] : ["pcm16"];
    const sampleRate = codecs[0] === "opus" ? OPUS_RATE_HZ : PCM_RATE_HZ;
    const context = new AudioContext({ sampleRate });
    try {
      return new LinkAudio(context, codecs, stream, worklet);
    } catch {
      // Older versions of Firefox take a microphone at the rate of the hardware alone.
      void context.close();
      return new LinkAudio(new AudioContext(), ["pcm16"], stream, worklet);
    }
  }

  private constructor(
    context: AudioContext,
    codecs: readonly Codec[],
    stream: MediaStream | null,
    worklet: URL,
  ) {
    const hasMicrophone = stream !== null && stream.getAudioTracks().length > 0;
    this.#source = hasMicrophone ? context.createMediaStreamSource(stream) : null;
    this.#context = context;
    this.codecs = codecs;
    this.ready = context.audioWorklet.addModule(worklet).catch((error: unknown) => {
      // As any other file that cannot be loaded: the browser's own error is that of a device in use.
      throw new TypeError(`cannot load ${worklet.href}: ${reasonOf(error)}`, { cause: error });
    });
    this.#resume();
    for (const gesture of GESTURES) globalThis.addEventListener?.(gesture, this.#resume, CAPTURE);
  }

  /** The rate of PCM, in both directions. */
  get rateHz(): number {
    return this.#context.sampleRate;
  }

  /**
   * Passes the microphone to `onpacket` from now on, if there is one: a frame of 20 ms each time.
   * `onfailed` is called when the browser's codec gives up.
   */
  send(codec: Codec, onpacket: (packet: Bytes) => void, onfailed: () => void): void {
    if (this.#source === null) return;
    const encoder = createEncoder(codec, onpacket, onfailed);
    const node = new AudioWorkletNode(this.#context, "microphone", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    node.port.onmessage = ({ data }) => encoder.encode(data);
    this.#source.connect(node);
    this.#encoder = encoder;
    this.#microphone = node;
  }

  /** Returns the track on which `play` plays. */
  receive(codec: Codec, onfailed: () => void): MediaStreamTrack | null {
    const node = new AudioWorkletNode(this.#context, "loudspeaker", {
      numberOfInputs: 0,
      outputChannelCount: [2],
    });
    const destination = this.#context.createMediaStreamDestination();
    node.connect(destination);
    this.#decoder = createDecoder(codec, (audio) => node.port.postMessage(audio), onfailed);
    this.#loudspeaker = node;
    return destination.stream.getAudioTracks()[0] ?? null;
  }

  play(packet: Bytes): void {
    this.#decoder?.decode(packet);
  }

  /** Drops all audio that was not played yet. */
  clear(): void {
    this.#decoder?.reset();
    this.#loudspeaker?.port.postMessage(null);
  }

  /** Sends this microphone from now on. */
  replaceTrack(track: MediaStreamTrack): void {
    const source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source?.disconnect();
    if (this.#microphone) source.connect(this.#microphone);
    this.#source = source;
  }

  close(): void {
    // Nobody waits for it any more.
    this.ready.catch(() => undefined);
    for (const gesture of GESTURES) globalThis.removeEventListener?.(gesture, this.#resume, CAPTURE);
    if (this.#microphone) this.#microphone.port.onmessage = null;
    this.#source?.disconnect();
    this.#encoder?.close();
    this.#decoder?.close();
    this.#encoder = this.#decoder = null;
    if (this.#context.state !== "closed") void this.#context.close();
  }

  /** Created without a click, as Python's command to start does it, the context is suspended. */
  readonly #resume = (): void => {
    if (this.#context.state === "suspended") void this.#context.resume();
  };
}

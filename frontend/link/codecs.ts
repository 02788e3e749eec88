/** The codecs of a link: Opus where the browser has WebCodecs, and 16-bit PCM everywhere. */
import type { Bytes } from "./frames";
import type { Channels } from "./jitter_buffer";

export type Codec = "opus" | "pcm16";

/** A frame of audio is 20 ms. */
const FRAME_US = 20_000;
export const OPUS_RATE_HZ = 48_000;
const BITRATE = 32_000;
/** The server sends mono or stereo; a decoder of two channels takes both. */
const DECODED_CHANNELS = 2;
const PCM_SCALE = 32_768;

// `application` is newer than TypeScript's types. No DTX: the server detects pauses in the silence.
const ENCODER: AudioEncoderConfig = {
  codec: "opus",
  sampleRate: OPUS_RATE_HZ,
  numberOfChannels: 1,
  bitrate: BITRATE,
  opus: { application: "voip", frameDuration: FRAME_US } as OpusEncoderConfig,
};
const DECODER: AudioDecoderConfig = {
  codec: "opus",
  sampleRate: OPUS_RATE_HZ,
  numberOfChannels: DECODED_CHANNELS,
};

/** True if this browser both encodes and decodes Opus. */
export async function hasOpus(): Promise<boolean> {
  if (typeof AudioEncoder === "undefined" || typeof AudioDecoder === "undefined") return false;
  try {
    const [encoder, decoder] = await Promise.all([
      AudioEncoder.isConfigSupported(ENCODER),
      AudioDecoder.isConfigSupported(DECODER),
    ]);
    return encoder.supported === true && decoder.supported === true;
  } catch {
    // A browser may reject a configuration in place of reporting that it does not support it.
    return false;
  }
}

/** Encodes mono frames of 20 ms, each to one packet. */
export interface Encoder {
  encode(frame: Float32Array<ArrayBuffer>): void;
  close(): void;
}

/**
 * Decodes packets, in their order. An empty one, with which a pause begins, has no channels. `reset`
 * drops the packets before it.
 */
export interface Decoder {
  decode(packet: Bytes): void;
  reset(): void;
  close(): void;
}

/** `onfailed` is called when the browser's codec gives up. */
export function createEncoder(
  codec: Codec,
  onpacket: (packet: Bytes) => void,
  onfailed: () => void,
): Encoder {
  if (codec === "pcm16") return { encode: (frame) => onpacket(toPcm(frame)), close: () => undefined };
  let timestamp = 0;
  const encoder = new AudioEncoder({
    output: (chunk) => {
      const packet = new Uint8Array(chunk.byteLength);
      chunk.copyTo(packet);
      onpacket(packet);
    },
    error: onfailed,
  });
  encoder.configure(ENCODER);
  return {
    encode: (data) => {
      if (encoder.state === "closed") return;
      const shape = { numberOfFrames: data.length, numberOfChannels: 1, sampleRate: OPUS_RATE_HZ };
      const frame = new AudioData({ format: "f32-planar", timestamp, data, ...shape });
      timestamp += FRAME_US;
      encoder.encode(frame);
      frame.close();
    },
    close: () => close(encoder),
  };
}

export function createDecoder(
  codec: Codec,
  onaudio: (channels: Channels) => void,
  onfailed: () => void,
): Decoder {
  if (codec === "pcm16") {
    const nothing = (): void => undefined;
    const decode = (packet: Bytes): void => onaudio(packet.length > 0 ? [fromPcm(packet)] : []);
    return { decode, reset: nothing, close: nothing };
  }
  let timestamp = 0;
  /** Packets that are being decoded, and true if a pause follows them. */
  let pending = 0;
  let isPausing = false;
  const pauseWhenDone = (): void => {
    if (!isPausing || pending > 0) return;
    isPausing = false;
    onaudio([]);
  };
  const decoder = new AudioDecoder({
    output: (frame) => {
      pending -= 1;
      onaudio(channelsOf(frame));
      frame.close();
      pauseWhenDone();
    },
    error: onfailed,
  });
  decoder.configure(DECODER);
  return {
    decode: (data) => {
      // A decoder that failed is closed; that was reported.
      if (decoder.state === "closed") return;
      isPausing = data.length === 0;
      if (isPausing) return pauseWhenDone();
      pending += 1;
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
      timestamp += FRAME_US;
    },
    reset: () => {
      if (decoder.state === "closed") return;
      pending = 0;
      isPausing = false;
      decoder.reset();
      decoder.configure(DECODER);
    },
    close: () => close(decoder),
  };
}

/** A codec that failed is closed already, and may not be closed again. */
function close(codec: AudioEncoder | AudioDecoder): void {
  if (codec.state !== "closed") codec.close();
}

function channelsOf(frame: AudioData): Channels {
  return Array.from({ length: frame.numberOfChannels }, (_, planeIndex) => {
    const samples = new Float32Array(frame.numberOfFrames);
    frame.copyTo(samples, { planeIndex, format: "f32-planar" });
    return samples;
  });
}

/** To 16-bit samples, little-endian whatever this machine is. */
function toPcm(frame: Float32Array): Bytes {
  const view = new DataView(new ArrayBuffer(2 * frame.length));
  frame.forEach((sample, n) => {
    const scaled = Math.round(sample * PCM_SCALE);
    view.setInt16(2 * n, Math.max(-PCM_SCALE, Math.min(PCM_SCALE - 1, scaled)), true);
  });
  return new Uint8Array(view.buffer);
}

function fromPcm(packet: Bytes): Float32Array {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const length = packet.length >> 1;
  return Float32Array.from({ length }, (_, n) => view.getInt16(2 * n, true) / PCM_SCALE);
}

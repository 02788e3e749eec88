/** Fakes of interfaces that jsdom lacks: peer connections, devices, media streams, audio. */
import { vi } from "vitest";
import type { Server, WebRTCProps } from "../types";

/** The component's arguments for an audio call. */
export const PROPS: WebRTCProps = {
  mode: "send-receive",
  modality: "audio",
  height: null,
  width: null,
  mirror_webcam: true,
  rtc_configuration: null,
  track_constraints: null,
  time_limit: null,
  rtp_params: null,
  icon: null,
  icon_button_color: null,
  pulse_color: null,
  icon_radius: null,
  button_labels: null,
  variant: "wave",
  full_screen: true,
  fallback: "auto",
  latency: false,
};

export class FakeTrack extends EventTarget {
  enabled = true;
  readyState: "live" | "ended" = "live";
  onended: (() => void) | null = null;
  constructor(readonly kind: "audio" | "video") {
    super();
  }
  /** The copies that were made. */
  clones: FakeTrack[] = [];
  stop(): void {
    this.readyState = "ended";
  }
  clone(): FakeTrack {
    const clone = new FakeTrack(this.kind);
    clone.enabled = this.enabled;
    this.clones.push(clone);
    return clone;
  }
}

export class FakeStream {
  #tracks: FakeTrack[];
  constructor(tracks: FakeTrack[] = []) {
    this.#tracks = [...tracks];
  }
  getTracks = (): FakeTrack[] => [...this.#tracks];
  getAudioTracks = (): FakeTrack[] => this.#tracks.filter(({ kind }) => kind === "audio");
  getVideoTracks = (): FakeTrack[] => this.#tracks.filter(({ kind }) => kind === "video");
  addTrack(track: FakeTrack): void {
    this.#tracks.push(track);
  }
  removeTrack(track: FakeTrack): void {
    this.#tracks = this.#tracks.filter((one) => one !== track);
  }
}

export const asStream = (stream: FakeStream): MediaStream => stream as unknown as MediaStream;

class FakeSender {
  parameters: object = { encodings: [{}] };
  constructor(public track: FakeTrack | null) {}
  getParameters = (): object => this.parameters;
  setParameters = vi.fn(async (parameters: object) => void (this.parameters = parameters));
  replaceTrack = vi.fn(async (track: FakeTrack) => void (this.track = track));
}

export class FakeChannel {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  readyState = "open";
  sent: string[] = [];
  constructor(readonly label: string) {}
  send(text: string): void {
    this.sent.push(text);
  }
}

export class FakePeerConnection {
  /** The connection that was created last. */
  static last: FakePeerConnection;
  ontrack: ((event: { track: FakeTrack }) => void) | null = null;
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  connectionState = "new";
  stats: Record<string, unknown>[] = [];
  localDescription: { type: string; sdp: string } | null = null;
  remoteDescription: unknown = null;
  remoteCandidates: unknown[] = [];
  transceivers: { what: unknown; init: { direction: string } }[] = [];
  senders: FakeSender[] = [];
  channel: FakeChannel | null = null;
  isClosed = false;

  constructor(readonly configuration: RTCConfiguration = {}) {
    FakePeerConnection.last = this;
  }
  createDataChannel = (label: string): FakeChannel => (this.channel = new FakeChannel(label));
  createOffer = async (): Promise<object> => ({ type: "offer", sdp: "v=0 offer" });
  addTransceiver(what: unknown, init: { direction: string }): void {
    this.transceivers.push({ what, init });
    this.senders.push(new FakeSender(what instanceof FakeTrack ? what : null));
  }
  getStats = async (): Promise<Map<number, unknown>> => new Map(this.stats.entries());
  getSenders = (): FakeSender[] => this.senders;
  receivers: { track: FakeTrack }[] = [];
  getReceivers = (): { track: FakeTrack }[] => this.receivers;
  async setLocalDescription(description: { type: string; sdp: string }): Promise<void> {
    this.localDescription = description;
  }
  async setRemoteDescription(description: unknown): Promise<void> {
    this.remoteDescription = description;
  }
  async addIceCandidate(candidate: unknown): Promise<void> {
    this.remoteCandidates.push(candidate);
  }
  close(): void {
    this.isClosed = true;
  }

  /** Reports a candidate, as the browser does when it has found one. */
  find(candidate: string): void {
    const description = { candidate, sdpMid: "0", sdpMLineIndex: 0 };
    this.onicecandidate?.({ candidate: { ...description, toJSON: () => description } });
  }
  become(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
  deliver(data: unknown): void {
    this.channel?.onmessage?.({ data: typeof data === "string" ? data : JSON.stringify(data) });
  }
}

export const ANSWER = { type: "answer", sdp: "v=0 answer", webrtc_id: "call-1", secret: "s3cret" };

type Body = { type: string } & Record<string, unknown>;

export class FakeServer implements Server {
  bodies: Body[] = [];
  configuration: unknown = null;
  /** The replies by the type of the request; an Error is thrown. */
  replies: Record<string, unknown> = {
    offer: ANSWER,
    "ice-candidate": { status: "success" },
    candidates: { candidates: [] },
  };
  turn = vi.fn(async (): Promise<unknown> => this.configuration);
  offer = async (body: object): Promise<unknown> => {
    const { type } = body as Body;
    this.bodies.push(body as Body);
    const reply = await this.replies[type];
    if (reply instanceof Error) throw reply;
    return reply;
  };
  ofType = (type: string): Body[] => this.bodies.filter((body) => body.type === type);
}

type Kind = "audioinput" | "videoinput" | "audiooutput";
export const device = (kind: Kind, deviceId: string, label = deviceId): MediaDeviceInfo =>
  ({ kind, deviceId, label, groupId: "" }) as MediaDeviceInfo;

export class FakeMediaDevices extends EventTarget {
  list: MediaDeviceInfo[] = [device("audioinput", "mic-1"), device("audiooutput", "speaker-1")];
  requests: MediaStreamConstraints[] = [];
  /** Every track that was opened. */
  opened: FakeTrack[] = [];
  /** The errors of the next requests, in this order. */
  refusals: Error[] = [];
  /** The permission prompt of the next requests stays open until this resolves. */
  pending: Promise<void> | null = null;

  enumerateDevices = vi.fn(async (): Promise<MediaDeviceInfo[]> => this.list);
  getUserMedia = async (constraints: MediaStreamConstraints): Promise<MediaStream> => {
    this.requests.push(constraints);
    await this.pending;
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    const kinds = (["audio", "video"] as const).filter((kind) => constraints[kind]);
    const tracks = kinds.map((kind) => new FakeTrack(kind));
    this.opened.push(...tracks);
    return asStream(new FakeStream(tracks));
  };
}

export const namedError = (name: string): Error => Object.assign(new Error(name), { name });

/** An audio context whose streams all have the amplitude `FakeAudioContext.amplitude`. */
export class FakeAudioContext {
  static amplitude = 0;
  static open = 0;
  sampleRate = 48_000;
  constructor() {
    FakeAudioContext.open += 1;
  }
  resume = async (): Promise<void> => undefined;
  close = async (): Promise<void> => void (FakeAudioContext.open -= 1);
  createMediaStreamSource = (): object => ({ connect: vi.fn(), disconnect: vi.fn() });
}

export class FakeAnalyser {
  fftSize = 1024;
  frequencyBinCount = 512;
  getFloatTimeDomainData = (samples: Float32Array): void =>
    void samples.fill(FakeAudioContext.amplitude);
  getByteFrequencyData = (bins: Uint8Array): void =>
    void bins.fill(FakeAudioContext.amplitude * 255);
}

/** Installs all fakes as globals; `vi.unstubAllGlobals` removes them. */
export function installFakes(): FakeMediaDevices {
  const media = new FakeMediaDevices();
  FakeAudioContext.amplitude = 0;
  FakeAudioContext.open = 0;
  FakePeerConnection.last = new FakePeerConnection();
  vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
  vi.stubGlobal("MediaStream", FakeStream);
  vi.stubGlobal("AudioContext", FakeAudioContext);
  vi.stubGlobal("AnalyserNode", FakeAnalyser);
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("navigator", { mediaDevices: media });
  return media;
}

/** A promise that a test resolves by hand. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

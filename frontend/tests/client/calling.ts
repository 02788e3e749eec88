/** A call of the client package, on fakes of the browser's interfaces and of a stream's route. */
import { afterEach, beforeEach, expect, vi } from "vitest";
import type { Call, ConnectOptions, Events, Notice } from "../../client/client";
import { connect } from "../../client/index";
import {
  ANSWER,
  asStream,
  FakePeerConnection,
  FakeStream,
  FakeTrack,
  installFakes,
  namedError,
  type FakeMediaDevices,
} from "../fakes";
import { FakeLinkPeer } from "../link_peer";
import { FakeStorage } from "../storage";

type Body = { type: string } & Record<string, unknown>;

/** The route `/webrtc/offer`; the replies by the type of the request. */
export class FakeRoute {
  requests: { url: string; keepalive: boolean; body: Body }[] = [];
  replies: Record<string, unknown> = {};
  status = 200;
  /** False if nothing is listening there. */
  isThere = true;

  fetch = async (url: URL, { body, keepalive = false }: RequestInit): Promise<Response> => {
    const request = JSON.parse(String(body)) as Body;
    this.requests.push({ url: url.href, keepalive, body: request });
    if (!this.isThere) throw new TypeError("Failed to fetch");
    const reply = await this.replies[request.type];
    const text = typeof reply === "string" ? reply : JSON.stringify(reply ?? { status: "success" });
    return new Response(text, { status: this.status });
  };
  ofType = (type: string): Body[] =>
    this.requests.map(({ body }) => body).filter((body) => body.type === type);
}

export class FakeElement {
  static all: FakeElement[] = [];
  playsInline = false;
  plays = 0;
  /** The error of the next attempts to play. */
  refusal: Error | null = null;
  srcObject: FakeStream | null = null;
  constructor() {
    FakeElement.all.push(this);
  }
  play = async (): Promise<void> => {
    this.plays += 1;
    if (this.refusal) throw this.refusal;
  };
  get tracks(): FakeTrack[] {
    return this.srcObject?.getTracks() ?? [];
  }
}

export const asElement = (element: FakeElement): HTMLVideoElement =>
  element as unknown as HTMLVideoElement;

export let media: FakeMediaDevices;
export let route: FakeRoute;
export let page: EventTarget;
const calls: Call[] = [];

export const connection = (): FakePeerConnection => FakePeerConnection.last;
export const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
export const refusal = (error: string, message = "no"): object => ({
  status: "failed",
  meta: { error, message },
});
export const blocked = (): Error => namedError("NotAllowedError");

beforeEach(() => {
  vi.useFakeTimers();
  media = installFakes();
  route = new FakeRoute();
  route.replies = { offer: ANSWER, candidates: { candidates: [] }, outputs: { outputs: [] } };
  page = new EventTarget();
  calls.length = FakeLinkPeer.all.length = FakeElement.all.length = 0;
  vi.stubGlobal("fetch", route.fetch);
  vi.stubGlobal("Audio", FakeElement);
  vi.stubGlobal("AudioWorkletNode", class {});
  vi.stubGlobal("sessionStorage", new FakeStorage());
  vi.stubGlobal("document", { baseURI: "http://app/page/" });
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
});
afterEach(async () => {
  for (const call of calls) call.close();
  await pass();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Begins a call that `afterEach` closes. */
export function begin(options: ConnectOptions = {}): Call {
  const call = connect({ url: "/talk", ...options });
  calls.push(call);
  return call;
}

/** A call that is open, and has its data channel. */
export async function open(options: ConnectOptions = {}): Promise<Call> {
  const call = begin(options);
  await pass();
  become("connected");
  return call;
}

/** Connects the current offer. */
export function become(state: string): void {
  const { channel } = connection();
  if (channel && state === "connected") channel.readyState = "connecting";
  connection().become(state);
  if (state !== "connected" || !channel) return;
  channel.readyState = "open";
  channel.onopen?.();
}

/** What an event brings from now on. */
export function collect<Name extends keyof Events>(call: Call, name: Name): Events[Name][] {
  const got: Events[Name][] = [];
  call.on(name, (detail) => got.push(detail));
  return got;
}

/** The messages on the data channel behind the handshake. */
export const sent = (): unknown[] =>
  (connection().channel?.sent.slice(1) ?? []).map((text) => JSON.parse(text) as unknown);

export const texts = (notices: Notice[]): string[] => notices.map(({ text }) => text);

export const streamOf = (...kinds: ("audio" | "video")[]): { stream: MediaStream; tracks: FakeTrack[] } => {
  const tracks = kinds.map((kind) => new FakeTrack(kind));
  return { stream: asStream(new FakeStream(tracks)), tracks };
};

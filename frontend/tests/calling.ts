/** A call without a page around it, on fakes of the browser's interfaces that jsdom lacks. */
import { afterEach, beforeEach, vi } from "vitest";
import { Call } from "../call/call.svelte";
import type { CallHost } from "../types";
import {
  FakePeerConnection,
  FakeServer,
  installFakes,
  PROPS,
  type FakeMediaDevices,
} from "./fakes";

export let media: FakeMediaDevices;
export let server: FakeServer;
export let host: CallHost;
export let dispatch: ReturnType<typeof vi.fn<(name: string, data?: unknown) => void>>;
export let call: Call;

export const connection = (): FakePeerConnection => FakePeerConnection.last;
export const events = (): unknown[] => dispatch.mock.calls.map(([name]) => name);

beforeEach(() => {
  vi.useFakeTimers();
  media = installFakes();
  server = new FakeServer();
  dispatch = vi.fn();
  host = { props: { ...PROPS }, server, root: "http://app/", value: null, dispatch };
  call = new Call(host);
});
afterEach(() => {
  call.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Starts and connects a call. */
export async function open(): Promise<FakePeerConnection> {
  await call.start();
  connection().become("connected");
  return connection();
}

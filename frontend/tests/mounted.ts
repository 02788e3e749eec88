/** The component, mounted as Gradio does it, on fakes of interfaces that jsdom lacks. */
import { cleanup, render, screen } from "@testing-library/svelte";
import axe from "axe-core";
import { flushSync } from "svelte";
import { afterEach, beforeEach, expect, vi } from "vitest";
import Index from "../Index.svelte";
import type { SharedProps, WebRTCProps } from "../types";
import { FakePeerConnection, FakeServer, installFakes, type FakeMediaDevices } from "./fakes";

export let media: FakeMediaDevices;
export let server: FakeServer;
export let dispatched: [string, unknown][];
/** The callbacks that the component registered with Gradio, and a spy for its removal. */
export let gradio: {
  set: (data: Record<string, unknown>) => void;
  get: () => Promise<Record<string, unknown>>;
  unregister: (id: number) => void;
};

beforeEach(() => {
  const { userAgent } = navigator;
  media = installFakes();
  vi.stubGlobal("navigator", { mediaDevices: media, userAgent });
  server = new FakeServer();
  dispatched = [];
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

export function show(
  props: Partial<WebRTCProps> = {},
  shared: Partial<SharedProps> = {},
): HTMLElement {
  gradio = { set: () => undefined, get: async () => ({}), unregister: vi.fn() };
  const shared_props: SharedProps = {
    id: 7,
    visible: true,
    label: "Talk",
    server,
    register_component: (_id, set, get) => Object.assign(gradio, { set, get }),
    unregister_component: (id) => gradio.unregister(id),
    dispatcher: (_id, name, data) => dispatched.push([name, data]),
    ...shared,
  };
  render(Index, { props: { shared_props, props: { modality: "audio", ...props } } });
  return screen.getByTestId("webrtc");
}

export const button = (): HTMLElement => screen.getByTestId("webrtc-button");
export const status = (): string => screen.getByTestId("webrtc-status").textContent.trim();
export const live = (): string => screen.getByTestId("webrtc-live").textContent.trim();
export const state = (): string | undefined => screen.getByTestId("webrtc").dataset.state;
export const connection = (): FakePeerConnection => FakePeerConnection.last;

export async function open(): Promise<void> {
  button().click();
  await vi.waitFor(() => expect(connection().remoteDescription).not.toBeNull());
  connection().become("connected");
  flushSync();
}

/** Returns accessibility violations, without colour contrast: that needs a browser that paints. */
export async function violations(): Promise<string[]> {
  const rules = { "color-contrast": { enabled: false }, region: { enabled: false } };
  const { violations: found } = await axe.run(document.body, { rules });
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

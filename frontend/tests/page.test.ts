// @vitest-environment jsdom
import { cleanup, screen } from "@testing-library/svelte";
import { flushSync, tick } from "svelte";
import { describe, expect, it, vi } from "vitest";
import { rootOf } from "../host.svelte";
import { deferred, FakeTrack, namedError } from "./fakes";
import { FakeLinkPeer } from "./link_peer";
import {
  button,
  connection,
  dispatched,
  gradio,
  live,
  media,
  open,
  server,
  show,
  state,
  status,
  violations,
} from "./mounted";

vi.mock("../link/peer", async () => ({ LinkPeer: (await import("./link_peer")).FakeLinkPeer }));

describe("a call that broke", () => {
  it("is shown as such, can be cancelled, and keeps the text in the input", async () => {
    show({ variant: "textbox" });
    await open();
    const text = screen.getByTestId<HTMLInputElement>("webrtc-text");
    text.value = "Half a sent";
    text.dispatchEvent(new Event("input"));
    connection().become("failed");
    flushSync();
    expect(state()).toBe("redialling");
    expect(live()).toBe("The connection was lost. Calling again…");
    expect(button().textContent.trim()).toBe("Cancel");
    expect(screen.getByTestId<HTMLInputElement>("webrtc-text").value).toBe("Half a sent");
    text.form?.requestSubmit();
    expect(screen.getByTestId<HTMLInputElement>("webrtc-text").value).toBe("Half a sent");
    expect(dispatched.map(([name]) => name)).not.toContain("submit");
    expect(await violations()).toEqual([]);
    button().click();
    await tick();
    expect(state()).toBe("idle");
  });
});

describe("a call over the link", () => {
  it("is shown in a quiet line, and as an attribute", async () => {
    vi.stubGlobal("AudioWorkletNode", class {});
    FakeLinkPeer.all = [];
    show({ fallback: "always" });
    button().click();
    await vi.waitFor(() => expect(FakeLinkPeer.all).toHaveLength(1));
    FakeLinkPeer.all[0]?.listener.onconnected("link");
    flushSync();
    const note = "Connected without UDP: sound may lag a little.";
    expect(screen.getByTestId("webrtc-note").textContent).toBe(note);
    expect(live()).toBe(note);
    expect(screen.getByTestId("webrtc").dataset.transport).toBe("link");
    expect(await violations()).toEqual([]);
    button().click();
    await tick();
    expect(screen.queryByTestId("webrtc-note")).toBeNull();
    expect(screen.getByTestId("webrtc").dataset.transport).toBeUndefined();
  });

  it("has the app's address, which is that of the page outside of Gradio", async () => {
    vi.stubGlobal("AudioWorkletNode", class {});
    FakeLinkPeer.all = [];
    show({ fallback: "always" });
    button().click();
    await vi.waitFor(() => expect(FakeLinkPeer.all).toHaveLength(1));
    expect(FakeLinkPeer.all[0]?.options.root).toBe(document.baseURI);
    const file = "gradio_api/custom_component/1a2b/client/component/index.js";
    expect(rootOf(`https://app.example/talk/${file}`)).toBe("https://app.example/talk/");
    expect(rootOf("https://cdn.example/index.js")).toBeNull();
  });
});

describe("the server's texts", () => {
  it("are escaped, because Gradio renders them as HTML", async () => {
    show();
    await open();
    connection().deliver({ type: "error", data: "<img src=x onerror=alert(1)> & more" });
    connection().deliver({ type: "warning", data: "<b>", title: "Mind", duration: 3 });
    expect(dispatched).toContainEqual(["error", "&lt;img src=x onerror=alert(1)&gt; &amp; more"]);
    expect(dispatched).toContainEqual([
      "notice",
      { kind: "warning", text: "&lt;b&gt;", title: "Mind", duration: 3 },
    ]);
  });
});

describe("the states of an audio call", () => {
  it("idle: one button, named", async () => {
    show();
    expect(state()).toBe("idle");
    expect(button().textContent.trim()).toBe("Start");
    expect(screen.getByRole("group", { name: "Talk" })).toBeTruthy();
    expect(status()).toContain("Ready when you are");
    expect(await violations()).toEqual([]);
  });

  it("asking for permission can be cancelled", async () => {
    media.pending = deferred<void>().promise;
    show();
    button().click();
    await tick();
    expect(state()).toBe("permission");
    expect(live()).toContain("Allow the microphone");
    expect(button().textContent.trim()).toBe("Cancel");
    expect(await violations()).toEqual([]);
    button().click();
    await tick();
    expect(state()).toBe("idle");
  });

  it("permission refused: advice for the user", async () => {
    media.refusals = [namedError("NotAllowedError")];
    show();
    button().click();
    await vi.waitFor(() => expect(state()).toBe("failed"));
    expect(screen.getByTestId("webrtc").dataset.problem).toBe("permission_refused");
    expect(live()).toContain("Allow the microphone for this page");
    expect(button().textContent.trim()).toBe("Try again");
    expect(await violations()).toEqual([]);
  });

  it("all lines busy", async () => {
    const meta = { error: "concurrency_limit_reached", limit: 2 };
    server.replies.offer = { status: "failed", meta };
    show();
    button().click();
    await vi.waitFor(() => expect(state()).toBe("failed"));
    expect(status()).toContain("All lines are busy");
    expect(status()).toContain("2 callers");
    // The component shows it: a toast in addition would show it twice.
    expect(dispatched).toEqual([]);
  });

  it("in a call: time, mutes, hanging up", async () => {
    show({ time_limit: 90 });
    await open();
    expect(state()).toBe("open");
    expect(screen.getByTestId("webrtc-time").textContent).toContain("0:00 / 1:30");
    const mute = screen.getByRole("button", { name: "Mute microphone" });
    expect(mute.getAttribute("aria-pressed")).toBe("false");
    mute.click();
    await tick();
    expect(mute.getAttribute("aria-pressed")).toBe("true");
    expect(media.opened[0]?.enabled).toBe(false);
    expect(await violations()).toEqual([]);
    button().click();
    await tick();
    expect(state()).toBe("idle");
    expect(status()).toContain("Call ended");
  });

  it("mutes the answer", async () => {
    show();
    await open();
    screen.getByRole("button", { name: "Mute speaker" }).click();
    await tick();
    expect((screen.getByTestId("webrtc-audio") as HTMLAudioElement).muted).toBe(true);
  });

  it("shows the turn without announcing it", async () => {
    show();
    await open();
    expect(live()).toBe("Connected");
    connection().deliver({ type: "log", data: "pause_detected" });
    flushSync();
    expect(status()).toBe("Thinking…");
    expect(live()).toBe("Connected");
  });

  it("offers a click when the browser will not play by itself", async () => {
    const refusal = new DOMException("not without a click", "NotAllowedError");
    vi.mocked(HTMLMediaElement.prototype.play).mockRejectedValueOnce(refusal);
    show();
    await open();
    connection().ontrack?.({ track: new FakeTrack("audio") });
    flushSync();
    (await screen.findByRole("button", { name: "Play sound" })).click();
    await vi.waitFor(() => expect(screen.queryByRole("button", { name: "Play sound" })).toBeNull());
  });
});

describe("Gradio gets", () => {
  it("the credentials while there is a call, and nothing else", async () => {
    show();
    expect(await gradio.get()).toMatchObject({ value: null });
    await open();
    const credentials = { webrtc_id: "call-1", secret: "s3cret" };
    expect(await gradio.get()).toMatchObject({ value: credentials });
    gradio.set({ value: null });
    expect(await gradio.get()).toMatchObject({ value: credentials });
    button().click();
    expect(await gradio.get()).toMatchObject({ value: null });
  });

  it("a tick for each request of inputs", async () => {
    show();
    await open();
    connection().deliver({ type: "send_input", data: [] });
    expect(dispatched).toEqual([
      ["start_recording", undefined],
      ["tick", undefined],
    ]);
  });

  it("the effect of new arguments at once", async () => {
    show();
    gradio.set({ button_labels: { start: "Call Anna" }, label: "Anna", height: 300 });
    await tick();
    expect(button().textContent.trim()).toBe("Call Anna");
    const group = screen.getByRole("group", { name: "Anna" });
    expect(group.style.height).toBe("300px");
  });

  it("the end of the registration with the component", () => {
    show();
    cleanup();
    expect(gradio.unregister).toHaveBeenCalledExactlyOnceWith(7);
  });
});

describe("a call ends", () => {
  it("with the page", async () => {
    show();
    await open();
    window.dispatchEvent(new Event("pagehide"));
    expect(connection().isClosed).toBe(true);
  });

  it("with the component", async () => {
    show();
    await open();
    cleanup();
    expect(connection().isClosed).toBe(true);
    expect(media.opened[0]?.readyState).toBe("ended");
  });

  it("when a parent hides it, and it comes back idle", async () => {
    show();
    await open();
    gradio.set({ visible: false });
    await tick();
    expect(connection().isClosed).toBe(true);
    expect(screen.queryByTestId("webrtc")).toBeNull();
    gradio.set({ visible: true });
    await tick();
    expect(state()).toBe("idle");
  });

  it("but not when it is only kept out of sight", async () => {
    const root = show();
    await open();
    gradio.set({ visible: "hidden" });
    await tick();
    expect(root.classList).toContain("hidden");
    expect(state()).toBe("open");
  });
});

describe("receiving", () => {
  it("starts on Python's command, again on the next, and ends without an error", async () => {
    show({ mode: "receive" });
    expect(screen.queryByTestId("webrtc-button")).toBeNull();
    gradio.set({ value: "start_webrtc_stream" });
    await vi.waitFor(() => expect(connection().remoteDescription).not.toBeNull());
    connection().become("connected");
    const first = connection();
    gradio.set({ value: "start_webrtc_stream" });
    expect(first.isClosed).toBe(true);
    await vi.waitFor(() => expect(connection()).not.toBe(first));
    await vi.waitFor(() => expect(connection().remoteDescription).not.toBeNull());
    connection().become("connected");
    connection().deliver({ type: "end_stream", data: "" });
    await vi.waitFor(() => expect(state()).toBe("ended"));
    expect(media.requests).toEqual([]);
    expect(dispatched.filter(([name]) => name === "error")).toEqual([]);
  });

  it("ignores the command in other modes", async () => {
    show();
    gradio.set({ value: "start_webrtc_stream" });
    await tick();
    expect(state()).toBe("idle");
  });
});

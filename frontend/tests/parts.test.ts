// @vitest-environment jsdom
import { screen } from "@testing-library/svelte";
import { flushSync, tick } from "svelte";
import { describe, expect, it, vi } from "vitest";
import { device, FakeTrack } from "./fakes";
import {
  button,
  connection,
  dispatched,
  gradio,
  media,
  open,
  show,
  state,
  violations,
} from "./mounted";

describe("the device menu", () => {
  const openMenu = async (): Promise<HTMLElement> => {
    screen.getByRole("button", { name: "Devices" }).click();
    await tick();
    return screen.getByTestId("webrtc-device-panel");
  };

  it("chooses a microphone", async () => {
    media.list = [device("audioinput", "desk", "Desk"), device("audioinput", "lid", "Lid")];
    show();
    await openMenu();
    const select = (await screen.findByRole("combobox", {
      name: "Microphone",
    })) as HTMLSelectElement;
    await vi.waitFor(() => expect(select.options).toHaveLength(3));
    expect(await violations()).toEqual([]);
    select.value = "lid";
    select.dispatchEvent(new Event("change", { bubbles: true }));
    await open();
    expect(media.requests).toEqual([{ audio: { deviceId: { exact: "lid" } } }]);
  });

  it("closes on Escape and returns the focus", async () => {
    show();
    await openMenu();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    await tick();
    expect(screen.queryByTestId("webrtc-device-panel")).toBeNull();
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Devices" }));
  });

  it("closes on a click elsewhere", async () => {
    show();
    await openMenu();
    button().dispatchEvent(new Event("pointerdown", { bubbles: true }));
    await tick();
    expect(screen.queryByTestId("webrtc-device-panel")).toBeNull();
  });

  it("offers to name devices whose labels the browser withholds", async () => {
    media.list = [device("audioinput", "", "")];
    show();
    await openMenu();
    media.list = [device("audioinput", "desk", "Desk")];
    screen.getByRole("button", { name: "Show device names" }).click();
    expect(await screen.findByRole("option", { name: "Desk" })).toBeTruthy();
    await vi.waitFor(() => expect(media.opened[0]?.readyState).toBe("ended"));
    expect(state()).toBe("idle");
  });
});

describe("video", () => {
  it("shows the camera, mirrored, until the first frame of the answer", async () => {
    show({ modality: "video" });
    await open();
    const camera = screen.getByLabelText("Your camera");
    expect(camera.classList).toContain("mirrored");
    connection().ontrack?.({ track: new FakeTrack("video") });
    flushSync();
    const answer = screen.getByLabelText("Live picture");
    Object.defineProperty(answer, "videoWidth", { value: 640 });
    answer.dispatchEvent(new Event("resize"));
    flushSync();
    expect(screen.queryByLabelText("Your camera")).toBeNull();
    expect(answer.classList).not.toContain("mirrored");
  });

  it("is not mirrored when the app disables it", async () => {
    show({ modality: "video", mirror_webcam: false });
    await open();
    expect(screen.getByLabelText("Your camera").classList).not.toContain("mirrored");
  });

  it("keeps the camera in a corner of a call with audio and video", async () => {
    show({ modality: "audio-video" });
    await open();
    connection().ontrack?.({ track: new FakeTrack("video") });
    flushSync();
    const answer = screen.getByLabelText("Live picture");
    Object.defineProperty(answer, "videoWidth", { value: 640 });
    answer.dispatchEvent(new Event("resize"));
    flushSync();
    expect(screen.getByLabelText("Your camera").closest(".inset")).not.toBeNull();
    expect(await violations()).toEqual([]);
  });
});

describe("the app's settings", () => {
  it("an icon with its colours and roundness", () => {
    show({
      icon: "/icon.svg",
      icon_button_color: "rgb(1, 2, 3)",
      pulse_color: "teal",
      icon_radius: 20,
    });
    const image = screen.getByTestId("webrtc").querySelector("img");
    expect(image?.getAttribute("src")).toBe("/icon.svg");
    const orb = image?.closest<HTMLElement>(".orb");
    const values = ["--orb-color", "--pulse-color", "--orb-radius"].map((name) =>
      orb?.style.getPropertyValue(name),
    );
    expect(values).toEqual(["rgb(1, 2, 3)", "teal", "20%"]);
  });

  it("an icon that came as one of Gradio's files", () => {
    show({ icon: { url: "/below/icon.svg" } });
    const image = screen.getByTestId("webrtc").querySelector("img");
    expect(image?.getAttribute("src")).toBe("/below/icon.svg");
  });

  it("no calls to be started", () => {
    show({}, { interactive: false });
    expect((button() as HTMLButtonElement).disabled).toBe(true);
  });

  it("no label, no container, an id and classes", () => {
    const root = show({}, { container: false, elem_id: "it", elem_classes: ["a", "b"] });
    expect(screen.queryByTestId("block-label")).toBeNull();
    expect(root.id).toBe("it");
    expect([...root.classList]).toEqual(expect.arrayContaining(["a", "b", "bare"]));
  });

  it("a line of text in addition to the audio", async () => {
    show({ variant: "textbox" });
    await open();
    const input = screen.getByRole("textbox", { name: "Type a message…" }) as HTMLInputElement;
    input.value = " Hello ";
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.form?.requestSubmit();
    expect(dispatched.at(-1)?.[0]).toBe("submit");
    expect(await gradio.get()).toMatchObject({ value: { textbox: "Hello" } });
    await tick();
    expect(input.value).toBe("");
  });
});

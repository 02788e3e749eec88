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
  live,
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

describe("the latency of the last answer", () => {
  const turn = {
    number: 1,
    total_s: 1.2345,
    pause_s: 0.52,
    wait_s: 0.5845,
    sending_s: 0.01,
    delivery_s: 0.12,
  };
  const receive = (data: object): void => {
    connection().deliver({ type: "turn", data });
    flushSync();
  };
  const shown = (): string => {
    const rows = screen.getByTestId("webrtc-latency").querySelectorAll("dl > div");
    return [...rows].map(({ textContent }) => textContent.trim()).join(" ");
  };
  const widths = (): string[] => {
    const segments = screen.getByTestId("webrtc-latency").querySelectorAll<HTMLElement>(".bar > *");
    return [...segments].map(({ style }) => style.flexGrow);
  };

  it("is shown from the first turn on, as segments and as text", async () => {
    show({ latency: true });
    await open();
    expect(screen.queryByTestId("webrtc-latency")).toBeNull();
    receive(turn);
    expect(screen.getByRole("group", { name: "Time to the last answer" })).toBeTruthy();
    expect(shown()).toBe(
      "Answer 1,235 ms Pause 520 ms Function 585 ms Sending 10 ms Network 120 ms",
    );
    expect(widths()).toEqual(["520", "584.5", "10", "120"]);
    expect(await violations()).toEqual([]);
  });

  it("is that of the last turn, and is not announced", async () => {
    show({ latency: true });
    await open();
    receive(turn);
    receive({ ...turn, number: 2, total_s: 62.5, wait_s: 61.85 });
    expect(shown()).toContain("62,500 ms");
    expect(live()).toBe("Connected");
  });

  it("shows what there is of a turn without an answer", async () => {
    show({ latency: true });
    await open();
    receive({ number: 1, pause_s: 0.5, total_s: null });
    expect(shown()).toBe("Answer none Pause 500 ms");
    receive({ number: 2, pause_s: 0.5, total_s: null, was_interrupted: true });
    expect(shown()).toBe("Answer interrupted Pause 500 ms");
  });

  it("stays when the call has ended, until the next one", async () => {
    show({ latency: true });
    await open();
    receive(turn);
    button().click();
    flushSync();
    expect(shown()).toContain("1,235 ms");
    await open();
    expect(screen.queryByTestId("webrtc-latency")).toBeNull();
  });

  it("is not shown where the app does not ask for it", async () => {
    show();
    await open();
    receive(turn);
    expect(screen.queryByTestId("webrtc-latency")).toBeNull();
  });
});

import { describe, expect, it } from "vitest";
import { Capture } from "../call/capture";
import { mediaConstraints, withoutExact } from "../call/constraints";
import { listDevices, openMedia } from "../call/devices";
import { OfferRefused } from "../call/messages";
import { problemOf, Unavailable } from "../call/problems";
import { device, FakeMediaDevices, later, named } from "./fakes";

const asMedia = (media: FakeMediaDevices): MediaDevices => media as unknown as MediaDevices;
const NONE = { microphone: null, camera: null };

describe("listDevices", () => {
  it("sorts them, without the browser's aliases and doubles", async () => {
    const media = new FakeMediaDevices();
    media.list = [
      device("audioinput", "default", "Default - Desk"),
      device("audioinput", "communications", "Communications - Desk"),
      device("audioinput", "desk", "Desk"),
      device("audioinput", "desk", "Desk"),
      device("videoinput", "cam", "Lid"),
      device("audiooutput", "phones", "Phones"),
    ];
    expect(await listDevices(asMedia(media))).toEqual({
      microphones: [{ id: "desk", label: "Desk" }],
      cameras: [{ id: "cam", label: "Lid" }],
      speakers: [{ id: "phones", label: "Phones" }],
    });
  });

  it("finds none to choose from before the user has agreed", async () => {
    const media = new FakeMediaDevices();
    media.list = [device("audioinput", "", "")];
    expect((await listDevices(asMedia(media))).microphones).toEqual([]);
  });
});

describe("mediaConstraints", () => {
  const sound = { echoCancellation: true };
  const picture = { width: { ideal: 640 } };

  it.each([
    ["audio", sound, { audio: sound }],
    ["audio", null, { audio: {} }],
    ["video", picture, { video: picture }],
    ["audio-video", { audio: sound, video: picture }, { audio: sound, video: picture }],
    ["audio-video", { audio: true }, { audio: {}, video: {} }],
    ["video", { audio: sound, video: picture }, { video: picture }],
  ] as const)("for %s takes %j", (modality, given, expected) => {
    expect(mediaConstraints(modality, given, NONE)).toEqual(expected);
  });

  it("asks for the chosen devices and keeps the wishes", () => {
    const chosen = { microphone: "desk", camera: "lid" };
    const asked = mediaConstraints("audio-video", { audio: sound, video: picture }, chosen);
    expect(asked).toEqual({
      audio: { ...sound, deviceId: { exact: "desk" } },
      video: { ...picture, deviceId: { exact: "lid" } },
    });
  });
});

describe("openMedia", () => {
  const strict = {
    audio: { autoGainControl: { exact: true }, channelCount: { exact: 1 }, sampleRate: 24_000 },
  };

  it("asks again without conditions that no device meets", async () => {
    const media = new FakeMediaDevices();
    media.refusals = [named("OverconstrainedError")];
    await openMedia(asMedia(media), strict);
    const relaxed = {
      audio: { autoGainControl: { ideal: true }, channelCount: { ideal: 1 }, sampleRate: 24_000 },
    };
    expect(media.asked).toEqual([strict, relaxed]);
    expect(withoutExact(strict)).toEqual(relaxed);
  });

  it("does not ask again when the user has said no", async () => {
    const media = new FakeMediaDevices();
    media.refusals = [named("NotAllowedError")];
    await expect(openMedia(asMedia(media), strict)).rejects.toThrow("NotAllowedError");
    expect(media.asked).toHaveLength(1);
  });

  it("finds its way through lists", () => {
    const advanced = { video: { advanced: [{ width: { exact: 640 } }] } };
    expect(withoutExact(advanced)).toEqual({ video: { advanced: [{ width: { ideal: 640 } }] } });
  });
});

describe("problemOf", () => {
  it.each([
    ["NotAllowedError", "permission_refused"],
    ["SecurityError", "permission_refused"],
    ["NotFoundError", "no_device"],
    ["OverconstrainedError", "no_device"],
    ["NotReadableError", "device_busy"],
    ["AbortError", "device_busy"],
  ])("%s means %s", (name, code) => {
    expect(problemOf(named(name), { audio: true })).toEqual({ code, medium: "microphone" });
    expect(problemOf(named(name), { audio: true, video: {} })).toEqual({ code, medium: "camera" });
  });

  it("keeps the limit and the words of a refusal", () => {
    const limit = new OfferRefused("concurrency_limit_reached", "full", 2);
    expect(problemOf(limit, {})).toEqual({ code: "limit_reached", limit: 2 });
    const other = new OfferRefused("invalid_offer", "No audio in it.");
    expect(problemOf(other, {})).toEqual({ code: "refused", message: "No audio in it." });
  });

  it("has words for anything else", () => {
    expect(problemOf(new Unavailable("insecure_page"), {})).toEqual({ code: "insecure_page" });
    expect(problemOf(new TypeError("x is y"), {})).toEqual({ code: "refused", message: "x is y" });
    expect(problemOf("why", {})).toEqual({ code: "refused", message: "why" });
  });
});

describe("Capture", () => {
  const capture = (media: FakeMediaDevices, onlost = (): void => undefined): Capture =>
    new Capture({
      media: asMedia(media),
      constraints: () => ({ audio: { channelCount: 1 } }),
      onlost,
    });

  it("lets go of everything it has opened", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    await one.open();
    one.release();
    expect(media.given.map(({ readyState }) => readyState)).toEqual(["ended"]);
  });

  it("lets go of what was granted too late", async () => {
    const media = new FakeMediaDevices();
    const question = later<void>();
    media.pending = question.promise;
    const one = capture(media);
    const opening = one.open();
    one.release();
    question.keep();
    await expect(opening).rejects.toThrow("over before");
    expect(media.given.map(({ readyState }) => readyState)).toEqual(["ended"]);
  });

  it("stays muted across devices", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    one.mute(true);
    await one.open();
    expect(media.given[0]?.enabled).toBe(false);
    await one.replace("audio");
    expect(media.given[1]?.enabled).toBe(false);
    one.mute(false);
    expect(media.given[1]?.enabled).toBe(true);
  });

  it("replaces a device and lets go of the old one", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    const stream = await one.open();
    const track = await one.replace("audio");
    expect(media.given.map(({ readyState }) => readyState)).toEqual(["ended", "live"]);
    expect(stream.getTracks()).toEqual([track]);
  });

  it("keeps the device in use when the new one cannot be opened", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    await one.open();
    media.refusals = [named("NotReadableError")];
    await expect(one.replace("audio")).rejects.toThrow("NotReadableError");
    expect(media.given[0]?.readyState).toBe("live");
  });

  it("tells when a device is pulled out, but not when it is let go of", async () => {
    const media = new FakeMediaDevices();
    const lost: number[] = [];
    const one = capture(media, () => void lost.push(1));
    await one.open();
    const { onended } = media.given[0] ?? {};
    onended?.();
    expect(lost).toHaveLength(1);
    one.release();
    expect(media.given[0]?.onended).toBeNull();
  });
});

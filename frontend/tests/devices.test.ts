import { describe, expect, it } from "vitest";
import { Capture } from "../call/capture";
import { mediaConstraints, withoutExact } from "../call/constraints";
import { listDevices, openMedia } from "../call/devices";
import { OfferRefused } from "../call/messages";
import { problemOf, Unavailable } from "../call/problems";
import { deferred, device, FakeMediaDevices, namedError } from "./fakes";

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
  const audio = { echoCancellation: true };
  const video = { width: { ideal: 640 } };

  it.each([
    ["audio", audio, { audio }],
    ["audio", null, { audio: {} }],
    ["video", video, { video }],
    ["audio-video", { audio, video }, { audio, video }],
    ["audio-video", { audio: true }, { audio: {}, video: {} }],
    ["video", { audio, video }, { video }],
  ] as const)("for %s takes %j", (modality, appConstraints, expected) => {
    expect(mediaConstraints(modality, appConstraints, NONE)).toEqual(expected);
  });

  it("names the chosen devices and keeps the constraints", () => {
    const chosen = { microphone: "desk", camera: "lid" };
    const constraints = mediaConstraints("audio-video", { audio, video }, chosen);
    expect(constraints).toEqual({
      audio: { ...audio, deviceId: { exact: "desk" } },
      video: { ...video, deviceId: { exact: "lid" } },
    });
  });
});

describe("openMedia", () => {
  const strict = {
    audio: { autoGainControl: { exact: true }, channelCount: { exact: 1 }, sampleRate: 24_000 },
  };

  it("asks again without `exact` constraints that no device meets", async () => {
    const media = new FakeMediaDevices();
    media.refusals = [namedError("OverconstrainedError")];
    await openMedia(asMedia(media), strict);
    const relaxed = {
      audio: { autoGainControl: { ideal: true }, channelCount: { ideal: 1 }, sampleRate: 24_000 },
    };
    expect(media.requests).toEqual([strict, relaxed]);
    expect(withoutExact(strict)).toEqual(relaxed);
  });

  it("does not ask again when the user has refused", async () => {
    const media = new FakeMediaDevices();
    media.refusals = [namedError("NotAllowedError")];
    await expect(openMedia(asMedia(media), strict)).rejects.toThrow("NotAllowedError");
    expect(media.requests).toHaveLength(1);
  });

  it("relaxes constraints in lists", () => {
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
    expect(problemOf(namedError(name), { audio: true })).toEqual({ code, medium: "microphone" });
    expect(problemOf(namedError(name), { audio: true, video: {} })).toEqual({
      code,
      medium: "camera",
    });
  });

  it("keeps the limit and the message of a refusal", () => {
    const limit = new OfferRefused("concurrency_limit_reached", "full", 2);
    expect(problemOf(limit, {})).toEqual({ code: "limit_reached", limit: 2 });
    const other = new OfferRefused("invalid_offer", "No audio in it.");
    expect(problemOf(other, {})).toEqual({ code: "refused", message: "No audio in it." });
  });

  it("covers every other error", () => {
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

  it("releases everything that it has opened", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    await one.open();
    one.release();
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
  });

  it("releases a device that was granted too late", async () => {
    const media = new FakeMediaDevices();
    const permission = deferred<void>();
    media.pending = permission.promise;
    const one = capture(media);
    const opening = one.open();
    one.release();
    permission.resolve();
    await expect(opening).rejects.toThrow("over before");
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended"]);
  });

  it("stays muted across devices", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    one.mute(true);
    await one.open();
    expect(media.opened[0]?.enabled).toBe(false);
    await one.replace("audio");
    expect(media.opened[1]?.enabled).toBe(false);
    one.mute(false);
    expect(media.opened[1]?.enabled).toBe(true);
  });

  it("replaces a device and releases the old one", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    const stream = await one.open();
    const track = await one.replace("audio");
    expect(media.opened.map(({ readyState }) => readyState)).toEqual(["ended", "live"]);
    expect(stream.getTracks()).toEqual([track]);
  });

  it("keeps the device in use when the new one cannot be opened", async () => {
    const media = new FakeMediaDevices();
    const one = capture(media);
    await one.open();
    media.refusals = [namedError("NotReadableError")];
    await expect(one.replace("audio")).rejects.toThrow("NotReadableError");
    expect(media.opened[0]?.readyState).toBe("live");
  });

  it("reports a device that is unplugged, but not one that is released", async () => {
    const media = new FakeMediaDevices();
    const lost: number[] = [];
    const one = capture(media, () => void lost.push(1));
    await one.open();
    const { onended } = media.opened[0] ?? {};
    onended?.();
    expect(lost).toHaveLength(1);
    one.release();
    expect(media.opened[0]?.onended).toBeNull();
  });
});

import { describe, expect, it, vi } from "vitest";
import type { ConnectOptions } from "../../client/client";
import { FakeTrack } from "../fakes";
import { begin, connection, media, open, pass, streamOf } from "./calling";

const directions = (): string[] => connection().transceivers.map(({ init }) => init.direction);
const senders = (): unknown[] => connection().senders.map(({ track }) => track);

describe("media", () => {
  it("are audio, if nothing else is asked for", async () => {
    await open();
    expect(media.requests).toEqual([{ audio: true }]);
    expect(directions()).toEqual(["sendrecv"]);
  });

  it("are devices with constraints of the page", async () => {
    const audio = { echoCancellation: false };
    await open({ media: { audio, video: { width: 320 } } });
    expect(media.requests).toEqual([{ audio, video: { width: 320 } }]);
    expect(directions()).toEqual(["sendrecv", "sendrecv"]);
  });

  it("may be received alone, without a question", async () => {
    const call = begin({ media: { audio: "receive", video: "receive" } });
    const states: string[] = [];
    call.on("state", (state) => states.push(state));
    await pass();
    expect(states).toEqual(["connecting"]);
    expect(directions()).toEqual(["recvonly", "recvonly"]);
    expect(media.requests).toEqual([]);
    expect(call.local).toBeNull();
  });

  it("may be sent of one kind and received of both", async () => {
    await open({ media: { audio: true, video: "receive" } });
    expect(media.requests).toEqual([{ audio: true }]);
    expect(directions()).toEqual(["sendrecv", "recvonly"]);
  });

  it("may be a stream of the page's, which stays as it is", async () => {
    const { stream, tracks } = streamOf("video", "audio");
    const call = await open({ media: { audio: stream } });
    const [, track] = tracks as [FakeTrack, FakeTrack];
    expect(senders()).toEqual(track.clones);
    call.mute();
    call.close();
    expect(track).toMatchObject({ enabled: true, readyState: "live" });
    expect(track.clones[0]).toMatchObject({ enabled: false, readyState: "ended" });
    expect(media.requests).toEqual([]);
  });

  it("of the page's that it has muted stay silent", async () => {
    const { stream, tracks } = streamOf("audio");
    tracks[0]!.enabled = false;
    const call = await open({ media: { audio: stream } });
    expect(tracks[0]?.clones[0]?.enabled).toBe(false);
    call.mute(false);
    expect(tracks[0]?.clones[0]?.enabled).toBe(true);
  });

  it("may be a track of the page's, beside a device", async () => {
    const track = new FakeTrack("video");
    const call = await open({ media: { audio: true, video: track as unknown as MediaStreamTrack } });
    expect(senders()).toEqual([media.opened[0], track.clones[0]]);
    expect(call.local?.getTracks()).toHaveLength(2);
    call.close();
    expect(track.clones[0]?.readyState).toBe("ended");
    expect(track.readyState).toBe("live");
  });

  it.each([
    [{}, /expected media such as/],
    [{ audio: false }, /expected media such as/],
    [{ audio: "yes" as "receive" }, /audio: expected "receive", got "yes"/],
    [{ video: streamOf("audio").stream }, /video: the stream has no such track/],
    [{ video: new FakeTrack("audio") as unknown as MediaStreamTrack }, /no such track/],
  ])("of another form are an error at once: %j", (wrong, message) => {
    expect(() => begin({ media: wrong })).toThrow(message);
  });
});

describe("options", () => {
  it.each([
    [{ fallback: "nope" }, /fallback: expected "auto", "never" or "always", got "nope"/],
    [{ audio: "#player" }, /audio: expected a media element/],
    [{ audio: {} }, /audio: expected a media element/],
    [{ video: 7 }, /video: expected a media element/],
    [{ inputs: 7 }, /inputs: expected a list/],
    [{ inputs: "abc" }, /inputs: expected a list/],
  ])("that no call can have are an error at once: %j", (wrong, message) => {
    expect(() => begin(wrong as ConnectOptions)).toThrow(message);
  });

  it("may be null for elements that are not there", async () => {
    expect((await open({ audio: null, video: null } as unknown as ConnectOptions)).state).toBe("open");
  });
});

describe("muting", () => {
  it("sends silence, also from the beginning and in the next device", async () => {
    const call = begin();
    call.mute();
    expect(call.isMuted).toBe(true);
    await pass();
    expect(media.opened[0]?.enabled).toBe(false);
    connection().become("connected");
    media.opened[0]?.onended?.();
    await pass();
    expect(media.opened[1]?.enabled).toBe(false);
    call.mute(false);
    expect(media.opened[1]?.enabled).toBe(true);
  });
});

describe("the address", () => {
  it.each([
    ["/", "http://app/webrtc/offer"],
    ["/talk", "http://app/talk/webrtc/offer"],
    ["talk/", "http://app/page/talk/webrtc/offer"],
    ["https://host/talk?a=1", "https://host/talk/webrtc/offer"],
  ])("%s is a folder", async (url, offer) => {
    const fetched = vi.spyOn(globalThis, "fetch");
    begin({ url });
    await pass();
    expect(String(fetched.mock.calls[0]?.[0])).toBe(offer);
  });

  it("is by default that of the file", async () => {
    const fetched = vi.spyOn(globalThis, "fetch");
    begin({ url: undefined });
    await pass();
    expect(String(fetched.mock.calls[0]?.[0])).toMatch(/\/client\/webrtc\/offer$/);
  });
});

describe("the configuration", () => {
  it("is the page's, or that of a function for each try", async () => {
    const rtcConfiguration = { iceServers: [{ urls: "stun:host" }] };
    await open({ rtcConfiguration });
    expect(connection().configuration).toMatchObject(rtcConfiguration);
    const later = vi.fn(async () => rtcConfiguration);
    await open({ rtcConfiguration: later });
    expect(connection().configuration).toMatchObject(rtcConfiguration);
    expect(later).toHaveBeenCalledOnce();
  });

  it("that a function cannot give is not mistaken for a microphone", async () => {
    const call = begin({
      rtcConfiguration: async () => {
        throw new DOMException("signal timed out", "AbortError");
      },
    });
    await pass();
    const message = "rtcConfiguration: signal timed out";
    expect(call.problem).toEqual({ code: "refused", message });
    expect(media.opened[0]?.readyState).toBe("ended");
  });
});

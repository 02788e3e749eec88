import { describe, expect, it } from "vitest";
import { FakeTrack, namedError } from "../fakes";
import { asElement, begin, blocked, collect, connection, FakeElement, page, pass } from "./calling";

const [audio, video] = [new FakeTrack("audio"), new FakeTrack("video")];

function arrive(...tracks: FakeTrack[]): void {
  for (const track of tracks) connection().ontrack?.({ track });
}

describe("what the handler sends", () => {
  it("is played by an element of the call's own, until its end", async () => {
    const call = begin();
    await pass();
    arrive(audio);
    const [own] = FakeElement.all as [FakeElement];
    expect(own.tracks).toEqual([audio]);
    expect(own.plays).toBe(1);
    call.close();
    expect(own.srcObject).toBeNull();
  });

  it("is played by an element of the page's", async () => {
    const element = new FakeElement();
    begin({ audio: asElement(element) });
    await pass();
    arrive(audio);
    expect(element.tracks).toEqual([audio]);
    expect(FakeElement.all).toHaveLength(1);
  });

  it("is played by one element, which keeps audio and video in step", async () => {
    const element = new FakeElement();
    begin({ media: { audio: true, video: true }, video: asElement(element) });
    await pass();
    arrive(audio, video);
    expect(element.tracks).toEqual([audio, video]);
    expect(element.playsInline).toBe(true);
    expect(FakeElement.all).toHaveLength(1);
  });

  it("is played apart where the page has an element for each, or plays the audio", async () => {
    const [first, second] = [new FakeElement(), new FakeElement()];
    begin({ media: { audio: true, video: true }, audio: asElement(first), video: asElement(second) });
    await pass();
    arrive(audio, video);
    expect([first.tracks, second.tracks]).toEqual([[audio], [video]]);
    const third = new FakeElement();
    begin({ media: { audio: true, video: true }, audio: false, video: asElement(third) });
    await pass();
    arrive(audio, video);
    expect(third.tracks).toEqual([video]);
    expect(FakeElement.all).toHaveLength(3);
  });
});

describe("a browser that plays nothing before a click", () => {
  it("is reported, and asked again with the next click", async () => {
    const element = new FakeElement();
    element.refusal = blocked();
    const call = begin({ audio: asElement(element) });
    const events = collect(call, "blocked");
    await pass();
    arrive(audio);
    await pass();
    expect(events).toEqual([true]);
    page.dispatchEvent(new Event("click"));
    await pass();
    expect(events).toEqual([true]);
    element.refusal = null;
    page.dispatchEvent(new Event("keydown"));
    await pass();
    expect(events).toEqual([true, false]);
    expect(element.plays).toBe(3);
    page.dispatchEvent(new Event("click"));
    expect(element.plays).toBe(3);
  });

  it("is not confused with one that plays something newer", async () => {
    const element = new FakeElement();
    element.refusal = namedError("AbortError");
    const call = begin({ audio: asElement(element) });
    const events = collect(call, "blocked");
    await pass();
    arrive(audio);
    await pass();
    expect(events).toEqual([]);
  });

  it("is not waited for after the call", async () => {
    const element = new FakeElement();
    element.refusal = blocked();
    const call = begin({ audio: asElement(element) });
    const events = collect(call, "blocked");
    await pass();
    arrive(audio);
    await pass();
    call.close();
    page.dispatchEvent(new Event("click"));
    expect(events).toEqual([true, false]);
    expect(element.plays).toBe(1);
  });
});

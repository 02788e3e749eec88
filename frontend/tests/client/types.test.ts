/** The published types: they agree with those inside, and a page can be written with them. */
import { describe, expect, it } from "vitest";
import type { Level } from "../../call/levels";
import type { NoticeKind } from "../../types";
import type { Phase, Problem as InnerProblem, Redialling } from "../../call/state";
import type { Transport } from "../../call/peer";
import type * as published from "../../client/client";
import * as entry from "../../client/index";

type Same<One, Other> = [One] extends [Other] ? ([Other] extends [One] ? true : false) : false;
type Not<Kind, Of> = Exclude<Of, Kind>;

// Each line fails to compile when the two differ.
const agreed: true[] = [
  true satisfies Same<published.State, Phase>,
  true satisfies Same<published.Problem["code"], InnerProblem["code"]>,
  true satisfies Same<Not<null, published.Call["redial"]>, Redialling>,
  true satisfies Same<Not<null, published.Call["transport"]>, Transport>,
  true satisfies Same<published.Notice["kind"], NoticeKind>,
  true satisfies Same<published.Level, Level>,
  true satisfies Same<keyof typeof entry, keyof typeof published>,
  true satisfies Same<typeof entry.connect, typeof published.connect>,
];

/** A page that uses all of it; it is only compiled. */
export function writePage(connect: typeof published.connect, element: HTMLVideoElement): () => void {
  const call = connect({
    url: new URL("https://host/talk"),
    media: { audio: { echoCancellation: false }, video: "receive" },
    audio: false,
    video: element,
    inputs: [1, "two"],
    fallback: "always",
    rtcConfiguration: async () => ({ iceServers: [] }),
    redial: false,
  });
  const off = call.on("output", ([first]) => call.send({ first }));
  call.on("level", ({ local, remote }) => call.mute(local.loudness + remote.bands.length > 1));
  call.on("state", (state) => {
    if (state === "failed") call.send(call.problem?.message.length);
  });
  call.on("track", ({ track, stream }) => stream.removeTrack(track));
  // @ts-expect-error: there is no such event.
  call.on("nothing", () => undefined);
  // @ts-expect-error: nor such an option.
  connect({ rtc_configuration: {} });
  call.setInputs([call.id, call.reason, call.redial?.cause, call.transport, call.isUnstable]);
  return off;
}

describe("the published types", () => {
  it("are those of the code", () => {
    expect(agreed).toHaveLength(8);
    expect(Object.keys(entry)).toEqual(["connect"]);
  });
});

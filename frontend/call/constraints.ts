/** What to ask `getUserMedia` for: the app's constraints, and the devices the user chose. */
import type { Modality, TrackConstraints } from "../types";

/** Device ids the user chose; null leaves the choice to the browser. */
export interface ChosenDevices {
  microphone: string | null;
  camera: string | null;
}

/** The constraints for a call of this modality, with the chosen devices in them. */
export function mediaConstraints(
  modality: Modality,
  given: TrackConstraints | null,
  chosen: ChosenDevices,
): MediaStreamConstraints {
  const wantsAudio = modality !== "video";
  const wantsVideo = modality !== "audio";
  return {
    ...(wantsAudio && { audio: withDevice(part(given, "audio"), chosen.microphone) }),
    ...(wantsVideo && { video: withDevice(part(given, "video"), chosen.camera) }),
  };
}

/**
 * The same wishes, none of them a condition: every `exact` becomes an `ideal`.
 *
 * Many devices have no automatic gain control, say, and a browser then refuses the device
 * altogether (W3C Media Capture, OverconstrainedError).
 */
export function withoutExact(constraints: MediaStreamConstraints): MediaStreamConstraints {
  return relaxed(constraints) as MediaStreamConstraints;
}

/** `{audio, video}` names its parts; anything else is meant for whatever is captured. */
function part(given: TrackConstraints | null, kind: "audio" | "video"): MediaTrackConstraints {
  if (given === null) return {};
  if (!("audio" in given) && !("video" in given)) return given as MediaTrackConstraints;
  const named = (given as { audio?: unknown; video?: unknown })[kind];
  return typeof named === "object" && named !== null ? named : {};
}

function withDevice(wanted: MediaTrackConstraints, deviceId: string | null): MediaTrackConstraints {
  return deviceId === null ? wanted : { ...wanted, deviceId: { exact: deviceId } };
}

function relaxed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relaxed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) =>
    name === "exact" ? ["ideal", inner] : [name, relaxed(inner)],
  );
  return Object.fromEntries(entries);
}

/** The constraints for `getUserMedia`: those of the app, with the devices that the user chose. */
import type { Modality, TrackConstraints } from "../types";

/** The device ids that the user chose; null leaves the choice to the browser. */
export interface ChosenDevices {
  microphone: string | null;
  camera: string | null;
}

/** The constraints for a call of this modality, with the chosen devices in them. */
export function mediaConstraints(
  modality: Modality,
  appConstraints: TrackConstraints | null,
  chosen: ChosenDevices,
): MediaStreamConstraints {
  const hasAudio = modality !== "video";
  const hasVideo = modality !== "audio";
  return {
    ...(hasAudio && { audio: withDevice(part(appConstraints, "audio"), chosen.microphone) }),
    ...(hasVideo && { video: withDevice(part(appConstraints, "video"), chosen.camera) }),
  };
}

/**
 * Returns the same constraints as preferences: every `exact` becomes an `ideal`.
 *
 * Many devices lack a feature such as automatic gain control, and a browser then refuses the
 * device altogether (W3C Media Capture, OverconstrainedError).
 */
export function withoutExact(constraints: MediaStreamConstraints): MediaStreamConstraints {
  return relaxed(constraints) as MediaStreamConstraints;
}

/** The constraints of one medium; those without a key `audio` or `video` apply to every medium. */
function part(
  appConstraints: TrackConstraints | null,
  kind: "audio" | "video",
): MediaTrackConstraints {
  if (appConstraints === null) return {};
  if (!("audio" in appConstraints) && !("video" in appConstraints)) {
    return appConstraints as MediaTrackConstraints;
  }
  const named = (appConstraints as { audio?: unknown; video?: unknown })[kind];
  return typeof named === "object" && named !== null ? named : {};
}

function withDevice(
  constraints: MediaTrackConstraints,
  deviceId: string | null,
): MediaTrackConstraints {
  return deviceId === null ? constraints : { ...constraints, deviceId: { exact: deviceId } };
}

function relaxed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relaxed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) =>
    name === "exact" ? ["ideal", inner] : [name, relaxed(inner)],
  );
  return Object.fromEntries(entries);
}

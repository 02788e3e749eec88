/** Microphones, cameras and speakers: which there are, and how to get hold of them. */
import { withoutExact } from "./constraints";
import { nameOf } from "./problems";

export interface Device {
  id: string;
  /** Empty until the browser has been allowed to tell. */
  label: string;
}

export interface Devices {
  microphones: Device[];
  cameras: Device[];
  speakers: Device[];
}

export const NO_DEVICES: Devices = { microphones: [], cameras: [], speakers: [] };

/** The devices the browser tells of, each once, the browser's own "default" entries left out. */
export async function listDevices(media: MediaDevices): Promise<Devices> {
  const found = await media.enumerateDevices();
  const ofKind = (kind: MediaDeviceKind): Device[] => {
    const devices = new Map<string, Device>();
    for (const { kind: itsKind, deviceId, label } of found) {
      if (itsKind !== kind || isAlias(deviceId)) continue;
      devices.set(deviceId, { id: deviceId, label });
    }
    return [...devices.values()];
  };
  return {
    microphones: ofKind("audioinput"),
    cameras: ofKind("videoinput"),
    speakers: ofKind("audiooutput"),
  };
}

/** Chromium lists the default device a second time, by these names; unasked, ids are empty. */
const isAlias = (id: string): boolean => id === "" || id === "default" || id === "communications";

/**
 * Captures what is asked for, with `exact` wishes relaxed when they cannot be met.
 *
 * @throws {DOMException} as `getUserMedia` does; `problemOf` puts it in our terms.
 */
export async function openMedia(
  media: MediaDevices,
  constraints: MediaStreamConstraints,
): Promise<MediaStream> {
  try {
    return await media.getUserMedia(constraints);
  } catch (error) {
    if (nameOf(error) !== "OverconstrainedError") throw error;
    return await media.getUserMedia(withoutExact(constraints));
  }
}

/** Lets go of the devices: their lights go out. */
export function release(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Microphones, cameras and speakers: listing, opening and releasing them. */
import { withoutExact } from "./constraints";
import { nameOf } from "./problems";

export interface Device {
  id: string;
  /** Empty until the user has agreed to capture. */
  label: string;
}

export interface Devices {
  microphones: Device[];
  cameras: Device[];
  speakers: Device[];
}

export const NO_DEVICES: Devices = { microphones: [], cameras: [], speakers: [] };

/** Lists the devices that the browser reports, each once and without its "default" entries. */
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

/**
 * True if an id names no device of its own: Chromium lists the default device a second time under
 * these names, and ids are empty until the user has agreed.
 */
const isAlias = (id: string): boolean => id === "" || id === "default" || id === "communications";

/**
 * Opens devices; constraints that no device meets are relaxed from `exact` to `ideal`.
 *
 * @throws {DOMException} as `getUserMedia` does; `problemOf` translates it.
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

/** Stops all tracks, which releases the devices and turns off their lights. */
export function release(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

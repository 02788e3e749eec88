/** The devices that the user can choose from, and those chosen. */
import type { Modality, TrackConstraints } from "../types";
import { mediaConstraints } from "./constraints";
import { listDevices, NO_DEVICES, type Devices } from "./devices";
import type { Medium, Problem } from "./state";

export class DeviceChoice {
  available = $state.raw<Devices>(NO_DEVICES);
  /** Ids of devices; null leaves the choice to the browser. */
  microphone = $state<string | null>(null);
  camera = $state<string | null>(null);
  speaker = $state<string | null>(null);
  /** The reason why the last choice failed; the device before it stays in use. */
  problem = $state.raw<Problem | null>(null);

  /** Lists the devices again; the browser gives their labels only after the user has agreed. */
  async refresh(): Promise<void> {
    const media = navigator.mediaDevices;
    if (media) this.available = await listDevices(media);
  }

  /** Returns to the browser's choice, because the chosen device is gone. */
  reset(medium: Medium): void {
    this[medium] = null;
  }

  constraints(modality: Modality, appConstraints: TrackConstraints | null): MediaStreamConstraints {
    const { microphone, camera } = this;
    return mediaConstraints(modality, appConstraints, { microphone, camera });
  }
}

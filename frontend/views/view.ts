/** What every view is given by the shell. */
import type { Call } from "../call/call.svelte";
import type { StatusText, Translate } from "../texts";
import type { WebRTCProps } from "../types";

export interface ViewProps {
  call: Call;
  settings: WebRTCProps;
  statusText: StatusText;
  /** For screen readers. */
  announcement: string;
  /** Whether the app's author lets calls be started. */
  isInteractive: boolean;
  translate: Translate;
}

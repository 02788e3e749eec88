/** The properties that the entry component passes to every view. */
import type { Call } from "../call/call.svelte";
import type { StatusText, Translate } from "../texts";
import type { WebRTCProps } from "../types";

export interface ViewProps {
  call: Call;
  settings: WebRTCProps;
  statusText: StatusText;
  /** A quiet line below the text, or null. */
  note: string | null;
  /** For screen readers. */
  announcement: string;
  /** True if the app permits the user to start calls. */
  isInteractive: boolean;
  translate: Translate;
}

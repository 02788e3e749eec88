/** What carries a link: a WebSocket, or where none gets through, HTTP. */
import type { Bytes } from "./frames";

export type CarrierKind = "websocket" | "http";

/** The address of a link and the session that it belongs to. */
export interface LinkTarget {
  url: URL;
  /** Id and secret of the session, with a point between them. */
  session: string;
}

/**
 * The reason for which a carrier ended.
 *
 * - `broken`: the network, or something on the way; another carrier may go on.
 * - `replaced`: one that was opened earlier reached the server later.
 * - `busy`: the server takes no more for the moment.
 * - `refused`: the server does not have the session, or the rules were broken.
 */
export type Breakage = "broken" | "replaced" | "busy" | "refused";

/** Callbacks of a carrier; none follows `close`. */
export interface CarrierListener {
  onbytes(bytes: Bytes): void;
  /** More can be sent. */
  onready(): void;
  onbroken(why: Breakage): void;
}

export interface Carrier {
  readonly kind: CarrierKind;
  /** True if this many frames are to be sent now; `isUrgent` ones do not wait for others. */
  takes(frames: number, isUrgent: boolean): boolean;
  send(bytes: Bytes): void;
  close(): void;
}

/** Opens a carrier; `received` is the number up to which all frames came. */
export type OpenCarrier = (
  kind: CarrierKind,
  target: LinkTarget,
  received: number,
  listener: CarrierListener,
) => Carrier;

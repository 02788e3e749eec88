/** One call to the server, over whatever transport: WebRTC, or the link that needs no UDP. */
import type { Credentials, Mode, Server } from "../types";
import { readLookup, type ServerMessage } from "./messages";

export type Transport = "webrtc" | "link";

/** `found` if the server has the call. */
export type Lookup = ReturnType<typeof readLookup>;

/** Callbacks of a peer; each may be called until `close`, none afterwards. */
export interface PeerListener {
  /** The server has answered. Called before every other callback but `onfailed`. */
  onanswer(credentials: Credentials): void;
  /** The server refused an offer after the first one; the error is one of `Peer.call`. */
  onfailed(error: unknown): void;
  onconnected(transport: Transport): void;
  /** Media stopped for the moment and may recover: only `onlost` is final. */
  onunstable(): void;
  onlost(): void;
  /** The server closed its side. */
  onclosed(): void;
  ontrack(track: MediaStreamTrack): void;
  onmessage(message: ServerMessage): void;
  /** The handler sent a text that is none of the server's own messages. */
  ontext?(text: string): void;
  /** Texts can be sent from now on. */
  onwritable?(): void;
  /** The browser refused the app's sending parameters; the call continues without them. */
  onparametersrefused(reason: string): void;
}

export interface PeerOptions {
  server: Server;
  mode: Mode;
  /** The kinds to receive in receive mode; in the other modes the tracks of `stream` decide. */
  kinds: readonly ("audio" | "video")[];
  stream: MediaStream | null;
  /** The query of the page's address, which Gradio does not pass to server functions. */
  query?: string;
}

export interface Peer {
  /**
   * Sends the offer and applies the answer, which contains the id and the secret of the call.
   *
   * @throws {OfferRefused} when the server refuses; otherwise the errors of the network.
   */
  call(): Promise<void>;
  /** Sends this track from now on in place of the current one of its kind. */
  replaceTrack(track: MediaStreamTrack): Promise<void>;
  /** Sends a text to the handler; false before `onwritable`, and when the call is over. */
  send(text: string): boolean;
  /** Asks the server if it still has this call. Never rejects. */
  lookUp(): Promise<Lookup>;
  /** Stops all callbacks; audio that is still playing continues until `close`. */
  detachListener(): void;
  /**
   * Closes the connection at once and for good; no callback follows. The promise, which never
   * rejects, is kept when the server has been informed, as far as that takes a request.
   */
  close(): Promise<void>;
}

export async function lookUp(server: Server, credentials: Credentials | null): Promise<Lookup> {
  const request = { type: "candidates", ...credentials };
  return readLookup(await server.offer(request).catch(() => undefined));
}

export async function sendClose(server: Server, credentials: Credentials): Promise<void> {
  // If this request is lost, the server frees the slot after its own time-out.
  await server.offer({ type: "close", ...credentials }).catch(() => undefined);
}

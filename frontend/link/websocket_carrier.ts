/** A link over a WebSocket: one message for all frames that are to be sent at a time. */
import type { Breakage, Carrier, CarrierListener, LinkTarget } from "./carrier";
import type { Bytes } from "./frames";

/** The name of the protocol, which the server chooses. The second one that is sent is the session. */
const PROTOCOL = "link";

/** Bytes that may wait in the browser: a slow network holds back the rest, which can still go. */
const MAX_BUFFERED_BYTES = 64 * 1024;

const NORMAL = 1000;
/** The server's codes, for frames that break the rules and for another carrier in its place. */
const BREAKAGES = new Map<number, Breakage>([
  [4400, "refused"],
  [4409, "replaced"],
]);

export class WebSocketCarrier implements Carrier {
  readonly kind = "websocket";
  readonly #socket: WebSocket;

  /** Opens the socket. A server that does not have the session fails its handshake. */
  constructor({ url, session }: LinkTarget, received: number, listener: CarrierListener) {
    const address = new URL(url);
    address.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, [PROTOCOL, `${session}.${received}`]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) listener.onbytes(new Uint8Array(data));
    };
    socket.onclose = ({ code }) => listener.onbroken(BREAKAGES.get(code) ?? "broken");
  }

  takes(frames: number, isUrgent: boolean): boolean {
    const { readyState, bufferedAmount } = this.#socket;
    // What a closing socket is given is lost, with an error for each in the browser's log.
    const isFree = readyState === WebSocket.OPEN && bufferedAmount < MAX_BUFFERED_BYTES;
    return isFree && (frames > 0 || isUrgent);
  }

  send(bytes: Bytes): void {
    this.#socket.send(bytes);
  }

  close(): void {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(NORMAL);
  }
}

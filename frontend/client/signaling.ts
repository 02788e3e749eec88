/** The requests of a call, posted to the route of a mounted stream. */
import { reasonOf } from "../call/problems";
import type { Server } from "../types";
import type { ConnectOptions } from "./client";

const OFFER_PATH = "webrtc/offer";
const ID_BYTES = 16;
/** From this status on, a response comes from a server that does not work, or from a proxy without one. */
const SERVER_ERROR = 500;
const TOO_MANY_REQUESTS = 429;
/** The time for the reply to a goodbye, in ms: what follows waits for it. */
export const CLOSE_MS = 1000;

/** Returns the folder of a stream's routes, with a slash at its end. */
export function folderOf(url: string | URL | undefined): URL {
  const folder = new URL(url ?? import.meta.url, document.baseURI);
  const { pathname } = folder;
  folder.pathname =
    url === undefined ? pathname.replace(/[^/]*$/, "") : pathname.replace(/\/?$/, "/");
  return folder;
}

export class HttpServer implements Server {
  /** The address of offers; that of a link is relative to it. */
  readonly url: URL;
  readonly #configuration: ConnectOptions["rtcConfiguration"];

  constructor(folder: URL, configuration: ConnectOptions["rtcConfiguration"]) {
    this.url = new URL(OFFER_PATH, folder);
    this.#configuration = configuration;
  }

  /** @throws {TypeError} when the page's function fails: as of a network, so that it is called again. */
  async turn(): Promise<RTCConfiguration | null> {
    const configuration = this.#configuration;
    if (typeof configuration !== "function") return configuration ?? null;
    try {
      return (await configuration()) ?? null;
    } catch (error) {
      throw new TypeError(`rtcConfiguration: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** Resolves to undefined when there is no server, as Gradio's client does. */
  async offer(body: object): Promise<unknown> {
    const response = await this.#post({ webrtc_id: newId(), ...body }).catch(() => null);
    if (!response || response.status >= SERVER_ERROR) return undefined;
    // What is no JSON is no answer, which whoever reads it reports.
    if (response.ok) return response.json().catch(() => null);
    const error = response.status === TOO_MANY_REQUESTS ? "too_many_offers" : "refused";
    const message = `${this.url.href} answered with status ${response.status}: expected the folder of a mounted Stream`;
    return { status: "failed", meta: { error, message } };
  }

  #post(body: object): Promise<Response> {
    const isLast = "type" in body && body.type === "close";
    return fetch(this.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      // The page may be left meanwhile.
      keepalive: isLast,
      signal: isLast ? AbortSignal.timeout(CLOSE_MS) : null,
    });
  }
}

/** Of any page: `crypto.randomUUID` is missing on those that are not secure. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A link over HTTP: one streamed GET for what comes down, POSTs for what goes up. */
import type { Breakage, Carrier, CarrierListener, LinkTarget } from "./carrier";
import type { Bytes } from "./frames";

/** POSTs on their way at a time. */
const MAX_POSTS = 2;
/** Frames of 20 ms that a POST waits for: with none on its way, and with one. */
const FRAMES_FOR_FIRST = 2;
const FRAMES_FOR_SECOND = 5;

const SESSION_HEADER = "X-Link-Session";
const RECEIVED_HEADER = "X-Link-Received";

export class HttpCarrier implements Carrier {
  readonly kind = "http";
  readonly #target: LinkTarget;
  readonly #abort = new AbortController();
  #listener: CarrierListener | null;
  #posts = 0;

  constructor(target: LinkTarget, received: number, listener: CarrierListener) {
    this.#target = target;
    this.#listener = listener;
    void this.#receive(received);
  }

  takes(frames: number, isUrgent: boolean): boolean {
    if (this.#posts >= MAX_POSTS) return false;
    return isUrgent || frames >= (this.#posts === 0 ? FRAMES_FOR_FIRST : FRAMES_FOR_SECOND);
  }

  send(bytes: Bytes): void {
    this.#posts += 1;
    void this.#post(bytes);
  }

  close(): void {
    this.#listener = null;
    this.#abort.abort();
  }

  // A network has many ways to fail, which all have the same consequence.

  async #receive(received: number): Promise<void> {
    const { url, session } = this.#target;
    const headers = { [SESSION_HEADER]: session, [RECEIVED_HEADER]: String(received) };
    const { signal } = this.#abort;
    const response = await fetch(url, { headers, signal, cache: "no-store" }).catch(() => null);
    const why = breakageOf(response);
    if (why) return this.#break(why);
    const reader = response?.body?.getReader();
    for (;;) {
      const part = await reader?.read().catch(() => null);
      if (!part?.value) return this.#break("broken");
      this.#listener?.onbytes(part.value);
    }
  }

  async #post(bytes: Bytes): Promise<void> {
    const sent = post(this.#target, bytes, { signal: this.#abort.signal });
    const why = breakageOf(await sent.catch(() => null));
    if (why) return this.#break(why);
    this.#posts -= 1;
    this.#listener?.onready();
  }

  #break(why: Breakage): void {
    const listener = this.#listener;
    this.close();
    listener?.onbroken(why);
  }
}

/** Sends frames beside any carrier, and after the page: `keepalive` requests outlive it. */
export async function sendLast(target: LinkTarget, bytes: Bytes): Promise<void> {
  // If this request is lost, the server ends the session after its own time-out.
  await post(target, bytes, { keepalive: true }).catch(() => undefined);
}

const post = ({ url, session }: LinkTarget, body: Bytes, init: RequestInit): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { [SESSION_HEADER]: session, "Content-Type": "application/octet-stream" },
    body,
    ...init,
  });

function breakageOf(response: Response | null): Breakage | null {
  if (response?.ok) return null;
  if (response?.status === 429) return "busy";
  return response?.status === 400 || response?.status === 404 ? "refused" : "broken";
}

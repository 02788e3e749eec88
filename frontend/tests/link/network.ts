/** Fakes of the network below a link: WebSockets and `fetch`, under the test's control. */
import { vi } from "vitest";
import type { LinkTarget } from "../../link/carrier";
import type { Bytes } from "../../link/frames";

export const TARGET: LinkTarget = {
  url: new URL("http://app/talk/gradio_api/gradio_webrtc/link"),
  session: "call-1.s3cret",
};

export class FakeSocket {
  /** The socket that was created last, and all of them. */
  static last: FakeSocket;
  static all: FakeSocket[] = [];
  static readonly OPEN = 1;
  readyState = FakeSocket.OPEN;
  binaryType = "blob";
  bufferedAmount = 0;
  sent: Bytes[] = [];
  closedWith: number | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    FakeSocket.last = this;
    FakeSocket.all.push(this);
  }
  send = (message: Bytes): void => void this.sent.push(message);
  close = (code: number): void => void (this.closedWith = code);
  receive = (message: Bytes): void => this.onmessage?.({ data: message.slice().buffer });
}

/** One request; the response is the test's. */
export class FakeRequest {
  readonly headers: Record<string, string>;
  readonly body: unknown;
  readonly keepalive: boolean;
  readonly response: Promise<unknown>;
  isAborted = false;
  #resolve: (response: unknown) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #controller: ReadableStreamDefaultController<Bytes> | null = null;

  constructor(
    readonly url: string,
    init: RequestInit,
  ) {
    this.headers = init.headers as Record<string, string>;
    this.body = init.body;
    this.keepalive = init.keepalive === true;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    init.signal?.addEventListener("abort", () => {
      this.isAborted = true;
      this.#reject(new DOMException("aborted", "AbortError"));
      this.#controller?.error(new DOMException("aborted", "AbortError"));
    });
  }

  respond(status: number): void {
    const body = new ReadableStream<Bytes>({ start: (controller) => void (this.#controller = controller) });
    this.#resolve({ ok: status < 300, status, body });
  }
  stream = (message: Bytes): void => this.#controller?.enqueue(message);
  end = (): void => this.#controller?.close();
  fail = (): void => this.#reject(new TypeError("Failed to fetch"));
}

export class FakeFetch {
  requests: FakeRequest[] = [];
  posts: FakeRequest[] = [];

  /** The GET that was made last. */
  get get(): FakeRequest {
    return this.requests.filter((request) => !this.posts.includes(request)).at(-1) as FakeRequest;
  }

  fetch = (url: URL, init: RequestInit = {}): Promise<unknown> => {
    const request = new FakeRequest(String(url), init);
    this.requests.push(request);
    if (init.method === "POST") this.posts.push(request);
    return request.response;
  };
}

/** Installs both as globals; `vi.unstubAllGlobals` removes them. */
export function installNetwork(): FakeFetch {
  const network = new FakeFetch();
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", network.fetch);
  return network;
}

/**
 * What a page stores about its network until its tab is closed: which paths lead nowhere.
 *
 * A network may change, so each entry is dropped after ten minutes, and when the path is seen to work.
 */

const KEY = "gradio_webrtc_paths";
const KEPT_MS = 600_000;

/** Wall-clock times until which each entry is valid. */
type Entries = Partial<Record<"udp" | "websocket", number>>;

export class PathMemory {
  /** True if WebRTC did not connect here, but the link did. */
  get isWithoutUdp(): boolean {
    return this.#has("udp");
  }

  set isWithoutUdp(is: boolean) {
    this.#set("udp", is);
  }

  /** True if the link goes over HTTP here. */
  get isWithoutWebSocket(): boolean {
    return this.#has("websocket");
  }

  set isWithoutWebSocket(is: boolean) {
    this.#set("websocket", is);
  }

  #has(path: keyof Entries): boolean {
    return (load()[path] ?? 0) > Date.now();
  }

  #set(path: keyof Entries, isWithout: boolean): void {
    const entries = load();
    if (isWithout) entries[path] = Date.now() + KEPT_MS;
    else delete entries[path];
    store(entries);
  }
}

// A browser that blocks storage throws for it: each call then finds out again.

function load(): Entries {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as Entries;
  } catch {
    return {};
  }
}

function store(entries: Entries): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    return;
  }
}

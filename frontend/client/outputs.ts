/** Fetches what the handler emits besides media, whenever the server announces some. */

interface Outputs {
  outputs: unknown[][];
}

export class OutputReader {
  readonly #request: () => Promise<unknown>;
  readonly #onoutput: (args: unknown[]) => void;
  readonly #onfailed: () => void;
  #isReading = false;
  /** True if more was announced during a request: its answer may have come before that. */
  #hasMore = false;

  /** `onfailed` is called when outputs that were announced did not come. */
  constructor(
    request: () => Promise<unknown>,
    onoutput: (args: unknown[]) => void,
    onfailed: () => void,
  ) {
    this.#request = request;
    this.#onoutput = onoutput;
    this.#onfailed = onfailed;
  }

  /** Reads all that waits. One request at a time keeps them in order. */
  async read(): Promise<void> {
    this.#hasMore = true;
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#hasMore) {
      this.#hasMore = false;
      const reply = await this.#request();
      if (hasOutputs(reply)) reply.outputs.forEach((args) => this.#onoutput(args));
      else this.#onfailed();
    }
    this.#isReading = false;
  }
}

const hasOutputs = (reply: unknown): reply is Outputs =>
  Array.isArray((reply as Partial<Outputs> | null | undefined)?.outputs);

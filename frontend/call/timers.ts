/** Named one-shot timers, so that their owner can cancel all of them when it ends. */
export class Timers {
  readonly #running = new Map<string, ReturnType<typeof setTimeout>>();

  /** Runs `action` once after `delayMs`; a running timer of this name is restarted. */
  after(name: string, delayMs: number, action: () => void): void {
    this.cancel(name);
    const run = (): void => {
      this.#running.delete(name);
      action();
    };
    this.#running.set(name, setTimeout(run, delayMs));
  }

  cancel(name: string): void {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  cancelAll(): void {
    for (const name of [...this.#running.keys()]) this.cancel(name);
  }
}

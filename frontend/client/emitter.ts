/** The listeners of a call. One that throws keeps no other from its event. */
import type { Events } from "./client";

type Name = keyof Events;
type Callback = (detail: never) => void;

const NAMES: readonly Name[] = [
  "state",
  "message",
  "output",
  "track",
  "level",
  "log",
  "turn",
  "notice",
  "error",
  "blocked",
];

export class Emitter {
  readonly #listeners = new Map<Name, Set<Callback>>(NAMES.map((name) => [name, new Set()]));

  /** Adds a listener, and returns the function that removes it. */
  on(name: Name, listener: Callback): () => void {
    const listeners = this.#listeners.get(name);
    if (!listeners) throw new TypeError(`expected one of ${NAMES.join(", ")}; got ${String(name)}`);
    // Wrapped, so that a function that is added twice is two listeners.
    const own: Callback = (detail) => listener(detail);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  has(name: Name): boolean {
    return this.#of(name).size > 0;
  }

  emit<Of extends Name>(name: Of, detail: Events[Of]): void {
    const listeners = this.#of(name);
    for (const listener of [...listeners]) {
      // As the browser does with its own events: one that another has just removed is not called.
      if (!listeners.has(listener)) continue;
      try {
        (listener as (detail: Events[Of]) => void)(detail);
      } catch (error) {
        // As the browser treats an error in a listener of its own events.
        reportError(error);
      }
    }
  }

  #of(name: Name): Set<Callback> {
    return this.#listeners.get(name) as Set<Callback>;
  }
}

/**
 * The page around the component: the objects that Gradio 6.20 and later passes at mount, kept
 * reactive.
 *
 * Gradio mounts with fixed objects and uses callbacks afterwards: it calls `set` with changed
 * arguments, and `get` for the value whenever an event is dispatched.
 */
import { onDestroy } from "svelte";
import type { Notice, SharedProps, Value, WebRTCEvents, WebRTCProps } from "./types";

type Translate = (key: string) => string;
interface Store {
  subscribe(run: (value: unknown) => void): () => void;
}

export interface HostProps {
  shared_props: SharedProps;
  props: Partial<WebRTCProps> & { value?: unknown; i18n?: Translate; i18n_store?: Store };
}

/** The arguments in `shared_props` that this component reads. */
const SHARED = new Set([
  "elem_id",
  "elem_classes",
  "visible",
  "interactive",
  "container",
  "label",
  "show_label",
  "scale",
  "min_width",
]);

const DEFAULTS: WebRTCProps = {
  mode: "send-receive",
  modality: "video",
  height: null,
  width: null,
  mirror_webcam: true,
  rtc_configuration: null,
  track_constraints: null,
  time_limit: null,
  rtp_params: null,
  icon: null,
  icon_button_color: null,
  pulse_color: null,
  icon_radius: null,
  button_labels: null,
  variant: "wave",
  full_screen: true,
  fallback: "auto",
  latency: false,
};

/** This file is served from the app, in a folder with this name below its root. */
const FOLDER = "gradio_api/custom_component/";

/** Returns the address of the app that serves this module, with a slash at its end, or null. */
export const rootOf = (module: string): string | null =>
  module.includes(FOLDER) ? (module.split(FOLDER)[0] ?? null) : null;

export class Host {
  readonly props: WebRTCProps = $state({ ...DEFAULTS });
  readonly shared: Partial<SharedProps> = $state({});
  /** Called with each value from Python: a command to carry out, not a value to store. */
  oncommand: ((value: unknown) => void) | null = null;
  /** Read by Gradio when an event is dispatched. Only the call writes it, never Python. */
  value: Value = null;

  readonly #sharedProps: SharedProps;
  readonly #i18n: Translate;
  /** Counts changes of the page's language: `translate` reads it, so that its users run again. */
  #language = $state(0);

  /** Registers with Gradio until the component is destroyed. Call during component creation. */
  constructor({ shared_props, props }: HostProps) {
    const { value: _value, i18n, i18n_store, ...own } = props;
    this.#sharedProps = shared_props;
    this.#i18n = i18n ?? ((key) => key);
    const { id, register_component, unregister_component } = shared_props;
    const set = (data: Record<string, unknown>): void => this.#set(data);
    const get = async (): Promise<Record<string, unknown>> => ({
      ...$state.snapshot(this.props),
      value: this.value,
    });
    this.#set({ ...shared_props, ...own });
    register_component?.(id, set, get);
    const unsubscribe = i18n_store?.subscribe(() => this.#language++);
    onDestroy(() => {
      unsubscribe?.();
      unregister_component?.(id, set);
    });
  }

  get server(): SharedProps["server"] {
    return this.#sharedProps.server;
  }

  get root(): string {
    return rootOf(import.meta.url) ?? document.baseURI;
  }

  /** Returns the text for a key of Gradio's dictionaries, in the language of the page. */
  translate = (key: string): string => {
    // The read makes whatever shows the text depend on the language.
    void this.#language;
    return this.#i18n(key);
  };

  dispatch<Name extends keyof WebRTCEvents>(name: Name, data?: WebRTCEvents[Name]): void {
    this.#sharedProps.dispatcher?.(this.#sharedProps.id, name, asText(data));
  }

  #set(data: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(data)) {
      if (name === "value") this.oncommand?.(value);
      else if (SHARED.has(name)) Object.assign(this.shared, { [name]: value });
      else if (name in DEFAULTS) Object.assign(this.props, { [name]: value ?? fallback(name) });
    }
  }
}

const MARKUP: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escapeMarkup = (text: string): string => text.replace(/[&<>]/g, (sign) => MARKUP[sign] ?? "");

/**
 * Escapes markup in a text of the server: Gradio renders these texts as HTML, and a text may
 * contain input of another user.
 */
function asText(data: string | Notice | undefined): string | Notice | undefined {
  if (typeof data === "string") return escapeMarkup(data);
  return data && { ...data, text: escapeMarkup(data.text) };
}

const fallback = (name: string): unknown => DEFAULTS[name as keyof WebRTCProps];

/** The entry point that Gradio imports: the component, mounted with `{shared_props, props}`. */
export { default } from "./Index.svelte";
export type { WebRTCEvents, WebRTCProps } from "./types";

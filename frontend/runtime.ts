/** The Svelte runtime that the component was built with: Gradio mounts the component with it. */
export { mount, unmount } from "svelte";

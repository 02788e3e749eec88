/** Gradio mounts the component with the Svelte it was built with, which it finds here. */
export { mount, unmount } from "svelte";

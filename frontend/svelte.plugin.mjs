/** The Svelte set-up of build and tests, in a file of its own: the build must not import vitest. */
import { svelte, vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export const plugins = () => [
  svelte({
    configFile: false,
    preprocess: vitePreprocess(),
    compilerOptions: { runes: true, discloseVersion: false },
  }),
];

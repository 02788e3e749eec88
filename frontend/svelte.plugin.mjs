/** The one Svelte set-up: the build and the tests share it, and the build must do without vitest. */
import { svelte, vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export const plugins = () => [
  svelte({
    configFile: false,
    preprocess: vitePreprocess(),
    compilerOptions: { runes: true, discloseVersion: false },
  }),
];

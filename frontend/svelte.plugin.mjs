/** The one Svelte set-up, of the build and of the tests; the build must do without vitest. */
import { svelte, vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export const plugins = () => [
  svelte({
    configFile: false,
    preprocess: vitePreprocess(),
    compilerOptions: { runes: true, discloseVersion: false },
  }),
];

import { defineConfig } from "vitest/config";
import { plugins } from "./svelte.plugin.mjs";

export default defineConfig({
  plugins: plugins(),
  // Without the browser condition Svelte resolves to its server build, which cannot mount.
  resolve: { conditions: ["browser"] },
  test: { environment: "jsdom", include: ["tests/**/*.test.ts"], restoreMocks: true },
});

import { defineConfig } from "vitest/config";
import { plugins } from "./svelte.plugin.mjs";

export default defineConfig({
  plugins: plugins(),
  // Without the browser condition Svelte resolves to its server build, which cannot mount.
  resolve: { conditions: ["browser"] },
  // Files that mount something name jsdom in their first line; a call needs no page.
  test: { environment: "node", include: ["tests/**/*.test.ts"], restoreMocks: true },
});

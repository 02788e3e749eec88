import { defineConfig } from "vitest/config";
import { plugins } from "./svelte.plugin.mjs";

export default defineConfig({
  plugins: plugins(),
  // Without the browser condition Svelte resolves to its server build, which cannot mount.
  resolve: { conditions: ["browser"] },
  // Files that mount a component select jsdom in their first line; the others need no page.
  test: { environment: "node", include: ["tests/**/*.test.ts"], restoreMocks: true },
});

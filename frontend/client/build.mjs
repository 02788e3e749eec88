/**
 * Builds the client without Svelte: for the streams that serve it, and for its package.
 *
 *     client.js            what every page loads
 *     client-link.js       loaded by it only where WebRTC does not connect
 *     client-worklet.js    loaded by that, always from the folder of a stream
 *
 * `npm --prefix frontend run build` builds into the templates, this script by itself into `dist`.
 */
import { copyFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** Bytes gzipped: of `client.js`, and of all three together. */
const LIMITS = { client: 12_000, total: 18_000 };
const NAMES = ["client-link.js", "client-worklet.js", "client.js"];

const here = fileURLToPath(new URL(".", import.meta.url));

/**
 * Builds into a folder, and returns name, size and gzipped size of each file.
 *
 * @throws {Error} when they are larger than the limits.
 */
export async function buildClient(folder, limits = LIMITS) {
  await build({
    root: here,
    configFile: false,
    logLevel: "warn",
    mode: "production",
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "es2022",
      modulePreload: false,
      cssCodeSplit: false,
      sourcemap: false,
      rollupOptions: {
        input: {
          client: join(here, "index.ts"),
          "client-worklet": join(here, "../link/worklet.ts"),
        },
        // The link takes what it shares from `client.js`, in place of a file that every page loads too.
        preserveEntrySignatures: "allow-extension",
        checks: { pluginTimings: false },
        output: { entryFileNames: "[name].js", chunkFileNames: "client-link.js" },
      },
    },
  });
  return check(folder, limits);
}

function check(folder, limits) {
  const names = readdirSync(folder).sort();
  if (String(names) !== String(NAMES)) throw new Error(`expected ${NAMES}; built ${names}`);
  const files = names.map((name) => {
    const path = join(folder, name);
    return { name, bytes: statSync(path).size, gzipped: gzipSync(readFileSync(path), { level: 9 }).length };
  });
  const total = files.reduce((sum, { gzipped }) => sum + gzipped, 0);
  const { gzipped } = files.find(({ name }) => name === "client.js");
  if (gzipped > limits.client || total > limits.total) {
    const sizes = `${gzipped} of ${limits.client} bytes gzipped, with the others ${total} of ${limits.total}`;
    throw new Error(`client.js is too large: ${sizes}`);
  }
  return files;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, bytes, gzipped } of await buildClient(join(here, "dist"))) {
    // Not to the standard output, where `npm pack --json` writes its report.
    console.error(`${name}: ${bytes} bytes, ${gzipped} gzipped`);
  }
  // npm adds a file of this name to every package.
  copyFileSync(join(here, "../../LICENSE"), join(here, "LICENSE"));
}

/**
 * `npm run build`: builds the two folders that Gradio serves for a custom component, and the client.
 *
 *     <templates>/component/{index.js, style.css, svelte_runtime_entry.js, runtime.js, shared.js}
 *     <templates>/component/{link.js, worklet.js}      loaded only where WebRTC does not connect
 *     <templates>/example/{index.js, style.css, svelte_runtime_entry.js, runtime.js}
 *     <templates>/client/{client.js, client-link.js, client-worklet.js}     see client/build.mjs
 *
 * Gradio serves flat folders of UTF-8 text, and its page waits forever if one of the first three
 * files is missing. This script therefore writes all of them and checks that they exist.
 * GRADIO_WEBRTC_TEMPLATES names another target folder.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { buildClient } from "./client/build.mjs";
import { plugins } from "./svelte.plugin.mjs";

/** The limit that the README states for JavaScript and CSS of both folders together, gzipped. */
const LIMIT_BYTES = 60_000;
const REQUIRED = ["index.js", "style.css", "svelte_runtime_entry.js"];
const REQUIRED_OF_LINK = ["link.js", "worklet.js"];

const here = fileURLToPath(new URL(".", import.meta.url));
const templates =
  process.env.GRADIO_WEBRTC_TEMPLATES ?? join(here, "../python/gradio_webrtc/templates");

async function bundle(name, entry, others = {}) {
  const folder = join(templates, name);
  await build({
    root: here,
    configFile: false,
    logLevel: "warn",
    mode: "production",
    plugins: plugins(),
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "es2022",
      modulePreload: false,
      cssCodeSplit: false,
      sourcemap: false,
      // An application build: Vite's library mode leaves white space in the output.
      rollupOptions: {
        input: {
          index: join(here, entry),
          svelte_runtime_entry: join(here, "runtime.ts"),
          ...others,
        },
        preserveEntrySignatures: "strict",
        checks: { pluginTimings: false },
        output: {
          entryFileNames: "[name].js",
          // Names without a hash: the wheel contains a fixed list of files.
          chunkFileNames,
          assetFileNames: "[name][extname]",
        },
      },
    },
  });
  const style = join(folder, "style.css");
  if (!existsSync(style)) writeFileSync(style, "/* no styles */\n");
  return measure(name, folder);
}

/** The names of what several entries share, and of what is loaded when it is needed. */
function chunkFileNames({ isDynamicEntry, moduleIds }) {
  if (isDynamicEntry) return "link.js";
  return moduleIds.some((id) => id.includes("node_modules")) ? "runtime.js" : "shared.js";
}

function measure(name, folder) {
  const files = readdirSync(folder);
  const isComponent = name === "component";
  for (const file of [...REQUIRED, ...(isComponent ? REQUIRED_OF_LINK : [])]) {
    if (!files.includes(file)) throw new Error(`${name}/${file} was not built`);
  }
  let total = 0;
  for (const file of files) {
    const path = join(folder, file);
    if (statSync(path).isDirectory()) throw new Error(`${name}/${file}: Gradio serves no folders`);
    const gzipped = gzipSync(readFileSync(path), { level: 9 }).length;
    total += gzipped;
    report(`${name}/${file}`, statSync(path).size, gzipped);
  }
  return total;
}

const report = (label, bytes, gzipped) =>
  console.info(`${label.padEnd(40)} ${String(bytes).padStart(8)} ${String(gzipped).padStart(8)}`);

console.info(`${"file".padEnd(40)} ${"bytes".padStart(8)} ${"gzipped".padStart(8)}`);
const worklet = join(here, "link/worklet.ts");
const total =
  (await bundle("component", "index.ts", { worklet })) + (await bundle("example", "Example.svelte"));
console.info(`gzipped in total: ${total} of ${LIMIT_BYTES} bytes`);
if (total > LIMIT_BYTES) throw new Error(`${total} bytes gzipped, ${LIMIT_BYTES} are allowed`);
for (const { name, bytes, gzipped } of await buildClient(join(templates, "client"))) {
  report(`client/${name}`, bytes, gzipped);
}

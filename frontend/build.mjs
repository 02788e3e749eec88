/**
 * `npm run build`: builds the two folders that Gradio serves for a custom component, and the client.
 *
 *     <templates>/component/{index.js, style.css, svelte_runtime_entry.js, runtime.js, shared.js}
 *     <templates>/component/{link.js, worklet.js}      loaded only where WebRTC does not connect
 *     <templates>/example/{index.js, style.css, svelte_runtime_entry.js}
 *     <templates>/client/{client.js, client-link.js, client-worklet.js}     see client/build.mjs
 *
 * Gradio serves flat folders of UTF-8 text, and its page waits forever if one of the first three
 * files is missing. This script therefore writes all of them and checks that they exist. It serves
 * the two folders side by side, so the example takes Svelte from the component.
 * GRADIO_WEBRTC_TEMPLATES names another target folder.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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
const NO_STYLES = "/* no styles */\n";

const here = fileURLToPath(new URL(".", import.meta.url));
const templates =
  process.env.GRADIO_WEBRTC_TEMPLATES ?? join(here, "../python/gradio_webrtc/templates");

/** Builds both folders at once: what they share is written once. */
async function bundle() {
  for (const folder of ["component", "example"]) rmSync(join(templates, folder), { recursive: true, force: true });
  await build({
    root: here,
    configFile: false,
    logLevel: "warn",
    mode: "production",
    plugins: plugins(),
    build: {
      outDir: templates,
      emptyOutDir: false,
      target: "es2022",
      modulePreload: false,
      cssCodeSplit: false,
      sourcemap: false,
      // An application build: Vite's library mode leaves white space in the output.
      rollupOptions: {
        input: {
          "component/index": join(here, "index.ts"),
          "component/svelte_runtime_entry": join(here, "runtime.ts"),
          "component/worklet": join(here, "link/worklet.ts"),
          "example/index": join(here, "Example.svelte"),
        },
        preserveEntrySignatures: "strict",
        checks: { pluginTimings: false },
        output: {
          entryFileNames: "[name].js",
          // Names without a hash: the wheel contains a fixed list of files.
          chunkFileNames,
          assetFileNames: "component/[name][extname]",
        },
      },
    },
  });
  const example = join(templates, "example");
  writeFileSync(join(example, "style.css"), NO_STYLES);
  writeFileSync(
    join(example, "svelte_runtime_entry.js"),
    'export * from "../component/svelte_runtime_entry.js";\n',
  );
}

/** The names of what several entries share, and of what is loaded when it is needed. */
function chunkFileNames({ isDynamicEntry, moduleIds }) {
  if (isDynamicEntry) return "component/link.js";
  const isSvelte = moduleIds.some((id) => id.includes("node_modules"));
  return isSvelte ? "component/runtime.js" : "component/shared.js";
}

function measure(name) {
  const folder = join(templates, name);
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
await bundle();
const total = measure("component") + measure("example");
console.info(`gzipped in total: ${total} of ${LIMIT_BYTES} bytes`);
if (total > LIMIT_BYTES) throw new Error(`${total} bytes gzipped, ${LIMIT_BYTES} are allowed`);
for (const { name, bytes, gzipped } of await buildClient(join(templates, "client"))) {
  report(`client/${name}`, bytes, gzipped);
}

// A call that is made at once, with the options of the page's query, and all that came of it.
import { connect } from "./voice/client.js";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const NAMES = ["state", "message", "output", "track", "level", "log", "notice", "error", "blocked"];

window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  window.violations.push(`${violatedDirective}: ${blockedURI}`),
);

window.got = Object.fromEntries(NAMES.map((name) => [name, []]));
const query = Object.fromEntries(new URLSearchParams(location.search));
const media = { audio: "receive" in query ? "receive" : PLAIN };
const call = connect({ url: "voice", media, inputs: [3], fallback: query.fallback });
window.call = call;

const waiting = new Set();
// Resolves when the condition holds, looked at with each event.
window.until = (condition) =>
  new Promise((resolve) => {
    const look = () => condition() && waiting.delete(look) && resolve();
    waiting.add(look);
    look();
  });
for (const name of NAMES) {
  call.on(name, (detail) => {
    window.got[name].push(name === "track" ? detail.track.kind : detail);
    for (const look of [...waiting]) look();
  });
}

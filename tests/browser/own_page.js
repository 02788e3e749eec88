// A call that is made at once, with the options of the query in the address; notes all that it reports.
import { connect } from "./voice/client.js";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const NAMES = ["state", "message", "output", "track", "level", "log", "notice", "error", "blocked"];

window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  window.violations.push(`${violatedDirective}: ${blockedURI}`),
);

window.got = Object.fromEntries(NAMES.map((name) => [name, []]));
const query = Object.fromEntries(new URLSearchParams(location.search));
const options =
  "receive" in query
    ? { url: "beeps", media: { audio: "receive" } }
    : { url: "voice", media: { audio: PLAIN }, inputs: [3], fallback: query.fallback };
const call = connect(options);
window.call = call;
// A test that asked the page would count as its user.
call.on("blocked", (isBlocked) => call.send({ isBlocked }));

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

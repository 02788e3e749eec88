/** Maps errors on the way to a call to a `Problem`, and to the cause for another try. */
import { OfferRefused } from "./messages";
import type { Cause } from "./redial";
import type { Medium, Problem } from "./state";

/** No call is possible on this page, whatever the user does. */
export class Unavailable extends Error {
  constructor(readonly code: "insecure_page" | "unsupported_browser") {
    super(code);
    this.name = "Unavailable";
  }
}

/** Codes of refusals and endings after which another try may succeed in a moment. */
const CAUSES = new Map<string, Cause>([
  ["unreachable", "lost"],
  ["server_stopping", "stopping"],
  ["server_busy", "busy"],
  ["too_many_offers", "busy"],
  ["concurrency_limit_reached", "busy"],
]);

/** Returns the cause to call again after the server ended a call with this code, or null. */
export const causeOfEnding = (code: string): Cause | null => CAUSES.get(code) ?? null;

/** Returns the cause to call again after this error in a call that broke, or null. */
export function causeOf(error: unknown): Cause | null {
  if (error instanceof OfferRefused) return CAUSES.get(error.code) ?? null;
  // Errors of the network have a different name in each browser.
  return error instanceof TypeError || nameOf(error) === "NetworkError" ? "lost" : null;
}

/** The same for a first call, which is repeated only after refusals that pass in a moment. */
export function causeOfFirst(error: unknown): Cause | null {
  const isBrief =
    error instanceof OfferRefused && ["server_busy", "server_stopping"].includes(error.code);
  return isBrief ? causeOf(error) : null;
}

/** True if a problem means that the server is away; a server that refused is there. */
export const impliesServerAway = ({ code }: Problem): boolean =>
  code === "lost" || code === "stopping" || code === "unreachable";

/** Maps an error of starting a call to a problem; `requested` are the constraints in use. */
export function problemOf(error: unknown, requested: MediaStreamConstraints): Problem {
  if (error instanceof Unavailable) return { code: error.code };
  if (error instanceof OfferRefused) {
    const { code, limit, message, title } = error;
    if (code === "concurrency_limit_reached") return { code: "limit_reached", limit };
    if (code === "unreachable") return { code };
    if (code === "server_busy" || code === "too_many_offers") return { code: "busy" };
    if (code === "server_stopping") return { code: "stopping" };
    if (code === "handler_failed") return { code, title, message };
    return { code: "refused", message };
  }
  return deviceProblem(error, requested.video ? "camera" : "microphone");
}

/** Maps the errors of `getUserMedia` (W3C Media Capture and Streams, 10.2), and all others. */
function deviceProblem(error: unknown, medium: Medium): Problem {
  switch (nameOf(error)) {
    case "NotAllowedError":
    case "SecurityError":
      return { code: "permission_refused", medium };
    case "NotFoundError":
    case "OverconstrainedError":
      return { code: "no_device", medium };
    case "NotReadableError":
    case "AbortError":
      return { code: "device_busy", medium };
    default:
      return { code: "refused", message: reasonOf(error) };
  }
}

/** Returns the text of whatever was thrown. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Returns the name of an error: `instanceof` fails for a DOMException of another realm. */
export const nameOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "name" in error ? String(error.name) : "";

/** Whatever goes wrong on the way to a call, in the terms of `Problem`. */
import { OfferRefused } from "./messages";
import type { Cause } from "./redial";
import type { Medium, Problem } from "./state";

/** There can be no call on this page, whatever the user does. */
export class Unavailable extends Error {
  constructor(readonly code: "insecure_page" | "unsupported_browser") {
    super(code);
    this.name = "Unavailable";
  }
}

/** Refusals, and endings, behind which the same call may be taken in a moment. */
const CAUSES = new Map<string, Cause>([
  ["unreachable", "lost"],
  ["server_stopping", "stopping"],
  ["server_busy", "busy"],
  ["too_many_offers", "busy"],
  ["concurrency_limit_reached", "busy"],
]);

/** Why a call that the server ended with this code is worth another try; null when it is not. */
export const causeOfEnding = (code: string): Cause | null => CAUSES.get(code) ?? null;

/** Why a call that broke is worth another try after this error; null when it is not. */
export function causeOf(error: unknown): Cause | null {
  if (error instanceof OfferRefused) return CAUSES.get(error.code) ?? null;
  // Whatever the network throws has a name of its own in each browser.
  return error instanceof TypeError || nameOf(error) === "NetworkError" ? "lost" : null;
}

/** The same for a first call, which waits only for what passes in a moment. */
export function causeOfFirst(error: unknown): Cause | null {
  const isBrief =
    error instanceof OfferRefused && ["server_busy", "server_stopping"].includes(error.code);
  return isBrief ? causeOf(error) : null;
}

/** Whether a call that was given up for this has no server to hear of it; one that refused has. */
export const impliesServerAway = ({ code }: Problem): boolean =>
  code === "lost" || code === "stopping" || code === "unreachable";

/** What an error of starting a call means; `requested` is what the browser was asked for. */
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

/** The errors of `getUserMedia` (W3C Media Capture and Streams, 10.2) and all that is left. */
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
      return { code: "refused", message: error instanceof Error ? error.message : String(error) };
  }
}

/** DOMExceptions of another realm are no `instanceof` of ours, but carry their name. */
export const nameOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "name" in error ? String(error.name) : "";

/** A sentence for each problem, for pages that have none of their own. */
import type { Problem } from "../call/state";

const WORDS = {
  insecure_page: "The microphone and the camera need a page over HTTPS, or on localhost.",
  unsupported_browser: "This browser cannot make calls.",
  limit_reached: "All lines are busy. Try again later.",
  busy: "The server is busy. Try again in a moment.",
  stopping: "The server is stopping. Try again in a moment.",
  unreachable: "The server does not answer.",
  lost: "The connection was lost.",
} as const;

export function messageOf(problem: Problem): string {
  switch (problem.code) {
    case "permission_refused":
      return `The ${problem.medium} is blocked. Allow it for this page in the address bar, then try again.`;
    case "no_device":
      return `No ${problem.medium} was found.`;
    case "device_busy":
      return `The ${problem.medium} cannot be used. Another program may be using it.`;
    case "handler_failed":
    case "refused":
      return problem.message;
    default:
      return WORDS[problem.code];
  }
}

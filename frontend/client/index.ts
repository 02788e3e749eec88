/** The entry point of the package: its only function. What it exports is described in `client.d.ts`. */
import { ClientCall } from "./call";
import type { Call, ConnectOptions } from "./client";

export const connect = (options: ConnectOptions = {}): Call => new ClientCall(options);

import { connect } from "@gradio-webrtc/client";
import { useEffect, useState } from "react";

/** A call for as long as the component is shown, with what came from the handler. */
export function useCall({ url }) {
  const [call, setCall] = useState(null);
  const [state, setState] = useState("idle");
  const [lines, setLines] = useState([]);

  useEffect(() => {
    // StrictMode closes the first call at once: it never asks for the microphone.
    const call = connect({ url });
    const add = (line) => setLines((lines) => [...lines, line]);
    call.on("state", setState);
    call.on("output", ([line]) => add(line));
    call.on("message", ({ answer }) => add(answer));
    call.on("error", ({ text }) => add(text));
    setCall(call);
    return () => call.close();
  }, [url]);

  return { call, state, problem: call?.problem ?? null, lines };
}

import { useState } from "react";
import { useCall } from "./useCall";

export function App() {
  const [isCalling, setIsCalling] = useState(false);
  return (
    <main>
      <h1>A page in React</h1>
      <p>Say something, and pause: it is repeated.</p>
      {isCalling ? (
        <Conversation onStop={() => setIsCalling(false)} />
      ) : (
        <button onClick={() => setIsCalling(true)}>Start</button>
      )}
    </main>
  );
}

function Conversation({ onStop }) {
  const { call, state, problem, lines } = useCall({ url: "voice" });
  const [text, setText] = useState("");
  const write = (event) => {
    event.preventDefault();
    call.send({ text });
    setText("");
  };
  return (
    <>
      <button onClick={onStop}>Stop</button> <span role="status">{problem?.message ?? state}</span>
      <form onSubmit={write}>
        <input aria-label="Message" value={text} onChange={({ target }) => setText(target.value)} />{" "}
        <button disabled={state !== "open"}>Send</button>
      </form>
      <ul>
        {lines.map((line, number) => (
          <li key={number}>{line}</li>
        ))}
      </ul>
    </>
  );
}

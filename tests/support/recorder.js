// Runs in the page before its own scripts: records the audio that the page plays and the states that
// the component goes through. Audio is recorded where it is played, so what the page drops, repeats
// or pauses is in the recording as well.
(() => {
  const RATE_HZ = 48000;
  // About -46 dBFS: speech and tones are far above it, the codec's silence far below.
  const LOUD = 0.005;

  const received = { chunks: [], samples: 0, lastLoud: 0, states: [] };
  window.__received = received;

  const worklet = `
    registerProcessor("recorder", class extends AudioWorkletProcessor {
      constructor() { super(); this.block = new Float32Array(2400); this.used = 0; }
      process([input]) {
        const samples = input[0] ?? new Float32Array(128);
        this.block.set(samples, this.used);
        this.used += samples.length;
        if (this.used + 128 > this.block.length) {
          this.port.postMessage(this.block.slice(0, this.used));
          this.used = 0;
        }
        return true;
      }
    });`;

  function keep(block) {
    received.chunks.push(block);
    received.samples += block.length;
    if (block.some((sample) => Math.abs(sample) > LOUD)) received.lastLoud = received.samples;
  }

  window.__record = record;
  async function record(track) {
    const context = new AudioContext({ sampleRate: RATE_HZ });
    const module = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
    await context.audioWorklet.addModule(module);
    const node = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => keep(data);
    context.createMediaStreamSource(new MediaStream([track])).connect(node).connect(context.destination);
  }

  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      this.addEventListener("track", ({ track }) => track.kind === "audio" && record(track));
    }
  };

  // Without WebRTC the page makes the track itself.
  const createDestination = AudioContext.prototype.createMediaStreamDestination;
  AudioContext.prototype.createMediaStreamDestination = function () {
    const node = createDestination.call(this);
    record(node.stream.getAudioTracks()[0]);
    return node;
  };

  function noteState() {
    const state = document.querySelector("[data-testid=webrtc]")?.dataset.state;
    if (state && state !== received.states.at(-1)) received.states.push(state);
  }
  new MutationObserver(noteState).observe(document, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"],
  });

  // The whole recording, as little-endian int16 in base64: the shortest way out of the page.
  window.__recording = () => {
    const pcm = new Int16Array(received.samples);
    let at = 0;
    for (const chunk of received.chunks) {
      for (const sample of chunk) pcm[at++] = Math.max(-1, Math.min(1, sample)) * 32767;
    }
    const bytes = new Uint8Array(pcm.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) {
      text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    return btoa(text);
  };
})();

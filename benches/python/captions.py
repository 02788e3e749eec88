"""The sentences above the table of each bench: how the work of the stacks differs."""

from __future__ import annotations

from typing import Final

# As in rust/media/src/adaptation.rs where nothing is lost, which is all benches but the network.
OURS: Final = """
ours sends Opus in mono at 32 kbit/s, from five seconds of a free path on at 64, application
"lowdelay", complexity 2, without in-band FEC as long as nothing is lost (from 3 % of loss on with
it, by the speech codec, at lower bit rates where packets queue up); it decodes mono until a sender
uses stereo, and sends nothing in a silence of more than twelve frames"""

AIORTC: Final = """
aiortc, which is also below fastrtc and pipecat, sends stereo at 96 kbit/s, application "voip",
complexity 10 (FFmpeg's default), without in-band FEC; it decodes to stereo, and sends silence like
any audio"""

CAPTIONS: Final[dict[str, str]] = {
    "calls": f"""
The work is not the same: {OURS}; {AIORTC}. So a part of each ratio is the encoder's. "aiortc, our
Opus settings" is the bare echo of aiortc with the settings of our encoder and decoder: what is left
is the session and the path of a packet. pipecat is its SmallWebRTC transport in the shortest
pipeline there is, with its defaults and every doubtful choice in its favour: one runner for all
sessions; no logging, RTVI, turn tracking or time-outs; no model of the end of a turn; no output
track where nobody is answered; an echo of 16 kHz where the others echo 48.""",
    "idle": f"""
This measures polling. fastrtc and gradio_webrtc 0.0.31 ask a handler that has nothing to send
thousands of times a second, and take a core for that, however few users there are: the ratio is
that of their loop to a session that sleeps, and grows no further with more users. What audio costs
is in `calls`. pipecat, which does not spin, stands beside them. The client sends 20 ms of
silence every 20 ms to all of them, and all decode it. What goes back differs: {OURS}; {AIORTC},
pipecat's without an output nothing.""",
    "replies": """
The latencies are those of two rules with their defaults: ours waits for half a second of silence,
fastrtc judges chunks of 0.6 s. Curves of both are in `turns`. What users say is made as it is
there.""",
    "turns": """
Each turn is one recorded sentence with one or two pauses between its words, over pink or brown
noise 25 dB below the voice, which goes on in the pauses and after the end. All stacks get the same
audio, and more than one setting, since whoever waits longer cuts off less. fastrtc's code runs with
an older Silero of its kind. pipecat's default is 0.2 s of Silero and then its Smart Turn model,
which judges the sentence; the time in which the model computes is not counted, and no transcript
is waited for. The sentences were spoken fluently and parted afterwards: people who hesitate are
heard to go on by their intonation, so that model has it harder here than with them.""",
    "network": f"""
The encoders differ: {OURS}; {AIORTC}.""",
    "inbound": """
fastrtc gets audio that its track has already mixed down and resampled; ours does both here.
Neither decodes.""",
    "footprint": """
What is measured as CPU or memory is that of one process, and other work on the machine disturbs
it little; times by the clock, those of the first call, suffer from it. pipecat is its transport
with Silero and a pipeline, and every session of it has a model of its own. It has no page and no
Gradio.
""",
    "kernels": """
Called from Python, on one thread. Ratios depend on the processor: another one is at the end of the
page. From 11,025 to 48,000 Hz our taps fill about 370 kB, so that the ratio to soxr is that of two
caches: it was 1.22 on an Intel Xeon, and from 0.81 to 1.04 on an AMD EPYC. 16-bit aggregation in
the column fastrtc is fastrtc's own function, in its own environment.""",
}


def caption(bench: str) -> str:
    """The caption of a bench in one line; empty for one that has none."""
    return " ".join(CAPTIONS.get(bench, "").split())

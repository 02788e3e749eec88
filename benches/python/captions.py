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
All stacks get the same audio. Read speech: each turn is one recorded sentence with one or two
pauses between its words, over pink or brown noise 25 dB below the voice, which goes on in the
pauses and after the end. It was spoken fluently and parted afterwards, so a model that judges
the melody has it harder than with people. Conversations: 132 sentences with "um", repairs and
numbers, spoken by 15 synthetic voices in four languages, in three rooms with two noises, of
which a third is broken off (benches/README.md); those are counted in the last column alone,
where later is better. fastrtc's code runs with an older Silero of its kind. pipecat's default is
0.2 s of Silero and then its Smart Turn model, or three seconds; the time in which the model
computes is not counted, and no transcript is waited for. To the decision of both the function's
time is added; ours is a whole simulated session. "Speculative" drops three starts of a turn at
most; after that the answer begins once the end is certain: 18 of 129 turns of neural voices,
which are their p90.""",
    "smart_turn": """
pipecat's Smart Turn v3.2 asked where our detector finds that a turn may be over, after 0.192 s
of silence. "pipecat, its model and our pause" ends a turn there if the model is sure enough, and
after a pause elsewhere; "ours" is a pause alone. Both have the setting with the least mean, of
those with which 5 % of the turns at most are decided early, chosen on the same speech, so these
waits are the best that there are. The model helps where the melody shows it: with neural voices its
AUC is 0.93, and half of the turns are decided after 0.30 s instead of 0.84, with the pauses of
the others a little longer (p90 0.90 instead of 0.86). A room and noise at 20 dB take most of
that: AUC 0.85, 0.45 instead of 0.83 s, and its own threshold then takes 63 % of the pauses and
broken sentences for an end (34 % without). It does not help where the melody is that of a fluent
reader (read speech, AUC 0.65: 0.87 s with it or without) or of a synthesizer of rules and pieces
(flite, mei: 0.44 to 0.74).""",
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

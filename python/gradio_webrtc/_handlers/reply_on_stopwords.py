"""ReplyOnStopWords: silent until the caller says a word, then answers the turn behind it."""

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
    StopWordListener,
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
    from gradio_webrtc.types import Layout, SessionHandle, VoiceActivityDetector

QUICKEST_WORD_S: Final = 0.1
"""Speech that is worth transcribing while waiting for the word: less than a turn needs."""

BLOCKS_S: Final = 2.0
"""Where blocks are listened to, the word is looked for in so much sound, as the predecessor did."""


@dataclass
class ReplyOnStopWordsState(AppState):
    """What is known of the turn at hand.

    Attributes:
        stop_word_detected: Whether the word was said, and its turn is not over.
        post_stop_word_buffer: Where the word is looked for when a subclass listens in blocks,
            float32 ``(n,)`` at 16 kHz.
    """

    stop_word_detected: bool = False
    post_stop_word_buffer: NDArray[np.float32] | None = None


class ReplyOnStopWords(ReplyOnPause):
    """Answers what the caller says behind a stop word; before it, nothing.

    While somebody speaks, what is said is transcribed in a thread of the call's own. When a stop
    word is in it, the page is told (`send_stopword`), an answer under way is interrupted
    (``can_interrupt``), and the next turn is the caller's: the sound behind the word, up to the
    pause, goes to ``fn``. A word without a turn behind it waits for one. Then the word is wanted
    again.

    Words are compared without case and punctuation, and a pair of words with nothing else between
    them: "hello iris" is found in "Oh, hello, Iris!". Doubled letters count as one, and "ok" is
    "okay". Words that sound like others are found where they were not said: docs/stopwords.md has
    numbers.

    Both predecessors' positional orders hold, with ``stop_words`` behind ``fn`` and the rest as in
    `ReplyOnPause`.

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
        model: As there; it finds turns, not the word.
        needs_args: As there.
        vad: As there.
        stt_model: Transcribes: an object with ``stt((16000, float32 (n,))) -> str``, which may be
            called from several threads. By default Moonshine tiny, for English, loaded once a
            process.

    Attributes:
        stop_words: As a list.
        stt_model: As given, or the default.

    Raises:
        ImportError: The default model is not installed: says how to install it.
        TypeError: An argument of the wrong kind.
        ValueError: No stop word; options or rates that contradict themselves.

    Example:
        >>> def answer(audio):
        ...     yield audio
        >>> handler = ReplyOnStopWords(answer, ["computer"])
    """

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

    def _forget_call(self) -> None:
        if "state" not in vars(self):
            self.state: AppState = ReplyOnStopWordsState()
        super()._forget_call()
        self._spotter: WordSpotter | None = None

    def bind(self, call: SessionHandle) -> None:
        """Ties this copy to its call; once, on the event loop, before `start_up`."""
        super().bind(call)
        watch = SpotterCallbacks(
            lambda text: self.stop_word_detected(text),  # noqa: PLW0108 - users replace it
            lambda text: ends_with_phrase(text, self.stop_words),
            self._take_segment,
            self._on_spotted,
            self._on_located,
        )
        self._spotter = WordSpotter(call, self.stt_model, watch)

    async def release(self) -> None:
        """Ends the reply under way, and listening; see `ReplyOnPause.release`."""
        if self._spotter is not None:
            await self._spotter.close()
        await super().release()

    def stop_word_detected(self, text: str) -> bool:
        """Whether a stop word is in what was understood; for overriding, in any thread.

        Called for the beginnings of one text too, to find where the word ends.
        """
        return find_phrase(text, self.stop_words) is not None

    def send_stopword(self) -> None:
        """Tells the page that the word was heard; from any thread."""
        self.send_message_sync(create_message("stopword", ""))

    def determine_pause(
        self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
    ) -> bool:
        """Whether a turn behind the word is over, by the predecessor's rule; for overriding.

        A handler whose class overrides this or `process_audio` listens in blocks, and leaves the
        word to them too: this looks for it in the last `BLOCKS_S`, in the thread of ``receive``.

        Args:
            audio: See `ReplyOnPause.determine_pause`.
            sampling_rate: As there.
            state: As there; takes ``stop_word_detected`` too.
        """
        listener = self._listener
        is_awake = isinstance(listener, StopWordListener) and listener.is_awake
        if is_awake or getattr(state, "stop_word_detected", False):
            return super().determine_pause(audio, sampling_rate, state)
        if audio.size < self.algo_options.audio_chunk_duration * sampling_rate:
            return False
        state.buffer = None
        fresh = to_stt_rate((sampling_rate, audio))
        before = getattr(state, "post_stop_word_buffer", None)
        sound = fresh if before is None else np.concatenate([before, fresh])
        sound = sound[-round(BLOCKS_S * STT_RATE_HZ) :]
        word: Any = state
        word.post_stop_word_buffer = sound
        if self.stop_word_detected(self.stt_model.stt((STT_RATE_HZ, sound))):
            word.stop_word_detected = True
            self.send_stopword()
        return False

    def _overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(ReplyOnStopWords, name)

    def _make_listener(self) -> TurnDetector:
        turns = super()._make_listener()
        if self._overrides("determine_pause") or self._overrides("process_audio"):
            return turns
        options = self.model_options
        silero = options if isinstance(options, SileroVadOptions) else SileroVadOptions()
        algo = dataclasses.replace(
            self.algo_options,
            started_talking_threshold=min(
                self.algo_options.started_talking_threshold, QUICKEST_WORD_S
            ),
            # It bounds what the detector keeps of sound that nobody will ask it for.
            max_continuous_speech_s=min(self.algo_options.max_continuous_speech_s, KEPT_S),
        )
        rate_hz = self._heard_rate_hz
        waiting = make_detector(rate_hz, algo, silero, own_detector(self._vad))
        return StopWordListener(waiting, turns, rate_hz, self._on_due)

    def _on_due(self) -> None:
        if self._spotter is not None:
            self._on_loop(self._spotter.start)

    # On the event loop

    @property
    def _stop_word_listener(self) -> StopWordListener:
        listener = self._bound_listener
        if not isinstance(listener, StopWordListener):
            raise TypeError(f"the listener was replaced by {listener!r}")
        return listener

    def _take_segment(self) -> SpeechSegment | None:
        with self._listening:
            return self._stop_word_listener.take_segment()

    def _on_spotted(self, look: SpeechSegment, text: str) -> bool:
        """Tells of the word; False when it comes too late to begin a turn."""
        if not self._still_waits(look):
            return False
        self.send_stopword()
        self._bound_session.event("stopword", text=text)
        if self.can_interrupt:
            self._interrupt()
        return True

    def _on_located(self, look: SpeechSegment, begin: int) -> None:
        if not self._still_waits(look):
            return
        if isinstance(self.state, ReplyOnStopWordsState):
            self.state.stop_word_detected = True
        with self._listening:
            everything_heard = self._stop_word_listener.wake(begin)
        for heard in everything_heard:
            self._notice(heard)

    def _still_waits(self, look: SpeechSegment) -> bool:
        """Whether nothing has happened since this was heard."""
        with self._listening:
            listener = self._stop_word_listener
            is_waiting = listener.sleep == look.sleep and not listener.is_awake
        return is_waiting and (self.can_interrupt or not self._is_responding)

    def _notice(self, heard: TurnEvent) -> None:
        super()._notice(heard)
        if heard.audio is not None and isinstance(self.state, ReplyOnStopWordsState):
            self.state.stop_word_detected = False

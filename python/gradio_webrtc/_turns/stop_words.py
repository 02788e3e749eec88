"""The wait for a stop word: the audio to transcribe, and the beginning of the turn behind it.

Runs where ``receive`` runs; transcribes nothing itself.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._audio import PauseDetector, PauseEvent

    from .detector import TurnDetector, TurnEvent

TRANSCRIBE_EVERY_S: Final = 1.0
"""Seconds of new speech after which it is transcribed while it goes on. A word said by itself does
not wait for this: it is transcribed 0.2 s after its end."""

OVERLAP_S: Final = 1.5
"""Seconds that are transcribed again with the new ones: more than a pair of words takes."""

MAX_SEGMENT_S: Final = 6.0
"""Seconds behind which audio is left out for a transcriber that is slower than real time."""

KEPT_S: Final = 10.0
"""Seconds of audio kept while waiting for the word: a segment, and the speech during its
transcription."""

SEGMENT_GAP_S: Final = 0.6
"""Seconds of silence that end a segment: longer than between the words of a pair."""

LEAD_S: Final = 0.3
"""Seconds of audio transcribed from before the first window of speech, for a soft onset."""

_APOSTROPHES: Final = re.compile("['\u2019]")
_WORD: Final = re.compile(r"[^\W_]+")
_DOUBLED: Final = re.compile(r"([^\W\d_])\1+")
_TWO_SPELLINGS: Final = {"ok": "okay"}


def words_of(text: str) -> list[str]:
    """Returns the words in a text, without case and punctuation.

    Example:
        >>> words_of("Hello, Iris! What's up?")
        ['hello', 'iris', 'whats', 'up']
    """
    return _WORD.findall(_APOSTROPHES.sub("", text.casefold()))


def spoken_words_of(text: str) -> list[str]:
    """Returns the words in a text, each in one spelling of those a recogniser may choose from.

    Doubled letters count as one, and "ok" is "okay". Nothing more tolerant than that: with one
    letter changed, "computer" would be found in "commuter" and "alexa" in "Alex".

    Example:
        >>> spoken_words_of("OK, llama!")
        ['okay', 'lama']
    """
    words = (_DOUBLED.sub(r"\1", word) for word in words_of(text))
    return [_TWO_SPELLINGS.get(word, word) for word in words]


def find_phrase(text: str, phrases: Iterable[str]) -> str | None:
    """Returns the first of the phrases whose words are in the text, one after the other.

    Example:
        >>> find_phrase("Well, hello, Iris.", ["computer", "hello iris"])
        'hello iris'
    """
    words = f" {' '.join(spoken_words_of(text))} "
    return next((each for each in phrases if f" {' '.join(spoken_words_of(each))} " in words), None)


def ends_with_phrase(text: str, phrases: Iterable[str]) -> bool:
    """True if the last words of the text are one of the phrases.

    Example:
        >>> ends_with_phrase("Okay, computer.", ["computer"])
        True
    """
    words = spoken_words_of(text)
    return any(words[-len(each) :] == each for each in map(spoken_words_of, phrases))


def check_phrases(phrases: str | Sequence[str]) -> list[str]:
    """Returns the stop words as a list; a text alone is one of them.

    Raises:
        TypeError: One of them is no text.
        ValueError: There is none, or one has no word in it.
    """
    listed = [phrases] if isinstance(phrases, str) else list(phrases)
    for phrase in listed:
        if not isinstance(phrase, str):
            raise TypeError(f"stop_words are texts, got {phrase!r}")
        if not words_of(phrase):
            raise ValueError(f"there is no word in the stop word {phrase!r}")
    if not listed:
        raise ValueError("stop_words is empty: no turn could ever begin")
    return listed


class SpeechSegment(NamedTuple):
    """Audio that may have the word in it. Positions count samples since the session began.

    Attributes:
        begin: The position of its first sample.
        new: Up to this position it was transcribed before, without the word.
        samples: int16, ``(n,)``.
        rate_hz: Their rate.
        ends_in_silence: True if the speech in it is over.
        wait: The number of the wait for a word that it belongs to.
    """

    begin: int
    new: int
    samples: NDArray[np.int16]
    rate_hz: int
    ends_in_silence: bool
    wait: int


class StopWordDetector:
    """Detects no turn before the stop word, then the one behind it, then waits for the word again.

    Meets `TurnDetector`; not safe to use from two threads at once.

    Args:
        detector: Detects speech while waiting, in mono audio at ``rate_hz``.
        turns: Detects the turn behind the word.
        rate_hz: The rate of the inbound audio, in Hz.
        on_due: Called when there is a segment to transcribe.

    Attributes:
        is_awake: True from the word to the end of the turn behind it.
        wait: Counts the waits for a word.
    """

    def __init__(
        self,
        detector: PauseDetector,
        turns: TurnDetector,
        rate_hz: int,
        on_due: Callable[[], None],
    ) -> None:
        self.is_awake = False
        self.wait = 0
        self._detector = detector
        self._turns = turns
        self._rate_hz = rate_hz
        self._on_due = on_due
        self._received = 0
        self._turns_position = 0
        self._kept: deque[NDArray[np.int16]] = deque()
        self._kept_samples = 0
        # Positions in this wait: its beginning; that of the current segment, which has gaps between
        # words; the end of what was transcribed of it; its last pause.
        self._origin = self._segment = self._seen = 0
        self._segment_end: int | None = None
        self._is_due = self._is_speech = False
        # Copied, since the detector is locked while a slow one of the user's own computes.
        self._has_speech = False

    def process(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """Returns the events from the next samples, int16 ``(1, n)``; none before the word.

        Raises:
            Exception: Whatever a detector of the user's own raises.
        """
        self._received += samples.size
        if self.is_awake:
            return self._process_turn(samples)
        self._keep(samples)
        try:
            events = self._detector.process(samples)
        finally:
            self._has_speech = self._detector.is_open
        for event in events:
            self._note(event)
        goes_on = self._detector.is_speaking and self._unseen >= TRANSCRIBE_EVERY_S * self._rate_hz
        if goes_on or self._is_due:
            self._is_due = True
            self._on_due()
        return []

    @property
    def is_open(self) -> bool:
        """True during a turn behind the word, or while there is speech that may have it in it."""
        return self._turns.is_open if self.is_awake else self._has_speech

    @property
    def min_samples_until_event(self) -> int:
        """The samples that can follow without an event, and without a segment to transcribe."""
        if self.is_awake:
            return self._turns.min_samples_until_event
        # What is said is looked at long before it is over.
        is_needed = self._is_due or self._detector.is_speaking
        return 0 if is_needed else self._detector.min_samples_until_event

    def skip(self, count: int) -> None:
        """Lets time pass without detection, in samples. The audio before is discarded."""
        self._received += count
        if self.is_awake:
            self._turns.skip(count)
            self._turns_position = self._received
        else:
            self._wait_for_word()

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``; empty before the word."""
        return self._turns.utterance_so_far() if self.is_awake else np.zeros((1, 0), np.int16)

    def candidate(self) -> NDArray[np.int16] | None:
        """Returns that audio while the turn behind the word may be over, else ``None``."""
        return self._turns.candidate() if self.is_awake else None

    def end_turn(self, speech_end_s: float) -> TurnEvent | None:
        """Ends the turn behind the word now, if it may be over; see `TurnDetector`."""
        ended = self._turns.end_turn(speech_end_s) if self.is_awake else None
        if ended is not None:
            self._wait_for_word()
        return ended

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends the turn behind the word, in seconds."""
        self._turns.set_pause(pause_s)

    def reset(self) -> None:
        """Waits for the word again."""
        self._turns.reset()
        self._wait_for_word()

    def take_segment(self) -> SpeechSegment | None:
        """Returns the audio to transcribe next, once; ``None`` when there is nothing new."""
        if self.is_awake or not self._is_due:
            return None
        self._is_due = False
        overlap, longest = (round(each * self._rate_hz) for each in (OVERLAP_S, MAX_SEGMENT_S))
        begin = max(self._segment - round(LEAD_S * self._rate_hz), self._seen - overlap)
        begin = max(begin, self._received - longest, self._received - self._kept_samples)
        new, self._seen = max(self._seen, begin), self._received
        audio = self._audio_since(begin)
        return SpeechSegment(begin, new, audio, self._rate_hz, not self._is_speech, self.wait)

    def wake(self, begin: int) -> list[TurnEvent]:
        """Begins the turn behind the word at this position, and returns its events so far."""
        self.is_awake = True
        begin = max(begin, self._received - self._kept_samples)
        self._turns.skip(begin - self._turns_position)
        return self._process_turn(self._audio_since(begin).reshape(1, -1))

    @property
    def _unseen(self) -> int:
        return self._received - self._seen

    def _process_turn(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        events = self._turns.process(samples)
        self._turns_position = self._received
        if any(each.audio is not None for each in events):
            self._wait_for_word()
        return events

    def _wait_for_word(self) -> None:
        self.is_awake = False
        self.wait += 1
        self._detector.reset()
        self._origin = self._segment = self._seen = self._received
        self._segment_end = None
        self._is_due = self._is_speech = self._has_speech = False
        self._kept.clear()
        self._kept_samples = 0

    def _note(self, event: PauseEvent) -> None:
        """Follows the segments of speech, and has the end of each transcribed."""
        self._is_speech = event.kind in ("speech_started", "pause_cancelled")
        if event.kind == "speech_started":
            begin = self._position(event.speech_start_s)
            gap = SEGMENT_GAP_S * self._rate_hz
            if self._segment_end is None or begin - self._segment_end > gap:
                self._segment = begin
                self._seen = max(self._seen, begin)
        elif event.speech_end_s is not None and not self._is_speech:
            self._segment_end = self._position(event.speech_end_s)
            self._is_due |= self._segment_end > self._seen

    def _position(self, time_s: float) -> int:
        return self._origin + round(time_s * self._rate_hz)

    def _keep(self, samples: NDArray[np.int16]) -> None:
        self._kept.append(samples)
        self._kept_samples += samples.size
        while self._kept_samples - self._kept[0].size >= KEPT_S * self._rate_hz:
            self._kept_samples -= self._kept.popleft().size

    def _audio_since(self, begin: int) -> NDArray[np.int16]:
        """Returns the audio kept from this position on, int16 ``(n,)``."""
        if not self._kept:
            return np.zeros(0, np.int16)
        kept = np.concatenate(self._kept, axis=None)
        return kept[kept.size - (self._received - begin) :]

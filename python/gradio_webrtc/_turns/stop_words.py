"""Waiting for a word: which sound to transcribe, and where the caller's turn begins after it."""

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
"""How much more speech there must be before it is transcribed while it goes on. A word said by
itself does not wait for this: it is transcribed 0.2 s after its end."""

OVERLAP_S: Final = 1.5
"""How much is transcribed once more with what is new: more than a pair of words takes."""

MAX_SEGMENT_S: Final = 6.0
"""A transcriber that falls behind real time leaves out what is older than this."""

KEPT_S: Final = 10.0
"""Sound kept while waiting for the word: a look, and what the caller says while it is looked at."""

SEGMENT_GAP_S: Final = 0.6
"""A gap that parts what belongs together: no longer one between the words of a pair."""

LEAD_S: Final = 0.3
"""Sound transcribed from before the first window of speech, for a soft onset."""

_APOSTROPHES: Final = re.compile("['\u2019]")
_WORD: Final = re.compile(r"[^\W_]+")
_DOUBLED: Final = re.compile(r"([^\W\d_])\1+")
_TWO_SPELLINGS: Final = {"ok": "okay"}


def words_of(text: str) -> list[str]:
    """The words in a text, without case and punctuation.

    Example:
        >>> words_of("Hello, Iris! What's up?")
        ['hello', 'iris', 'whats', 'up']
    """
    return _WORD.findall(_APOSTROPHES.sub("", text.casefold()))


def spoken_words_of(text: str) -> list[str]:
    """The words in a text, each in one spelling of those that a recogniser may choose from.

    Doubled letters count as one, and "ok" is "okay". Nothing more tolerant than that: with one
    letter changed, "computer" would be found in "commuter" and "alexa" in "Alex".

    Example:
        >>> spoken_words_of("OK, llama!")
        ['okay', 'lama']
    """
    words = (_DOUBLED.sub(r"\1", word) for word in words_of(text))
    return [_TWO_SPELLINGS.get(word, word) for word in words]


def find_phrase(text: str, phrases: Iterable[str]) -> str | None:
    """The first of the phrases whose words stand one after the other in the text.

    Example:
        >>> find_phrase("Well, hello, Iris.", ["computer", "hello iris"])
        'hello iris'
    """
    words = f" {' '.join(spoken_words_of(text))} "
    return next((each for each in phrases if f" {' '.join(spoken_words_of(each))} " in words), None)


def ends_with_phrase(text: str, phrases: Iterable[str]) -> bool:
    """Whether the last words of the text are one of the phrases.

    Example:
        >>> ends_with_phrase("Okay, computer.", ["computer"])
        True
    """
    words = spoken_words_of(text)
    return any(words[-len(each) :] == each for each in map(spoken_words_of, phrases))


def check_phrases(phrases: str | Sequence[str]) -> list[str]:
    """The stop words as a list; a text alone is one of them.

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
        raise ValueError("stop_words is empty: nothing could ever begin a turn")
    return listed


class SpeechSegment(NamedTuple):
    """Sound in which the word may be. Places count samples since the call began.

    Attributes:
        begin: Where it begins.
        new: Up to here it was looked at before, in vain.
        samples: int16, ``(n,)``.
        rate_hz: Their rate.
        ends_in_silence: Whether the speech in it is over.
        sleep: Which sleep of the listener it is of.
    """

    begin: int
    new: int
    samples: NDArray[np.int16]
    rate_hz: int
    ends_in_silence: bool
    sleep: int


class StopWordListener:
    """Hears no turn until it is woken, then the one that follows, then none again.

    Meets `TurnDetector`; not safe to use from two threads at once.

    Args:
        detector: Tells speech from the rest while waiting; hears mono at ``rate_hz``.
        turns: Finds the turn once the word was said.
        rate_hz: The rate of what is received, in Hz.
        on_due: Called when there is a look to take.
    """

    def __init__(
        self,
        detector: PauseDetector,
        turns: TurnDetector,
        rate_hz: int,
        on_due: Callable[[], None],
    ) -> None:
        self.is_awake = False
        self.sleep = 0
        self._detector = detector
        self._turns = turns
        self._rate_hz = rate_hz
        self._on_due = on_due
        self._received = 0
        self._told_turns = 0
        self._kept: deque[NDArray[np.int16]] = deque()
        self._kept_samples = 0
        # Since it fell asleep. Places: where it did; where the speech under way begins, with gaps
        # between words; up to where that was looked at; where it paused last.
        self._origin = self._segment = self._seen = 0
        self._segment_end: int | None = None
        self._is_due = self._is_speech = False

    def hear(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """What can be told from the next samples, int16 ``(1, n)``: nothing before the word.

        Raises:
            Exception: Whatever a detector of the user's own raises.
        """
        self._received += samples.size
        if self.is_awake:
            return self._hear_turn(samples)
        self._keep(samples)
        for event in self._detector.process(samples):
            self._note(event)
        goes_on = self._detector.is_speaking and self._unseen >= TRANSCRIBE_EVERY_S * self._rate_hz
        if goes_on or self._is_due:
            self._is_due = True
            self._on_due()
        return []

    @property
    def min_samples_until_event(self) -> int:
        """How many samples can follow of which nothing is told, and at which nobody looks."""
        if self.is_awake:
            return self._turns.min_samples_until_event
        return 0 if self._is_due else self._detector.min_samples_until_event

    def skip(self, count: int) -> None:
        """Lets time pass without listening, in samples. What was heard before is forgotten."""
        self._received += count
        if self.is_awake:
            self._turns.skip(count)
            self._told_turns = self._received
        else:
            self._fall_asleep()

    def so_far(self) -> NDArray[np.int16]:
        """What the open turn holds so far, int16 ``(1, n)``; empty before the word."""
        return self._turns.so_far() if self.is_awake else np.zeros((1, 0), np.int16)

    def forget(self) -> None:
        """Waits for the word again."""
        self._turns.forget()
        self._fall_asleep()

    def take_segment(self) -> SpeechSegment | None:
        """The sound to look at next, once; ``None`` when there is nothing new."""
        if self.is_awake or not self._is_due:
            return None
        self._is_due = False
        overlap, longest = (round(each * self._rate_hz) for each in (OVERLAP_S, MAX_SEGMENT_S))
        begin = max(self._segment - round(LEAD_S * self._rate_hz), self._seen - overlap)
        begin = max(begin, self._received - longest, self._received - self._kept_samples)
        new, self._seen = max(self._seen, begin), self._received
        sound = self._sound_since(begin)
        return SpeechSegment(begin, new, sound, self._rate_hz, not self._is_speech, self.sleep)

    def wake(self, begin: int) -> list[TurnEvent]:
        """The word was said: what can be told of the turn that begins at this place."""
        self.is_awake = True
        begin = max(begin, self._received - self._kept_samples)
        self._turns.skip(begin - self._told_turns)
        return self._hear_turn(self._sound_since(begin).reshape(1, -1))

    @property
    def _unseen(self) -> int:
        return self._received - self._seen

    def _hear_turn(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        heard = self._turns.hear(samples)
        self._told_turns = self._received
        if any(each.audio is not None for each in heard):
            self._fall_asleep()
        return heard

    def _fall_asleep(self) -> None:
        self.is_awake = False
        self.sleep += 1
        self._detector.reset()
        self._origin = self._segment = self._seen = self._received
        self._segment_end = None
        self._is_due = self._is_speech = False
        self._kept.clear()
        self._kept_samples = 0

    def _note(self, event: PauseEvent) -> None:
        """Follows where speech is, and sees that its end is looked at."""
        self._is_speech = event.kind in ("speech_started", "pause_cancelled")
        if event.kind == "speech_started":
            begin = self._place(event.speech_start_s)
            gap = SEGMENT_GAP_S * self._rate_hz
            if self._segment_end is None or begin - self._segment_end > gap:
                self._segment = begin
                self._seen = max(self._seen, begin)
        elif event.speech_end_s is not None and not self._is_speech:
            self._segment_end = self._place(event.speech_end_s)
            self._is_due |= self._segment_end > self._seen

    def _place(self, time_s: float) -> int:
        return self._origin + round(time_s * self._rate_hz)

    def _keep(self, samples: NDArray[np.int16]) -> None:
        self._kept.append(samples)
        self._kept_samples += samples.size
        while self._kept_samples - self._kept[0].size >= KEPT_S * self._rate_hz:
            self._kept_samples -= self._kept.popleft().size

    def _sound_since(self, begin: int) -> NDArray[np.int16]:
        """What is kept from this place on, int16 ``(n,)``."""
        if not self._kept:
            return np.zeros(0, np.int16)
        kept = np.concatenate(self._kept, axis=None)
        return kept[kept.size - (self._received - begin) :]

"""What a service has sent and the user has not heard yet: audio and text, in order and bounded.

Services send a reply as fast as the network takes it, so all of a long one may wait here. Runs on
the event loop. Imports no session: the position of what is played is passed in.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_WAITING_S: Final = 600.0
"""Audio that waits, in seconds: three times the longest reply of OpenAI's, 29 MB at 24 kHz. A reply
that is longer ends there: a service that is not read any further cannot report that the user
speaks, and its answers to our pings are not read either."""

MAX_ENTRIES: Final = 65_536
"""Pieces of audio and text that wait; beyond it likewise. 600 s in pieces of 20 ms have 30,000."""

MAX_CHARS: Final = 256 * 1024
"""Characters of text that wait; beyond it likewise. A reply of 600 s has 12,000."""

MAX_MERGED_CHARS: Final = 1000
"""The longest text that words which follow it are added to."""

ROUNDING_MS: Final = 1e-6

PIECE_S: Final = 0.1
"""The longest piece that is handed on at once, in seconds. A shorter one is one more turn of the
event loop, a longer one is behind a word of the user's."""

MAX_SPANS: Final = 32
"""Items of a conversation whose place in the played audio is kept, the latest."""

LEAST_CUT_S: Final = 0.001
"""The least audio that has to be missing for an item to count as interrupted, in seconds: less is
the rounding of sums."""


class Audio(NamedTuple):
    """Audio of an item of the conversation: int16 ``(1, n)``."""

    item_id: str
    content_index: int
    samples: NDArray[np.int16]


class Text(NamedTuple):
    """Words of an item of the conversation, spoken by the audio around them."""

    item_id: str
    text: str


class Mark(NamedTuple):
    """Something to be done once everything before it was handed on: the end of a reply, or more."""

    what: Any


Entry: TypeAlias = Audio | Text | Mark


class Cut(NamedTuple):
    """An item whose audio was not played to its end.

    Attributes:
        item_id: Its id.
        content_index: The part of its content that is the audio.
        played_ms: The audio of it that was played, in milliseconds; 0 for none.
    """

    item_id: str
    content_index: int
    played_ms: int


@dataclass
class _Span:
    """The place of an item's audio on the timeline of the session's played audio, in seconds.

    Attributes:
        received_s: The length of all its audio that has come.
        handed_s: The part of it that was handed on.
        begin_s: The place of its first sample; ``None`` before that was handed on.
    """

    received_s: float = 0.0
    handed_s: float = 0.0
    begin_s: float | None = None

    def played_s(self, now_s: float) -> float:
        """Returns the length of it that was played when the timeline is at ``now_s``."""
        if self.begin_s is None:
            return 0.0
        return min(max(now_s - self.begin_s, 0.0), self.handed_s)

    def is_cut(self, now_s: float) -> bool:
        """True if not all of it was played when the timeline is at ``now_s``."""
        return self.received_s - self.played_s(now_s) > LEAST_CUT_S


class Playback:
    """The queue between a service and a handler's ``emit``.

    Args:
        rate_hz: The rate of the audio.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._entries: deque[Entry] = deque()
        self._waiting_samples = 0
        self._waiting_chars = 0
        self._spans: dict[tuple[str, int], _Span] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def waiting_s(self) -> float:
        """The length of the audio that waits, in seconds."""
        return self._waiting_samples / self._rate_hz

    def set_rate(self, rate_hz: int) -> bool:
        """Sets the rate of audio that comes from now on; not in the middle of any.

        Returns:
            True if it is set.
        """
        is_empty = not self._waiting_samples and not self._spans
        if is_empty:
            self._rate_hz = rate_hz
        return is_empty

    @property
    def rate_hz(self) -> int:
        """The rate of the audio."""
        return self._rate_hz

    # The service's side

    @property
    def has_room(self) -> bool:
        """True if there is room for more."""
        is_short = len(self._entries) < MAX_ENTRIES and self._waiting_chars < MAX_CHARS
        return is_short and self.waiting_s < MAX_WAITING_S

    def received_ms(self, item_id: str, content_index: int) -> int:
        """Returns the length of an item's audio that has come; 0 where it is none of the latest."""
        span = self._spans.get((item_id, content_index))
        return 0 if span is None else math.floor(span.received_s * 1000 + ROUNDING_MS)

    def put_audio(self, audio: Audio) -> None:
        """Queues audio, if `has_room`; the bound is up to who calls this."""
        if not audio.samples.size:
            return
        self._waiting_samples += audio.samples.size
        self._span_of(audio).received_s += audio.samples.size / self._rate_hz
        self._put(audio)

    def put_text(self, item_id: str, text: str) -> None:
        """Queues words, to be shown once the audio before them was handed on."""
        if not text:
            return
        self._waiting_chars += len(text)
        last: Any = self._entries[-1] if self._entries else None
        is_same = isinstance(last, Text) and last.item_id == item_id
        if is_same and len(last.text) < MAX_MERGED_CHARS:
            self._entries.pop()
            text = last.text + text
        self._put(Text(item_id, text))

    def put_mark(self, what: Any) -> None:
        """Queues something to be done behind all that waits."""
        self._put(Mark(what))

    # The handler's side

    async def wait_ready(self) -> None:
        """Returns once something waits."""
        await self._ready.wait()

    def take(self, position_s: float) -> Entry | None:
        """Returns the next entry, of audio `PIECE_S` at most; ``None`` if nothing waits.

        Args:
            position_s: The place of its first sample on the timeline of the played audio, in
                seconds: what was played, and what waits to be.
        """
        if not self._entries:
            return None
        entry = self._entries.popleft()
        if isinstance(entry, Audio):
            entry = self._shortened(entry)
            self._waiting_samples -= entry.samples.size
            span = self._span_of(entry)
            if span.begin_s is None:
                span.begin_s = position_s
            span.handed_s += entry.samples.size / self._rate_hz
        elif isinstance(entry, Text):
            self._waiting_chars -= len(entry.text)
        self._note_taken()
        return entry

    def is_playing(self, now_s: float) -> bool:
        """True if audio was not played to its end.

        Args:
            now_s: The audio that was played since the session began, in seconds.
        """
        return any(each.is_cut(now_s) for each in self._spans.values())

    def interrupt(self, now_s: float, open_item_id: str = "") -> list[Cut]:
        """Drops all that waits, marks included.

        Args:
            now_s: As for `is_playing`.
            open_item_id: The item of which more is to come: it is not played to its end even if all
                of it that is here was.

        Returns:
            The items that were not played to their end, in their order.
        """
        cuts = []
        for (item_id, content_index), span in self._spans.items():
            if span.is_cut(now_s) or item_id == open_item_id:
                # Down, but for the rounding of sums: a service refuses an end that lies behind that
                # of its audio.
                played_ms = math.floor(span.played_s(now_s) * 1000 + ROUNDING_MS)
                cuts.append(Cut(item_id, content_index, played_ms))
        self._entries.clear()
        self._spans.clear()
        self._waiting_samples = self._waiting_chars = 0
        self._note_taken()
        return cuts

    def _span_of(self, audio: Audio) -> _Span:
        key = (audio.item_id, audio.content_index)
        if key not in self._spans:
            if len(self._spans) >= MAX_SPANS:
                del self._spans[next(iter(self._spans))]
            self._spans[key] = _Span()
        return self._spans[key]

    def _shortened(self, audio: Audio) -> Audio:
        """Returns the first `PIECE_S` of audio, and puts the rest back."""
        most = round(PIECE_S * self._rate_hz)
        if audio.samples.size <= most:
            return audio
        self._entries.appendleft(audio._replace(samples=audio.samples[:, most:]))
        return audio._replace(samples=audio.samples[:, :most])

    def _put(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._ready.set()

    def _note_taken(self) -> None:
        if not self._entries:
            self._ready.clear()

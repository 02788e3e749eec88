"""A transport that has the queue of audio lent, as that of the core's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioFrameSource


class Player:
    """Takes frames out of a queue on request, in the place of the core's thread."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._is_room_wanted = False

    def expect_reply(self) -> None:
        pass

    def notify_room(self) -> None:
        self._is_room_wanted = True

    def notify_drained(self) -> None:
        self._is_room_wanted = True

    def play(self) -> int | None:
        """Returns the first sample of the next frame."""
        frame = self._buffer.queue.pull()
        if frame is not None and self._is_room_wanted:
            self._is_room_wanted = False
            self._buffer.note_sent(None)
        return None if frame is None else int(frame[0, 0])

    def play_all(self) -> list[int]:
        """Returns the first sample of each frame that there is."""
        levels = []
        while (level := self.play()) is not None:
            levels.append(level)
        return levels


class LendingTransport(FakeTransport):
    """Plays by itself, what it is asked to."""

    player: Player

    def play_audio(self, source: AudioFrameSource) -> None:
        self.player = Player(source)
        assert source.lend(self.player)  # type: ignore[attr-defined]

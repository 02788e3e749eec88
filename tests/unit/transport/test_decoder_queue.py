"""The queue before aiortc's decoder: no thread waits at it where nothing comes to be decoded."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from gradio_webrtc._transport.webrtc.aiortc_internals.decoder_queue import DecoderQueue

AUDIO = (SimpleNamespace(name="PCMU"), SimpleNamespace(data=b"\xff"))


class Parked:
    """A queue without a thread.

    Attributes:
        taken: The frames that its decoders have taken.
        made: The threads that were made for it.
        ends: The number of ends that no thread has seen.
        counted: Released with each that is taken.
    """

    def __init__(self) -> None:
        self.queue = DecoderQueue(threading.Event())
        self.taken: list[Any] = []
        self.made: list[threading.Thread] = []
        self.ends = 0
        self.counted = threading.Semaphore(0)
        self.queue.park(self._make, self._count_end)

    def decode(self) -> None:
        """Takes frames until the end, as a decoder does."""
        while (item := self.queue.get()) is not None:
            self.taken.append(item)
            self.counted.release()

    def _make(self) -> threading.Thread:
        self.made.append(threading.Thread(target=self.decode))
        return self.made[-1]

    def _count_end(self) -> None:
        self.ends += 1


def started(decode: Any) -> threading.Thread:
    thread = threading.Thread(target=decode)
    thread.start()
    return thread


def test_the_first_thread_ends_at_once_and_the_end_needs_none() -> None:
    parked = Parked()
    started(parked.decode).join()
    parked.queue.put(None)
    assert (parked.made, parked.taken, parked.ends) == ([], [], 1)


def test_the_first_frame_brings_a_thread_which_takes_all_and_sees_the_end() -> None:
    parked = Parked()
    parked.queue.put(AUDIO)
    started(parked.decode).join()
    parked.queue.put(AUDIO)
    parked.queue.put(AUDIO)
    for _ in range(3):
        assert parked.counted.acquire(timeout=5)
    parked.queue.put(None)
    (thread,) = parked.made
    thread.join()
    assert (parked.taken, parked.ends) == ([AUDIO] * 3, 0)


def test_a_queue_that_is_not_parked_waits_for_frames() -> None:
    queue, taken = DecoderQueue(threading.Event()), []
    thread = started(lambda: taken.append(queue.get()))
    queue.put(AUDIO)
    thread.join()
    assert taken == [AUDIO]

"""Turns that the media thread detects while the event loop takes nothing."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from pylibsrtp import Policy, Session
from support.signals import speech_at_48k

from gradio_webrtc._audio import InboundTurns, PauseDetector
from gradio_webrtc._media import AudioEncoder, AudioReceiver, SecureReceiver

if sys.platform == "win32":
    pytest.skip("no media thread", allow_module_level=True)

from gradio_webrtc._media import MediaMailbox, MediaPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

KEY, SALT = bytes(range(16)), bytes(range(16, 30))
OPUS = 111
PACKET = 960
MOST_S: Final = 10.0
"""The audio behind an event that waits, in which turns are detected."""

TURN = np.concatenate([speech_at_48k("asterisk_hello_world_16k"), np.zeros(48_000, np.int16)])


class Client:
    """A remote peer's audio on its way to an endpoint of a plane."""

    def __init__(self, plane: MediaPlane, mailbox: MediaMailbox, number: int) -> None:
        self.secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])
        self._endpoint = plane.attach(self.secured, mailbox, number)
        self._session = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self._encoder = AudioEncoder(1)
        self._packets = 0

    def send(self, samples: NDArray[np.int16]) -> None:
        """Sends whole packets, behind one that is taken here: on a clock on which all are in time.

        The thread's own clock stands almost still, and more than real time is refused.
        """
        self._insert(np.zeros(PACKET, np.int16))
        assert self.secured.take(10.0 * self._packets) is not None
        for start in range(0, samples.size - PACKET + 1, PACKET):
            self._insert(samples[start : start + PACKET])
        self._endpoint.wake()

    def _insert(self, samples: NDArray[np.int16]) -> None:
        payload = self._encoder.encode(samples.reshape(1, -1))
        times = self._packets.to_bytes(2) + (PACKET * self._packets).to_bytes(4)
        packet = bytes([0x80, OPUS]) + times + (7).to_bytes(4) + payload
        self._packets += 1
        assert self.secured.receive_datagram(10.0 * self._packets, self._session.protect(packet))


class Stage:
    """A thread, a client whose turns it detects, and another one that shows how far it is."""

    def __init__(self) -> None:
        self.plane = MediaPlane(0.0)
        self.mailbox, self._other_mailbox = MediaMailbox(), MediaMailbox()
        self._doorbell = self._other_mailbox.open_doorbell()
        self.client = Client(self.plane, self.mailbox, 1)
        self._other = Client(self.plane, self._other_mailbox, 2)
        self.turns = InboundTurns(PauseDetector(16_000), 320)
        assert self.client.secured.feed(self.turns)

    def send(self, samples: NDArray[np.int16]) -> None:
        """Returns once the thread has received all of it, half a second at a time."""
        for start in range(0, samples.size, 25 * PACKET):
            self.client.send(samples[start : start + 25 * PACKET])
            for _ in range(2):
                # The thread calls all endpoints that were woken, then those woken meanwhile.
                self._other.send(np.zeros(PACKET, np.int16))
                select.select([self._doorbell], [], [])
                _, deliveries = self._other_mailbox.take(1)
                self._other.secured.delivered(sum(audio[2].size for _, audio in deliveries), 0.0)  # type: ignore[misc, index, union-attr]

    def take(self) -> list[Any]:
        """What waits in the mailbox: the events."""
        _, deliveries = self.mailbox.take(1)
        return [event for _, events in deliveries for event in events]  # type: ignore[union-attr]

    def close(self) -> None:
        os.close(self._doorbell)
        self.plane.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def kinds(events: list[Any]) -> list[str]:
    return [event.kind for event, _ in events]


def test_a_loop_that_is_slow_for_some_seconds_misses_no_end_of_a_turn(stage: Stage) -> None:
    count = int((MOST_S - 1.0) * 48_000 / TURN.size)
    assert count > 2
    for _ in range(count):
        stage.send(TURN)
    events = stage.take()
    assert kinds(events).count("pause") == count
    claims = [stage.turns.claim(*each) for each in events]
    assert all(claim is not None for claim in claims)


def test_what_waits_for_a_loop_that_is_dead_has_a_bound(stage: Stage) -> None:
    received = 0
    while received < 2.5 * MOST_S * 48_000:
        stage.send(TURN)
        received += TURN.size
    events = stage.take()
    times = [event.time_s for event, _ in events]
    assert MOST_S - 3.0 < times[-1] - times[0] < MOST_S + 1.0
    assert kinds(events).count("pause") > 2
    # Once the loop has taken them, turns are detected again, on the same clock.
    stage.send(TURN)
    later = stage.take()
    assert kinds(later)[-1] == "pause"
    assert later[0][0].time_s > received / 48_000
    claims = [stage.turns.claim(*each) for each in [*events, *later]]
    assert all(claim is not None for claim in claims)

"""Turns that the media thread detects, of clients that send nothing any more."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from pylibsrtp import Policy, Session
from support.signals import speech_at_48k

from gradio_webrtc._audio import MAX_STALL_S, InboundTurns, PauseDetector
from gradio_webrtc._media import AudioEncoder, AudioReceiver, SecureReceiver

if sys.platform == "win32":
    pytest.skip("no media thread", allow_module_level=True)

from gradio_webrtc._media import MediaMailbox, MediaPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

KEY, SALT = bytes(range(16)), bytes(range(16, 30))
OPUS: Final = 111
PACKET: Final = 960
HELLO: Final = speech_at_48k("asterisk_hello_world_16k")
SILENCE: Final = np.zeros(48_000, np.int16)
NOW_S: Final = 1_000.0
"""The time on the clock of the thread: what has come long before needs no waiting."""


class Client:
    """A client whose turns a thread detects.

    Attributes:
        turns: Detects them.
    """

    def __init__(self, *, frame_samples: int = 320) -> None:
        self.turns = InboundTurns(PauseDetector(16_000), frame_samples)
        self._plane, self._mailbox = MediaPlane(NOW_S), MediaMailbox()
        self._doorbell = self._mailbox.open_doorbell()
        self._secured = SecureReceiver(
            AudioReceiver(now_s=0.0), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS]
        )
        self._secured.decode_for(16_000, "mono")
        self._session = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self._encoder = AudioEncoder(1)
        self._packets = 0
        self._endpoint = self._plane.attach(self._secured, self._mailbox, 1)

    def feed(self) -> bool:
        """Has the thread detect turns."""
        return self._secured.feed(self.turns)

    def send(self, samples: NDArray[np.int16], at_s: float) -> None:
        """Sends whole packets, the last of which comes at this time."""
        count = samples.size // PACKET
        for index in range(count):
            start = index * PACKET
            payload = self._encoder.encode(samples[start : start + PACKET].reshape(1, -1))
            times = self._packets.to_bytes(2) + (PACKET * self._packets).to_bytes(4)
            packet = bytes([0x80, OPUS]) + times + (7).to_bytes(4) + payload
            self._packets += 1
            now_s = at_s - 0.02 * (count - 1 - index)
            assert self._secured.receive_datagram(now_s, self._session.protect(packet))

    def wake(self) -> None:
        """Has the thread read the deadline."""
        self._endpoint.wake()

    def take(self) -> list[Any]:
        """Returns the next events that the thread has detected."""
        select.select([self._doorbell], [], [])
        _, deliveries = self._mailbox.take(1)
        return [event for _, events in deliveries for event in events]  # type: ignore[union-attr]

    def hand_over(self) -> None:
        """Has the thread deliver what was sent as audio, and takes it."""
        self.wake()
        select.select([self._doorbell], [], [])
        _, deliveries = self._mailbox.take(1)
        self._secured.delivered(sum(audio[2].size for _, audio in deliveries), 0.0)  # type: ignore[misc, index, union-attr]

    def until_pause(self) -> list[Any]:
        """Returns all events up to the end of a turn."""
        events: list[Any] = []
        while not any(event.kind == "pause" for event, _ in events):
            events += self.take()
        return events

    def close(self) -> None:
        os.close(self._doorbell)
        self._plane.close()


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def seconds_of_speech(samples: NDArray[np.int16]) -> float:
    loud = np.flatnonzero(np.abs(samples.reshape(-1)) > 300)
    return float(loud[-1] - loud[0]) / 16_000


def test_a_turn_that_is_open_is_over_when_nothing_has_come_for_a_while(client: Client) -> None:
    assert client.feed()
    said = HELLO[: round(0.98 * 48_000)]
    # Five packets of it wait, and two seconds are over.
    client.send(np.append(SILENCE, said), NOW_S - 2 * MAX_STALL_S)
    client.wake()
    events = client.until_pause()
    claims = [client.turns.claim(*each) for each in events]
    (audio,) = [claim[1] for claim in claims if claim is not None and claim[1] is not None]
    assert seconds_of_speech(audio) > 0.98 - 0.3
    assert [event.kind for event, _ in events].count("pause") == 1
    # What comes later is of the next turn.
    client.send(np.append(HELLO, SILENCE), NOW_S)
    client.wake()
    later = client.until_pause()
    assert [event.kind for event, _ in later].count("speech_started") == 1
    assert later[-1][0].speech_start_s > events[-1][0].time_s


def test_a_turn_that_was_open_before_the_thread_detects_is_over_too(client: Client) -> None:
    client.send(SILENCE[:PACKET], NOW_S - MAX_STALL_S)
    client.hand_over()
    client.turns.process(48_000, 1, HELLO[: round(0.98 * 48_000)])
    assert client.turns.is_open
    assert client.feed()
    client.wake()
    assert client.until_pause()[-1][0].speech_end_s is not None
    assert not client.turns.is_open

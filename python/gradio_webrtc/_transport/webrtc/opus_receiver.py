"""Inbound packets of Opus, as `_media.AudioReceiver` puts them in order and decodes them.

Runs on the event loop, for every packet. Imports nothing of aiortc.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from gradio_webrtc._media import AudioReceiver, SecureReceiver
from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc._transport.pacing import SESSION_RATE_HZ
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport.base import AudioSink, Detected
    from gradio_webrtc.types import Layout

    Delivery: TypeAlias = tuple[int, int, NDArray[np.int16]] | Detected | None

logger = logging.getLogger(__name__)

SrtpProfile: TypeAlias = Literal[
    "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM"
]
"""The profiles of SRTP that WebRTC uses, as OpenSSL names them."""


class OpusPacket(Protocol):
    """As much of an RTP packet as matters here: `RtpAudioPacket`, and aiortc's own."""

    @property
    def payload_type(self) -> int:
        """Seven bits."""

    @property
    def sequence_number(self) -> int:
        """16 bits."""

    @property
    def timestamp(self) -> int:
        """32 bits, at 48 kHz."""

    @property
    def ssrc(self) -> int:
        """The stream."""

    @property
    def payload(self) -> bytes:
        """One packet of Opus, or redundant audio that is made of such."""


class RtpAudioPacket(NamedTuple):
    """As much of an RTP packet as matters to audio."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


class Timer(Protocol):
    """A timer that was started: as much of `asyncio.TimerHandle` as matters here."""

    def cancel(self) -> None:
        """Stops it."""


class Attached(Protocol):
    """A thread that receives: as much of `media_loop.AttachedReceiver` as matters here."""

    def wake(self) -> None:
        """Has the thread see what the receiver was given elsewhere."""

    def close(self) -> None:
        """Ends it: nothing is delivered from now on."""


class OpusReceiver:
    """Receives the packets of one track, and delivers their audio without gaps.

    Attributes:
        payload_types: Those that are Opus.
        red_type: That of redundant audio (RFC 2198) of those; ``None`` where there is none. Set it
            before the first packet.
        sink: Receives the decoded blocks; ``None`` puts them in the track's queue. Returns how much
            of the coming audio may wait, in seconds: see `AudioSink`.

    Args:
        payload_types: Those that are Opus.
        queue: Receives blocks while there is no sink, and the exception of a sink, which is not
            called again then.
        clock: Seconds, monotonic.
        call_later: Calls after so many seconds; ``None`` for the running event loop's own.
    """

    def __init__(
        self,
        payload_types: Collection[int | None],
        queue: Callable[[AudioBlock | Exception], None],
        clock: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self.payload_types = frozenset(payload_types)
        self.red_type: int | None = None
        self._formats = [each for each in self.payload_types if each is not None]
        self.sink: AudioSink | None = None
        self._queue = queue
        self._clock = clock
        self._receiver: AudioReceiver | SecureReceiver = AudioReceiver(SESSION_RATE_HZ, clock())
        self._rate_hz = SESSION_RATE_HZ
        self._batch_allowance_s = 0.0
        self._call_later = call_later
        self._timer: Timer | None = None
        self._attached: Attached | None = None
        self._turns: InboundTurns | None = None
        self._is_fed = False
        self._on_detected: Callable[[Detected], None] | None = None

    @property
    def refused(self) -> int:
        """The number of packets that were dropped, since more audio came than time passed."""
        return self._receiver.stats()["packets_refused"]

    @property
    def received_bytes(self) -> int:
        """The payloads of all packets, in bytes."""
        return self._receiver.stats()["bytes_received"]

    @property
    def concealed_samples(self) -> int:
        """The samples per channel that were filled in for missing packets."""
        return self._receiver.stats()["concealed_samples"]

    @property
    def discarded(self) -> int:
        """The number of packets that came and were not decoded: late, repeated, broken, refused."""
        counts = self._receiver.stats()
        return counts["packets_discarded"] + counts["packets_repeated"]

    def takes(self, payload_type: int) -> bool:
        """True if packets of this payload type are for `add`."""
        return payload_type in self.payload_types or payload_type == self.red_type

    def add(self, packet: OpusPacket) -> None:
        """Receives a packet, on the event loop.

        Packets wait while the sink can do without them, and are decoded together then: a process
        that sleeps between packets finds its caches cold at each.
        """
        samples = self._receiver.receive(
            self._clock(),
            packet.ssrc,
            packet.sequence_number,
            packet.timestamp,
            packet.payload,
            self._batch_allowance_s,
            self._formats if packet.payload_type == self.red_type else None,
        )
        if samples is not None:
            self._deliver(AudioBlock(self._rate_hz, self._receiver.channels, samples))
        if self._attached is not None:
            self._attached.wake()
        elif self._timer is None:
            self._wait()

    def secure(self, profile: SrtpProfile, key: bytes, salt: bytes) -> SecureReceiver:
        """Lets datagrams be received from now on as they are on the network; call it once.

        Args:
            profile: Of SRTP, as OpenSSL names it.
            key: The remote peer's master key.
            salt: Its salt.

        Returns:
            What decrypts them, for its counters.
        """
        if not isinstance(self._receiver, AudioReceiver):
            raise TypeError("expected a track of audio without keys, got one that has some")
        secured = SecureReceiver(self._receiver, profile, key, salt, self._formats, self.red_type)
        self._receiver = secured
        return secured

    def add_datagram(self, secured: SecureReceiver, datagram: bytes) -> bool:
        """Receives a datagram, as `add` does a packet; True if it was for this track.

        Runs for every packet of a session, so nothing is split up.

        Args:
            secured: The result of `secure`.
            datagram: Anything.
        """
        now_s = self._clock()
        if not secured.receive_datagram(now_s, datagram):
            return False
        if self._attached is not None:
            self._attached.wake()
            return True
        samples = secured.take_due(now_s, self._batch_allowance_s)
        if samples is not None:
            self._deliver(AudioBlock(self._rate_hz, secured.channels, samples))
        if self._timer is None and secured.deadline_s is not None:
            self._wait()
        return True

    def attach(self, secured: SecureReceiver, attached: Attached) -> None:
        """Leaves it to a thread to receive from now on; what still comes here is passed on to it.

        Args:
            secured: The result of `secure`.
            attached: The thread's, which calls `deliver` with ``secured``.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._attached = attached
        secured.delivered(0, self._batch_allowance_s)
        attached.wake()

    def feed(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Has the thread detect turns, if one receives, as soon as no audio is on its way here.

        Args:
            turns: Detects them.
            on_detected: Called on the event loop with what was detected.
        """
        self._turns, self._on_detected = turns, on_detected

    def prefer(self, rate_hz: int, layout: Layout) -> None:
        """Decodes for whoever needs this format, from the next packet on.

        Opus has five rates, and the lowest that will do costs least.

        Raises:
            AudioError: The rate is negative, or there is no such layout.
        """
        self._rate_hz = self._receiver.decode_for(rate_hz, layout)

    def deliver(self, secured: SecureReceiver, delivery: Delivery) -> None:
        """Delivers what the thread has received, on the event loop.

        Args:
            secured: The result of `secure`.
            delivery: The fields of an `AudioBlock`; or what was detected in audio; ``None`` when
                the core has failed.
        """
        if delivery is None:
            self._queue(ConnectionLost("the receiver of audio has failed: its thread panicked"))
        elif isinstance(delivery, list | Exception):
            if self._on_detected is not None:
                self._on_detected(delivery)
        else:
            block = AudioBlock(*delivery)
            self._deliver(block)
            secured.delivered(block.samples.size, self._batch_allowance_s)
            if self._turns is not None and secured.feed(self._turns):
                self._turns, self._is_fed = None, True
                if self._attached is not None:
                    # No packet may ever come that has it look at the open turn.
                    self._attached.wake()

    def keep_pauses(self) -> None:
        """Has gaps in timestamps be silence; see `Transport.keep_pauses`."""
        self._receiver.keep_pauses()

    def flush(self) -> bool:
        """Delivers the packets that wait, on the event loop; see `Transport.flush_audio`."""
        if self._is_fed:
            return False
        receiver, now_s = self._receiver, self._clock()
        if self._attached is not None and isinstance(receiver, SecureReceiver):
            samples = receiver.take_undelivered(now_s)
        else:
            samples = receiver.take(now_s)
        if samples is not None:
            self._deliver(AudioBlock(self._rate_hz, receiver.channels, samples))
        return True

    def close(self) -> None:
        """Drops what still comes, and logs what could not be decoded."""
        self.sink = _drop
        self._turns = self._on_detected = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._attached is not None:
            self._attached.close()
        if broken := self._receiver.stats()["packets_broken"]:
            logger.warning("%d packets could not be decoded: they are no Opus", broken)

    def _wait(self) -> None:
        """Takes what waits behind a missing packet, if one is missing, when that is given up."""
        deadline_s = self._receiver.deadline_s
        if deadline_s is None:
            return
        wait_s = max(0.0, deadline_s - self._clock())
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timer = call_later(wait_s, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        samples = self._receiver.take(self._clock())
        if samples is not None:
            self._deliver(AudioBlock(self._rate_hz, self._receiver.channels, samples))
        self._wait()

    def _deliver(self, block: AudioBlock) -> None:
        if (sink := self.sink) is None:
            self._queue(block)
        else:
            try:
                self._batch_allowance_s = sink(block)
            except Exception as error:  # noqa: BLE001 - raised by the reader of the queue
                self.sink = None
                self._queue(error)


def _drop(_block: AudioBlock) -> float:
    return 0.0

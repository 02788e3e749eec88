"""The media plane, for each packet of a session, compiled from Rust.

Threads, errors and the GIL are as in `gradio_webrtc._core`.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from . import OutboundAudio
from .plane import MediaSocket
from .turns import InboundTurns

__all__ = [
    "AudioEncoder",
    "AudioReceiver",
    "NetworkLink",
    "OpusDecoder",
    "SecureReceiver",
    "SecureSender",
    "opus_packet_samples",
]

def opus_packet_samples(packet: Buffer) -> int:
    """Returns the length of a packet's audio, in samples at 48 kHz (RFC 6716 section 3).

    Its first bytes are read, nothing is decoded. 0 for what is no packet of 2.5 to 120 ms.
    """

@final
class AudioEncoder:
    """Encodes audio of 48 kHz with libopus, as the path to the remote peer allows it.

    On a free path: 64 kbit/s a channel with the transform codec alone, the upper end that RFC 7587
    section 3.1.1 recommends, which costs half and is nearer to the original than the speech codec
    (log spectral distance of a voice 3.3 dB, against 5.7 at the 32 kbit/s of browsers). Half of it
    until reports have shown for 5 s that the path is free. From 3 % of loss on: the speech codec,
    at 32 kbit/s, and packets with copies of those before them. Where packets queue up, or a tenth
    is lost, 32, 16 and 12 kbit/s.

    Args:
        channels: 1 or 2.

    Raises:
        AudioError: For another number.
    """

    def __new__(cls, channels: int = 1) -> AudioEncoder: ...
    @property
    def channels(self) -> int:
        """The number of channels of coming frames, 1 or 2."""

    @channels.setter
    def channels(self, channels: int) -> None: ...
    @property
    def bits_per_s(self) -> int:
        """The bit rate of a channel in the last frame, in bits a second."""

    @property
    def has_fec(self) -> bool:
        """True if the last frame's packet may have a copy of the one before it."""

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Returns the packet of a frame, at most 1,276 bytes for 20 ms.

        Args:
            samples: int16, interleaved, `(1, n * channels)` or `(n * channels,)`: 2.5, 5, 10, 20,
                40 or 60 ms.

        Raises:
            AudioError: For anything else.
        """

    def report(self, now_s: float, fraction_lost: float, round_trip_s: float | None = None) -> None:
        """Adapts the settings of coming frames to a receiver report (RFC 3550 section 6.4).

        Args:
            now_s: The time in seconds, of a clock that never goes back.
            fraction_lost: The share of packets lost since the last report, 0 to 1.
            round_trip_s: The round trip in seconds, if the report states one.

        Raises:
            AudioError: For a negative time.
        """

@final
class OpusDecoder:
    """Decodes one stream with libopus: mono until its sender uses two channels, stereo then.

    Args:
        rate_hz: Of the decoded audio: 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.

    Raises:
        AudioError: For another rate.
    """

    def __new__(cls, rate_hz: int = 48_000) -> OpusDecoder: ...
    @property
    def channels(self) -> int:
        """The number of channels of the audio that was decoded last."""

    def decode(self, packet: Buffer) -> NDArray[np.int16]:
        """Returns the audio of a packet, `(1, n * channels)` interleaved; 2.5 to 120 ms.

        Raises:
            AudioError: It is no packet; the next one may be.
        """

class _ReceiverCounts(TypedDict):
    packets_received: int
    packets_lost: int
    packets_repeated: int
    packets_discarded: int
    packets_broken: int
    packets_gated: int
    packets_refused: int
    red_packets_refused: int
    bytes_received: int
    fec_packets_received: int
    fec_packets_discarded: int
    concealed_samples: int

@final
class AudioReceiver:
    """Receives the packets of one track in any order, and returns their audio without gaps.

    A packet whose turn it is leaves at once. What is missing is waited for as long as packets have
    been late recently, 20 to 400 ms; the copy in the next packet (RFC 6716 section 2.1.7) takes its
    place then, or a guess of up to 100 ms, and silence after it. Time in which nothing was sent is
    silence. Whoever sends more than 1.5 times real time is cut off.

    Args:
        rate_hz: Of the audio: 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
        now_s: The time in seconds at which the session was agreed on; `None` for that of the first
            packet. 1.5 times the time since then, and a second more, is the length of audio that
            may come at once: a sender may have stored it meanwhile.

    Raises:
        AudioError: For another rate, or a negative time.
    """

    def __new__(cls, rate_hz: int = 48_000, now_s: float | None = None) -> AudioReceiver: ...
    @property
    def channels(self) -> int:
        """The number of channels of the audio returned last; once there are two, they stay."""

    @property
    def ssrc(self) -> int | None:
        """The stream that was received last; `None` before the first packet."""

    @property
    def deadline_s(self) -> float | None:
        """The time at which to `take` though nothing came; `None` while nothing is missing."""

    def decode_for(self, rate_hz: int, layout: Literal["mono", "stereo"]) -> int:
        """Decodes for whoever needs that rate and layout, from the next packet on.

        In a stream that is under way the first tenth of a second is fainter.

        Args:
            rate_hz: In Hz.
            layout: One channel with ``"mono"``, two with ``"stereo"``, however many come.

        Returns:
            The rate of the audio: the lowest of Opus that has all of the band, or 48,000 Hz.

        Raises:
            AudioError: For a negative rate, and another layout.
        """

    def receive(
        self,
        now_s: float,
        ssrc: int,
        sequence_number: int,
        timestamp: int,
        payload: Buffer,
        allowance_s: float,
        red_formats: Sequence[int] | None = None,
    ) -> NDArray[np.int16] | None:
        """Receives a packet, and returns the audio that is due, as `take` does.

        Args:
            now_s: The time in seconds, of a clock that never goes back.
            ssrc: The stream; another one ends the one before.
            sequence_number: 16 bits.
            timestamp: 32 bits, at 48 kHz.
            payload: One packet of Opus. What is none is concealed.
            allowance_s: The length of coming audio that may wait, in seconds; packets are decoded
                together then, seven at most.
            red_formats: The payload types of Opus in redundant audio (RFC 2198), which the payload
                is then: packets that it carries beside its own fill holes. What is none is dropped
                and counted. `None` for one packet of Opus.

        Raises:
            AudioError: For a negative time.
        """

    def keep_pauses(self) -> None:
        """Has time in which the sender sent nothing be silence from now on, up to three seconds.

        For whoever detects the pauses in it; otherwise more than half a second is left out. No more
        than 60 ms of what is missing are a guess then.
        """

    def take(self, now_s: float) -> NDArray[np.int16] | None:
        """Returns all audio that is decided by now, `(1, n * channels)` interleaved, if any is."""

    def stats(self) -> _ReceiverCounts:
        """Returns the counters, named as W3C's Statistics API names them where it has a name.

        `packets_discarded` has the broken and the refused ones in it, but not the repeated ones,
        nor ``packets_gated``: those without voice that were never decoded, as nobody spoke. Copies
        in redundant audio are ``fec_packets_received``; the ones of packets that were there already
        are discarded, as are copies in Opus itself that nobody needed.
        """

class _SecureCounts(_ReceiverCounts):
    packets_forged: int
    jitter: int

class _ReceptionReport(TypedDict):
    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence_number: int
    jitter: int

@final
class SecureReceiver:
    """Receives one track of audio as it is on the network: an `AudioReceiver` behind SRTP.

    A track has one stream at a time. Another one that is authentic takes its place for good; 64 may
    do so.

    Args:
        receiver: Goes on here, with all that it has received; it is as new afterwards.
        profile: Of SRTP, as OpenSSL names it.
        key: The remote peer's master key: 16 or 32 bytes.
        salt: Its salt: 14 or 12 bytes.
        payload_types: Those of Opus, 0 to 127.
        red_type: That of redundant audio (RFC 2198) in those; `None` where there is none.

    Raises:
        AudioError: For another profile, and for a key or a salt of another length.
    """

    def __new__(
        cls,
        receiver: AudioReceiver,
        profile: Literal[
            "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM"
        ],
        key: Buffer,
        salt: Buffer,
        payload_types: Sequence[int],
        red_type: int | None = None,
    ) -> SecureReceiver: ...
    @property
    def channels(self) -> int:
        """See `AudioReceiver.channels`."""

    @property
    def ssrc(self) -> int | None:
        """See `AudioReceiver.ssrc`."""

    @property
    def deadline_s(self) -> float | None:
        """See `AudioReceiver.deadline_s`."""

    @property
    def last_s(self) -> float | None:
        """The time of the last packet that was authenticated, in seconds; `None` before it."""

    def receive(
        self,
        now_s: float,
        ssrc: int,
        sequence_number: int,
        timestamp: int,
        payload: Buffer,
        allowance_s: float,
        red_formats: Sequence[int] | None = None,
    ) -> NDArray[np.int16] | None:
        """Receives a packet that was decrypted elsewhere; see `AudioReceiver.receive`."""

    def receive_datagram(self, now_s: float, datagram: Buffer) -> bool:
        """Receives a datagram, and returns True if it was for this track.

        One that was forged, comes twice or too late is dropped and counted.

        Args:
            now_s: The time in seconds, of a clock that never goes back.
            datagram: Anything that came from the network.

        Raises:
            AudioError: For a negative time.
        """

    def decode_for(self, rate_hz: int, layout: Literal["mono", "stereo"]) -> int:
        """As `AudioReceiver.decode_for`."""

    def keep_pauses(self) -> None:
        """See `AudioReceiver.keep_pauses`."""

    def delivered(self, samples: int, allowance_s: float) -> None:
        """Notes that so many samples which a plane has delivered were processed.

        Args:
            samples: Of all channels.
            allowance_s: The length of coming audio that may wait until the next delivery, in
                seconds.
        """

    def feed(self, turns: InboundTurns) -> bool:
        """Has the plane's thread detect turns, and deliver what was detected in place of audio.

        Returns:
            False, and nothing has changed, while delivered audio was not processed.
        """

    def take_undelivered(self, now_s: float) -> NDArray[np.int16] | None:
        """Does what `take` does for a plane whose thread detects no turns.

        Returns:
            `None` also while delivered audio was not processed, and where the thread detects turns.
        """

    def take_due(self, now_s: float, allowance_s: float) -> NDArray[np.int16] | None:
        """Returns the audio that is due; see `AudioReceiver.receive`."""

    def take(self, now_s: float) -> NDArray[np.int16] | None:
        """See `AudioReceiver.take`."""

    def report(self, now_s: float) -> _ReceptionReport | None:
        """Returns the block of a receiver report about the current stream (RFC 3550 section 6.4.1).

        ``fraction_lost`` is that since the last call. `None` before the first packet.
        """

    def stats(self) -> _SecureCounts:
        """Returns the counters, as `AudioReceiver.stats` does.

        ``packets_lost`` and ``packets_received`` are those of all streams as they came;
        ``packets_forged`` were dropped before they were decrypted, or came twice; ``jitter`` is in
        samples at 48 kHz.
        """

@final
class SecureSender:
    """Sends a queue of audio as it is on the network: paced, in Opus, behind SRTP. Not on Windows.

    A packet every 20 ms while there is audio, then 240 ms of silence, then nothing. Nothing is sent
    before `MediaPlane.attach_sender`.

    Args:
        queue: Its audio, at 48 kHz.
        profile: Of SRTP, as OpenSSL names it.
        key: Our master key: 16 or 32 bytes.
        salt: Its salt: 14 or 12 bytes.
        ssrc: The stream, which nobody has sent before.
        payload_type: That of Opus, 0 to 127.
        sequence_number: That of the first packet, best below 32,768 (RFC 3711 section 3.3.1).
        timestamp: That of the first packet.
        mid: The name of the media section, 1 to 16 bytes, for packets with ``mid_id``.
        mid_id: The identifier of that header extension, 1 to 14.
        audio_level_id: The identifier of the extension with the level (RFC 6464), 1 to 14.
        has_nack: True if the remote peer may request packets again.
        red_payload_type: That of redundant audio (RFC 2198), which is sent where packets are
            reported lost: each carries the one before it. `None` where that was not agreed on.

    Raises:
        AudioError: For a value outside its range, and a queue of another rate.
    """

    def __new__(
        cls,
        queue: OutboundAudio,
        profile: Literal[
            "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM"
        ],
        key: Buffer,
        salt: Buffer,
        *,
        ssrc: int,
        payload_type: int,
        sequence_number: int,
        timestamp: int,
        mid: str | None = None,
        mid_id: int | None = None,
        audio_level_id: int | None = None,
        has_nack: bool = False,
        red_payload_type: int | None = None,
    ) -> SecureSender: ...
    def send_from(self, socket: MediaSocket, host: str, port: int) -> None:
        """Sends from a socket to an address, from the next packet on.

        Raises:
            OSError: ``host`` is no address.
        """

    def send_by_loop(self) -> None:
        """Leaves the sending to the event loop, by the mailbox: the way until `send_from`.

        Packets beyond half a second that wait there are lost.
        """

    def notify_room(self) -> None:
        """Asks for one notice in the mailbox, once a quarter of a second has room."""

    def notify_drained(self) -> None:
        """Asks for one notice in the mailbox, when the last audio leaves the queue."""

    def expect_reply(self, now_s: float) -> None:
        """Measures the time from now to the next frame of audio, for a notice in the mailbox."""

    def report(
        self,
        now_s: float,
        ntp_time: int,
        fraction_lost: int,
        highest_sequence_number: int,
        jitter: int,
        last_sender_report: int,
        delay_since_report: int,
    ) -> None:
        """Takes the remote peer's block about this stream (RFC 3550 section 6.4.1), which came now.

        Args:
            now_s: The time in seconds.
            ntp_time: The same as a time of day, 64 bits of NTP.
            fraction_lost: 0 to 255.
            highest_sequence_number: 32 bits, as the following ones.
            jitter: At 48 kHz.
            last_sender_report: The middle of the time in our last report.
            delay_since_report: In 1/65,536 s.
        """

    def nack(self, now_s: float, lost: Sequence[int]) -> int:
        """Sends lost packets again, within bounds; returns how many."""

    def sender_info(self, now_s: float, ntp_time: int) -> tuple[int, int, int] | None:
        """Returns the timestamp, the packets and the bytes for a sender report of now.

        Args:
            now_s: The time in seconds.
            ntp_time: The time of day, 64 bits of NTP.

        Returns:
            32 bits each; ``None`` before the first packet.
        """

    def start_reports(
        self, now_s: float, ntp_time: int, receiver: SecureReceiver, name: str
    ) -> None:
        """Exchanges reports from now on, about once a second.

        They have what a receiver received, too, which reads those that come. All other reports have
        to go through `send_rtcp`.

        Args:
            now_s: The time in seconds.
            ntp_time: The same as time of day, 64 bits of NTP.
            receiver: Attached to the same plane.
            name: The canonical name of our end, up to 255 bytes.

        Raises:
            AudioError: The name is longer.
        """

    def send_rtcp(self, packet: Buffer) -> None:
        """Encrypts and sends a compound packet; none before `MediaPlane.attach_sender`.

        Raises:
            AudioError: It is none.
        """

    @property
    def round_trip_s(self) -> float | None:
        """By the newest report, in seconds; ``None`` before `start_reports` and a report."""

    def stats(self) -> dict[str, int]:
        """Returns ``packets_sent``, ``bytes_sent``, ``packets_resent`` and ``frames_failed``."""

@final
class NetworkLink:
    """One direction of a bad network: datagrams in, and those that get through out, at their time.

    Times are in seconds since an origin of yours and never go back. Values that no network can
    have raise `ValueError`.

    Args:
        network: An object with the attributes of `gradio_webrtc.testing.Network`.
    """

    def __new__(cls, network: object) -> NetworkLink: ...
    def set_network(self, network: object) -> None:
        """Changes the conditions for what is sent from now on; the seed stays the first one."""

    def send(self, now_s: float, packet: bytes) -> None:
        """Sends a packet; 28 bytes of headers are added to its length where a cap counts them."""

    def poll(self, now_s: float) -> bytes | None:
        """Returns the next packet that is there by now; `None` without one."""

    @property
    def deadline_s(self) -> float | None:
        """The time at which `poll` has something next; `None` if nothing is under way."""

    def stats(self) -> dict[str, int]:
        """Returns the numbers of packets by name.

        sent, lost (by chance), blacked_out, overflowed (no room in the queue of a cap), reordered,
        duplicated, corrupted, delivered.
        """

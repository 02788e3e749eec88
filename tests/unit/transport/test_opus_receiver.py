"""Packets that come late, twice or never, compared with aiortc's own handling of the same."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder as TheirDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from av import AudioFrame
from support.redundancy import pack_red
from support.signals import chirp, pieces_found, tone

from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import OpusJitterBuffer
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioSink
    from gradio_webrtc.types import Layout

OPUS, PCMU, RED = 96, 0, 63
SAID = chirp(2.0)

ALLOWED_RATE, ALLOWED_AT_ONCE_S = 1.5, 1.0
"""The audio that may come, in seconds a second, and at once when a session begins."""


class Clock:
    """The time of a receiver and its timers, which passes as packets are sent.

    Attributes:
        now_s: Seconds.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._calls: dict[int, tuple[float, Callable[[], None]]] = {}
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float = 0.0199) -> None:
        """Lets time pass, a little less than a packet lasts, and runs what is due in it."""
        end_s = self.now_s + seconds
        while due := [(at_s, k) for k, (at_s, _) in self._calls.items() if at_s <= end_s]:
            at_s, number = min(due)
            self.now_s = max(self.now_s, at_s)
            self._calls.pop(number)[1]()
        self.now_s = end_s

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """As an event loop's."""
        number = next(self._numbers)
        self._calls[number] = (self.now_s + seconds, call)
        return Timer(self._calls, number)


class Timer:
    """A call of a `Clock`."""

    def __init__(self, calls: dict[int, Any], number: int) -> None:
        self._calls = calls
        self._number = number

    def cancel(self) -> None:
        """Prevents the call."""
        self._calls.pop(self._number, None)


def packet(number: int, payload: bytes = b"", *, ssrc: int = 1, timestamp: int = -1) -> RtpPacket:
    """One of 20 ms, wherever the counters begin."""
    made = RtpPacket(OPUS, 1, number % 65_536, (timestamp if timestamp >= 0 else 960 * number))
    made.timestamp %= 1 << 32
    made.ssrc, made.payload = ssrc, payload
    vars(made)["_data"] = payload
    return made


def spoken(first: int = 0) -> list[RtpPacket]:
    """The chirp, in packets."""
    encoder = AudioEncoder(1)
    return [
        packet(first + k, encoder.encode(frame)) for k, frame in enumerate(SAID.reshape(-1, 1, 960))
    ]


def receive(packets: Iterable[RtpPacket]) -> list[AudioBlock]:
    """Returns what is delivered of packets that come 20 ms apart."""
    blocks: list[AudioBlock] = []
    clock = Clock()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    for each in packets:
        receiver.add(each)
        clock.advance()
    clock.advance(1.0)
    return blocks


def refuse(item: object) -> None:
    raise AssertionError(f"expected nothing in the queue, got {item!r}")


def take_into(blocks: list[AudioBlock]) -> AudioSink:
    def take(block: AudioBlock) -> float:
        blocks.append(block)
        return 0.0

    return take


def length(blocks: Iterable[AudioBlock]) -> int:
    """Samples per channel."""
    return sum(block.samples.size // block.channels for block in blocks)


class Unhurried:
    """A sink that allows some of the coming audio to wait, and notes when it came.

    Attributes:
        batch_allowance_s: The audio that may wait, in seconds.
        came: The packets that had been received when each frame of 20 ms came.
    """

    def __init__(self, batch_allowance_s: float) -> None:
        self.batch_allowance_s = batch_allowance_s
        self.came: list[int] = []
        self.blocks: list[AudioBlock] = []
        self._received = 0
        self._clock = Clock()
        self._receiver = OpusReceiver([OPUS], refuse, self._clock, self._clock.call_later)
        self._receiver.sink = self._take

    def send(self, packets: Sequence[RtpPacket]) -> None:
        for each in packets:
            self._received += 1
            self._receiver.add(each)
            self._clock.advance()

    def _take(self, block: AudioBlock) -> float:
        self.blocks.append(block)
        # Once for each frame in it.
        self.came += [self._received] * (block.samples.size // block.channels // 960)
        return self.batch_allowance_s


def receive_through_aiortc(packets: Sequence[RtpPacket]) -> list[AudioFrame]:
    buffer, decoder = JitterBuffer(capacity=16, prefetch=4), TheirDecoder()
    frames: list[AudioFrame] = []
    for each in packets:
        _, encoded = buffer.add(each)
        if encoded is not None:
            frames += [frame for frame in decoder.decode(encoded) if isinstance(frame, AudioFrame)]
    return frames


def audio(blocks: Sequence[AudioBlock]) -> NDArray[np.int16]:
    """The first channel."""
    return np.concatenate([each.samples[0, :: each.channels] for each in blocks])


def audio_of_frames(frames: Sequence[AudioFrame]) -> NDArray[np.int16]:
    """The first channel."""
    arrays = [each.to_ndarray()[0, :: each.layout.nb_channels] for each in frames]
    return np.concatenate(arrays).astype(np.int16)


def lost(blocks: Sequence[AudioBlock]) -> int:
    """The tenths of a second of `SAID` that are not in them."""
    return pieces_found(audio(blocks), SAID).count(-1)


def with_copies(packets: Sequence[RtpPacket], depth: int = 2) -> list[RtpPacket]:
    """The packets as redundant audio: each carries so many of those before it."""
    packed = []
    for at, each in enumerate(packets):
        blocks = [(one.timestamp, one.payload) for one in packets[max(0, at - depth) : at + 1]]
        made = RtpPacket(RED, 1, each.sequence_number, each.timestamp, each.ssrc)
        made.payload = pack_red(blocks, OPUS)
        packed.append(made)
    return packed


def test_lost_packets_that_a_later_one_carries_are_decoded_in_their_place() -> None:
    packets, clock, blocks = spoken(), Clock(), list[AudioBlock]()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.red_type, receiver.sink = RED, take_into(blocks)
    for at, each in enumerate(with_copies(packets)):
        if at % 10 not in (7, 8):
            receiver.add(each)
        clock.advance()
    assert np.array_equal(audio(blocks), audio(receive(packets)))
    assert (receiver.concealed_samples, receiver.discarded) == (0, 0)


def test_a_packet_that_is_no_redundant_audio_is_discarded() -> None:
    packets, clock, blocks = spoken(), Clock(), list[AudioBlock]()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.red_type, receiver.sink = RED, take_into(blocks)
    first, second, third = with_copies(packets[:3])
    second.payload = bytes([PCMU]) + packets[1].payload
    for each in (first, second, third):
        receiver.add(each)
    # The next one carries what was in it.
    assert np.array_equal(audio(blocks), audio(receive(packets[:3])))
    assert receiver.discarded == 1


def test_packets_of_opus_and_of_redundant_audio_alone_are_taken() -> None:
    receiver = OpusReceiver([OPUS, None], refuse)
    assert [receiver.takes(each) for each in (OPUS, PCMU, RED)] == [True, False, False]
    receiver.red_type = RED
    assert [receiver.takes(each) for each in (OPUS, PCMU, RED)] == [True, False, True]


@pytest.mark.parametrize(
    "sent",
    [
        [0, 2, 1, 3],
        [0, 2, 1, 4, 3, 5],
        [0, 1, 1, 2, 0, 3],
        [0, 2, 1, 1, 2, 3],
    ],
)
def test_packets_are_decoded_in_order_and_once(sent: list[int]) -> None:
    packets = spoken()
    blocks = receive(packets[number] for number in sent)
    whole = receive(packets[: max(sent) + 1])
    assert np.array_equal(audio(blocks), audio(whole))


def test_a_missing_packet_is_given_up_though_none_comes_after_the_next() -> None:
    packets = spoken()
    assert length(receive([packets[0], packets[2]])) == 3 * 960
    assert length(receive([packets[0], packets[1], packets[3]])) == 4 * 960


def test_a_packet_that_is_late_by_less_than_others_were_is_waited_for() -> None:
    clock, blocks = Clock(), list[AudioBlock]()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    packets = spoken()
    for k in range(0, 90, 6):
        # Five come in time, one comes 90 ms late: more than three packets after its turn.
        for each in (*packets[k : k + 1], *packets[k + 2 : k + 6], packets[k + 1]):
            receiver.add(each)
            clock.advance()
    clock.advance(1.0)
    assert length(blocks) == 90 * 960
    assert receiver.concealed_samples <= 3 * 960, "the first one or two teach the others"


def test_after_the_end_nothing_is_delivered_and_no_timer_waits() -> None:
    clock, blocks = Clock(), list[AudioBlock]()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    packets = spoken()
    for each in (packets[0], packets[2]):
        receiver.add(each)
    receiver.close()
    clock.advance(1.0)
    receiver.add(packets[3])
    assert length(blocks) == 960


def test_without_loss_audio_is_the_same_as_through_aiortc_but_sooner() -> None:
    ours, theirs = receive(spoken()), receive_through_aiortc(spoken())
    assert [each.samples.size for each in ours] == [960] * 100
    assert len(theirs) == 96, "aiortc still holds the last ones back"
    # Of FFmpeg's libopus and ours, which round differently.
    error = audio(ours)[: 96 * 960] - audio_of_frames(theirs).astype(np.int32)
    assert np.abs(error).max() <= 2


def test_a_lost_packet_costs_what_was_in_it_and_aiortc_five_times_as_much() -> None:
    packets = spoken()
    del packets[50]
    ours, theirs = receive(packets), receive_through_aiortc(packets)
    assert length(ours) == 100 * 960, "something stands for the lost one"
    assert lost(ours) <= 1
    assert len(theirs) <= 95


@pytest.mark.parametrize("first", [0, 65_500, (1 << 32) // 960 - 50])
def test_loss_and_reordering_leave_no_gap_wherever_the_counters_are(first: int) -> None:
    packets = spoken(first)
    for k in range(10, 90, 20):
        packets[k], packets[k + 1] = packets[k + 1], packets[k]
    del packets[75], packets[35]
    blocks = receive(packets)
    assert length(blocks) == 100 * 960
    assert lost(blocks) <= 2


def test_a_sender_that_was_silent_by_not_sending_is_silent() -> None:
    packets = spoken()
    resumed = [
        packet(30 + k, each.payload, timestamp=960 * (50 + k))
        for k, each in enumerate(packets[50:])
    ]
    blocks = receive(packets[:30] + resumed)
    assert length(blocks) == 100 * 960
    assert not audio(blocks)[30 * 960 : 50 * 960].any()


def test_a_session_that_stood_still_does_not_get_its_silence_afterwards() -> None:
    packets = spoken()
    later = packet(100, packets[50].payload, timestamp=48_000 * 60)
    blocks = receive([*packets, later])
    assert length(blocks) == 101 * 960


def test_a_sender_that_begins_again_is_received_at_once() -> None:
    packets = spoken()
    again = [packet(7 + k, each.payload, ssrc=2) for k, each in enumerate(packets)]
    blocks = receive(packets + again)
    assert length(blocks) == 200 * 960
    assert np.array_equal(audio(blocks)[:96_000], audio(blocks)[96_000:])


def test_packets_that_are_no_opus_are_concealed_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, blocks = Clock(), list[AudioBlock]()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    packets = spoken()
    for k in (20, 21, 40):
        packets[k].payload = b"\xff\xff\xff"
    # Readable as far as the length goes.
    packets[50].payload = b"\xf1\xff\xff\xff"
    packets[60].payload = b""
    for each in packets:
        receiver.add(each)
        clock.advance()
    assert length(blocks) == 100 * 960
    assert lost(blocks) <= 5
    assert receiver.discarded == 5
    receiver.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("preferred", "rate_hz", "channels"),
    [((16_000, "mono"), 16_000, 1), ((22_050, "stereo"), 24_000, 2), ((96_000, "mono"), 48_000, 1)],
)
def test_opus_is_decoded_at_the_rate_that_suits(
    preferred: tuple[int, Layout], rate_hz: int, channels: int
) -> None:
    blocks: list[AudioBlock] = []
    clock = Clock()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    receiver.prefer(*preferred)
    encoder = AudioEncoder(2)
    for number in range(50):
        receiver.add(packet(number, encoder.encode(np.full((1, 1920), 7_000, np.int16))))
        clock.advance()
    assert {(block.rate_hz, block.channels) for block in blocks} == {(rate_hz, channels)}
    assert length(blocks) == rate_hz
    receiver.close()


def test_a_sender_that_becomes_stereo_is_decoded_on_by_the_same_decoder() -> None:
    blocks: list[AudioBlock] = []
    clock = Clock()
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    receiver.prefer(48_000, "stereo")
    mono, stereo = AudioEncoder(1), AudioEncoder(2)
    for number in range(50):
        said = tone(0.02, 500).reshape(1, -1)
        wide = number >= 25
        payload = stereo.encode(said.repeat(2, axis=1)) if wide else mono.encode(said)
        receiver.add(packet(number, payload))
        clock.advance()
    assert {block.channels for block in blocks} == {2}
    left = np.concatenate([block.samples[0, ::2] for block in blocks])
    levels = np.abs(left.astype(int)).reshape(50, -1).max(axis=1)
    # A decoder that begins in the middle of a stream is fainter at first.
    assert levels[5:].min() > 0.9 * np.median(levels)
    receiver.close()


def test_a_negative_rate_is_refused_and_changes_nothing() -> None:
    receiver = OpusReceiver([OPUS], refuse)
    with pytest.raises(AudioError, match="from 8000 to 192000 Hz, got -1 Hz"):
        receiver.prefer(-1, "mono")
    receiver.sink = take_into(blocks := list[AudioBlock]())
    receiver.add(spoken()[0])
    assert (blocks[0].rate_hz, length(blocks)) == (48_000, 960)


def test_other_codecs_are_left_to_aiortc() -> None:
    receiver = OpusReceiver([OPUS], refuse)
    buffer = OpusJitterBuffer(receiver, JitterBuffer(capacity=16, prefetch=4))
    reference = JitterBuffer(capacity=16, prefetch=4)
    for number in range(20):
        sent = packet(number, bytes([number]))
        sent.payload_type = PCMU
        (flag, encoded), (their_flag, expected) = buffer.add(sent), reference.add(sent)
        assert flag is their_flag
        assert (encoded and encoded.data) == (expected and expected.data)


def test_nothing_of_opus_is_left_to_aiortc() -> None:
    blocks: list[AudioBlock] = []
    receiver = OpusReceiver([OPUS], refuse, itertools.count(0.0, 0.02).__next__)
    receiver.sink = take_into(blocks)
    buffer = OpusJitterBuffer(receiver, JitterBuffer(capacity=16, prefetch=4))
    assert {buffer.add(each) for each in spoken()} == {(False, None)}
    assert length(blocks) == 100 * 960


def test_without_a_sink_blocks_wait_in_the_queue_and_so_does_the_sinks_error() -> None:
    queued: list[object] = []

    def fail(_block: AudioBlock) -> float:
        raise ZeroDivisionError

    receiver, packets = OpusReceiver([OPUS], queued.append), spoken()
    receiver.add(packets[0])
    receiver.sink = fail
    receiver.add(packets[1])
    receiver.add(packets[2])
    assert [type(each) for each in queued] == [AudioBlock, ZeroDivisionError, AudioBlock]


@pytest.mark.parametrize(
    ("batch_allowance_s", "came"),
    [
        (-0.02, [1, 2, 3, 4, 5, 6, 7]),
        (0.02, [1, 2, 3, 4, 5, 6, 7]),
        (0.021, [1, 3, 3, 5, 5, 7, 7]),
        (0.06, [1, 4, 4, 4, 7, 7, 7]),
        (10.0, [1, 8, 8, 8, 8, 8, 8]),
    ],
)
def test_packets_that_nobody_hurries_for_come_together(
    batch_allowance_s: float, came: list[int]
) -> None:
    sink = Unhurried(batch_allowance_s)
    sink.send(spoken()[:11])
    assert sink.came[:7] == came


def test_audio_that_waited_is_the_same() -> None:
    packets = spoken()
    del packets[50]
    sink = Unhurried(10.0)
    sink.send(packets)
    waited = audio(sink.blocks)
    assert waited.size > 90 * 960
    assert np.array_equal(waited, audio(receive(packets))[: waited.size])


def test_nothing_waits_once_there_is_a_hurry() -> None:
    sink, packets = Unhurried(10.0), spoken()
    sink.send(packets[:7])
    sink.batch_allowance_s = 0.0
    sink.send(packets[7:10])
    assert sink.came == [1, *[8] * 7, 9, 10]


def test_audio_that_waited_comes_before_a_gap_and_before_another_stream() -> None:
    sink, packets = Unhurried(0.2), spoken()
    sink.send([*packets[:3], packet(3, packets[3].payload, timestamp=960 * 20)])
    assert length(sink.blocks) == 960 * 21
    assert sink.came == [1, *[4] * 20]
    sink.send([packet(4, packets[4].payload, timestamp=960 * 21)])
    sink.send([packet(7 + k, packets[7 + k].payload, ssrc=2) for k in range(7)])
    assert len(sink.came) >= 21 + 7


def test_no_packet_of_the_first_stream_is_lost_to_the_second() -> None:
    sink, packets = Unhurried(10.0), spoken()
    sink.send(packets[:4])
    sink.send([packet(k, each.payload, ssrc=2) for k, each in enumerate(packets[:8])])
    # Three wait for four of the second stream.
    assert sink.came == [1, *[8] * 7]


def test_packets_that_are_all_stamped_alike_do_not_pile_up() -> None:
    sink = Unhurried(10.0)
    sink.send([packet(k, each.payload, timestamp=960) for k, each in enumerate(spoken())])
    assert len(sink.came) > 100 - 7


def decoded_seconds(packets: Iterable[RtpPacket], clock: Clock) -> tuple[float, int]:
    blocks: list[AudioBlock] = []
    receiver = OpusReceiver([OPUS], refuse, clock, clock.call_later)
    receiver.sink = take_into(blocks)
    for each in packets:
        receiver.add(each)
    return length(blocks) / 48_000, receiver.refused


def test_gaps_are_filled_for_as_long_as_a_session_can_have_lasted() -> None:
    clock = Clock()
    payload = spoken()[0].payload

    def far_apart(count: int) -> Iterator[RtpPacket]:
        for number in range(count):
            clock.advance()
            yield packet(number, payload, timestamp=23_000 * number)

    decoded, refused = decoded_seconds(far_apart(2_000), clock)
    allowed = ALLOWED_AT_ONCE_S + ALLOWED_RATE * 40.0
    assert 0.9 * allowed < decoded <= allowed
    assert refused > 500


def test_long_packets_count_as_what_they_hold() -> None:
    clock = Clock()
    payload = bytes([spoken()[0].payload[0] | 3, 6]) + bytes(6)
    many = [packet(number, payload, timestamp=5_760 * number) for number in range(500)]
    decoded, refused = decoded_seconds(many, clock)
    assert decoded < ALLOWED_AT_ONCE_S + 0.25
    assert refused > 400


def test_audio_that_a_network_held_back_comes_whole() -> None:
    clock = Clock()
    payload = spoken()[0].payload

    def held_back() -> Iterator[RtpPacket]:
        for number in range(500):
            if number < 250:
                clock.advance()
            if number == 250:
                clock.advance(5.0)
            yield packet(number, payload)

    decoded, refused = decoded_seconds(held_back(), clock)
    assert decoded == pytest.approx(10.0)
    assert refused == 0

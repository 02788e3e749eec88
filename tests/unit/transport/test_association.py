"""Messages of a data channel from chunks in any order, within the limits and the window."""

# ruff: noqa: SLF001  # the methods that aiortc calls

from __future__ import annotations

from typing import Any

import pytest
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtcsctptransport import (
    ForwardTsnChunk,
    RTCSctpTransport,
    SackChunk,
    serialize_packet,
)
from hypothesis import given
from hypothesis import strategies as st
from support.clock import run_virtual
from support.wire import TSNS, data_chunk

from gradio_webrtc import Limits
from gradio_webrtc._transport.webrtc.aiortc_internals.association import (
    LEAST_PART_BYTES,
    MAX_AHEAD,
    MAX_DUPLICATES,
    WINDOW_MESSAGES,
    HardenedAssociation,
    ahead,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.channels import ProtocolBreach
from gradio_webrtc._transport.webrtc.aiortc_internals.objects import become

FIRST, LAST = 2, 1
WHOLE = FIRST | LAST
LIMITS = Limits(message_bytes=4096)
CERTIFICATE = RTCCertificate.generateCertificate()


class Association:
    """An association whose remote peer has sent everything up to the number before ``begin``.

    Attributes:
        messages: The messages that are complete.
    """

    def __init__(self, begin: int) -> None:
        ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        made: Any = become(
            RTCSctpTransport(RTCDtlsTransport(ice, [CERTIFICATE])), HardenedAssociation
        )
        assert made is not None
        self.sctp = made
        self.sctp.harden(lambda _reason: None, LIMITS)
        self.sctp._last_received_tsn = (begin - 1) % TSNS
        self.sctp._receive = self._take
        self.begin = begin
        self.messages: list[bytes] = []

    async def _take(self, _stream: int, _protocol: int, data: bytes) -> None:
        self.messages.append(data)

    async def receive(self, number: int, flags: int, payload: bytes) -> None:
        """A chunk of the remote peer, by its number from the first on."""
        await self.sctp._receive_data_chunk(data_chunk(self.begin + number, flags, payload))

    async def give_up(self, number: int) -> None:
        """The remote peer gives up everything up to this chunk."""
        chunk = ForwardTsnChunk()
        chunk.cumulative_tsn = (self.begin + number) % TSNS
        await self.sctp._receive_forward_tsn_chunk(chunk)


@pytest.mark.parametrize(
    ("tsn", "of", "distance"),
    [(5, 3, 2), (3, 5, -2), (1, TSNS - 1, 2), (TSNS - 1, 1, -2), (7, 7, 0)],
)
def test_numbers_are_compared_around_their_end(tsn: int, of: int, distance: int) -> None:
    assert ahead(tsn, of) == distance


@given(
    st.sampled_from([0, 1000, TSNS - 2]),
    st.lists(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), max_size=6),
    st.randoms(use_true_random=False),
)
def test_messages_are_whole_and_in_order_whatever_the_order_of_their_parts(
    begin: int, messages: list[list[bytes]], random: Any
) -> None:
    chunks: list[tuple[int, int, bytes]] = []
    for parts in messages:
        for index, part in enumerate(parts):
            flags = FIRST * (index == 0) | LAST * (index == len(parts) - 1)
            chunks.append((len(chunks), flags, part))
    sent = chunks + random.sample(chunks, len(chunks) // 2)
    random.shuffle(sent)

    async def scene() -> None:
        association = Association(begin)
        for chunk in sent:
            await association.receive(*chunk)
        assert association.messages == [b"".join(parts) for parts in messages]
        window = WINDOW_MESSAGES * LIMITS.message_bytes
        assert association.sctp._advertised_rwnd == window
        assert not association.sctp._sack_misordered

    run_virtual(scene())


async def test_few_chunks_wait_for_one_before_them_and_few_duplicates_are_named() -> None:
    association = Association(10)
    for number in range(1, 2000):
        await association.receive(number, WHOLE, b"x")
    assert len(association.sctp._sack_misordered) == MAX_AHEAD
    for _ in range(1000):
        await association.receive(1, WHOLE, b"x")
    assert len(association.sctp._sack_duplicates) == MAX_DUPLICATES
    await association.receive(0, WHOLE, b"x")
    assert len(association.messages) == MAX_AHEAD + 1


async def test_what_waits_leaves_room_for_the_missing_message() -> None:
    association = Association(10)
    for number in range(1, 100):
        await association.receive(number, WHOLE, bytes(1024))
    assert association.sctp._advertised_rwnd >= LIMITS.message_bytes
    waiting = len(association.sctp._sack_misordered)
    await association.receive(0, WHOLE, bytes(LIMITS.message_bytes))
    assert len(association.messages) == 1 + waiting


@pytest.mark.parametrize("size", [1, 1024])
async def test_a_message_without_an_end_is_a_breach(size: int) -> None:
    association = Association(10)
    most = min(LIMITS.message_bytes // size, LIMITS.message_bytes // LEAST_PART_BYTES)
    for number in range(most):
        await association.receive(number, FIRST * (number == 0), bytes(size))
    with pytest.raises(ProtocolBreach, match="larger than 4096 bytes"):
        await association.receive(most, 0, bytes(size))


async def test_what_the_sender_gives_up_is_skipped_and_the_rest_is_taken() -> None:
    association = Association(10)
    await association.receive(0, FIRST, b"lost ")
    await association.receive(2, LAST, b"with its middle")
    await association.receive(3, WHOLE, b"whole")
    await association.receive(5, WHOLE, b"later")
    assert association.messages == []
    await association.give_up(2)
    assert association.messages == [b"whole"]
    await association.give_up(1)
    await association.receive(4, LAST, b"the end of nothing")
    assert association.messages == [b"whole", b"later"]


SENT = (100, 110)
"""Our own chunks that wait for an acknowledgement: the numbers of the last before, and the last."""


@pytest.mark.parametrize(
    ("cumulative", "gaps", "is_taken"),
    [
        (SENT[0], [], True),
        (SENT[1], [], True),
        (SENT[1] + 1, [], False),
        (SENT[0], [(2, 3), (5, 10)], True),
        (SENT[0], [(5, 11)], False),
        (SENT[0], [(3, 2)], False),
        (SENT[0], [(2, 5), (5, 6)], False),
        (SENT[0], [(0, 1)], False),
    ],
)
async def test_an_acknowledgement_of_what_was_never_sent_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
    cumulative: int,
    gaps: list[tuple[int, int]],
    is_taken: bool,  # noqa: FBT001
) -> None:
    taken: list[object] = []

    async def note(_self: object, chunk: SackChunk) -> None:
        taken.append(chunk)

    monkeypatch.setattr(RTCSctpTransport, "_receive_sack_chunk", note)
    association = Association(10)
    first, last = SENT
    association.sctp._last_sacked_tsn = first
    association.sctp._sent_queue.extend(
        data_chunk(tsn, WHOLE, b"x") for tsn in range(first + 1, last + 1)
    )
    assert association.sctp.unacknowledged == last - first
    chunk = SackChunk()
    chunk.cumulative_tsn, chunk.gaps = cumulative, gaps
    await association.sctp._receive_sack_chunk(chunk)
    assert bool(taken) is is_taken


async def test_a_message_beyond_the_limits_ends_the_session_once_and_nothing_more_is_taken() -> (
    None
):
    association = Association(10)
    reasons: list[str] = []
    sctp = association.sctp
    sctp.harden(reasons.append, LIMITS)
    for number in range(3):
        chunk = data_chunk(association.begin + number, WHOLE, bytes(LIMITS.message_bytes + 1))
        packet = serialize_packet(5000, 5000, sctp._local_verification_tag, chunk)
        await sctp._handle_data(packet)
    assert reasons == ["The connection was closed: a message was larger than 4096 bytes."]
    chunk = data_chunk(association.begin + 1, WHOLE, b"x")
    await sctp._handle_data(serialize_packet(5000, 5000, sctp._local_verification_tag, chunk))
    assert association.messages == []

"""The guard of a connection's sockets: it passes some datagrams, and counts and drops others."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from aioice import stun
from aioice.ice import CandidatePair
from support.datagrams import check, mutations

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.webrtc.aiortc_internals import datagram_guard as guards
from gradio_webrtc._transport.webrtc.aiortc_internals.authentic import AuthenticPackets

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]


class Connection:
    """As much of a connection of aioice as a guard needs."""

    local_username = "abcd"
    local_password = "p" * 22
    remote_username: str | None = "efgh"
    remote_password = "q" * 22

    def __init__(self) -> None:
        self._protocols: list[Any] = []
        self._check_list: list[Any] = []
        self._nominated: dict[int, Any] = {}
        self._remote_candidates: list[Any] = []
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self.requests: list[stun.Message] = []
        self.closed = asyncio.Event()

    def request_received(self, message: stun.Message, *_: object) -> None:
        self.requests.append(message)

    async def close(self) -> None:
        self.closed.set()

    data_received: Callable[[bytes, int], None]
    query_consent: Callable[[], Any]
    build_request: Callable[..., Any]


class Socket:
    """As much of a socket of aioice as a guard needs."""

    class local_candidate:  # noqa: N801
        component = 1

    def __init__(self, connection: Connection) -> None:
        self.transactions: dict[bytes, Any] = {}
        connection._protocols += [self]  # noqa: SLF001

    datagram_received: Callable[[bytes, Address], None]

    def send_stun(self, message: stun.Message, target: Address) -> None: ...


HERE = ("192.0.2.1", 5000)


class Pair:
    """A candidate pair."""

    def __init__(self, address: Address, state: CandidatePair.State) -> None:
        self.remote_addr = address
        self.state = state


@pytest.fixture
def clock() -> list[float]:
    """The time in seconds, to be set."""
    return [0.0]


def guarded(clock: list[float]) -> tuple[Connection, guards.DatagramGuard, Socket]:
    connection = Connection()
    made = guards.DatagramGuard(connection, lambda: clock[0])
    return connection, made, Socket(connection)


@pytest.mark.parametrize("state", CandidatePair.State)
async def test_media_come_from_pairs_that_are_checked_or_valid(
    state: CandidatePair.State, clock: list[float]
) -> None:
    connection, made, sock = guarded(clock)
    connection._check_list.append(Pair(HERE, state))  # noqa: SLF001
    sock.datagram_received(b"\x80" * 40, HERE)
    sock.datagram_received(b"\x80" * 40, ("192.0.2.1", 5001))
    is_taken = state in (CandidatePair.State.IN_PROGRESS, CandidatePair.State.SUCCEEDED)
    assert connection._queue.qsize() == is_taken  # noqa: SLF001
    assert made.refused["source"] == 2 - is_taken


async def test_a_flood_of_the_peers_own_is_cut_and_the_newest_is_kept(clock: list[float]) -> None:
    connection, made, sock = guarded(clock)
    connection._check_list.append(Pair(HERE, CandidatePair.State.SUCCEEDED))  # noqa: SLF001
    for number in range(10_000):
        sock.datagram_received(b"\x80" * 20 + number.to_bytes(4), HERE)
    queue = connection._queue  # noqa: SLF001
    assert queue.qsize() == guards.MAX_WAITING
    assert made.refused["rate"] == 10_000 - guards.BURST
    last = [queue.get_nowait() for _ in range(guards.MAX_WAITING)][-1]
    assert int.from_bytes(last[0][20:]) == guards.BURST - 1
    clock[0] += 1
    for _ in range(10_000):
        sock.datagram_received(b"\x80" * 24, HERE)
    assert made.refused["rate"] == 20_000 - guards.BURST - guards.PACKETS_PER_S


async def test_media_are_passed_on_without_an_attempt_to_read_them_as_stun(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, made, sock = guarded(clock)
    connection._check_list.append(Pair(HERE, CandidatePair.State.SUCCEEDED))  # noqa: SLF001
    parsed: list[bytes] = []
    monkeypatch.setattr(stun, "parse_message", parsed.append)
    for first in (0x14, 0x16, 0x3F, 0x80, 0x90, 0xBF):
        sock.datagram_received(bytes([first]) * 40, HERE)
    assert parsed == []
    assert made.passed == 6
    assert connection._queue.qsize() == 6  # noqa: SLF001


async def test_the_end_of_a_connection_is_not_pushed_out_of_its_queue(clock: list[float]) -> None:
    connection, _, _ = guarded(clock)
    queue = connection._queue  # noqa: SLF001
    queue.put_nowait(None)
    for _ in range(2 * guards.MAX_WAITING):
        connection.data_received(b"\x80" * 40, 1)
    left = [queue.get_nowait() for _ in range(queue.qsize())]
    assert None in left


async def test_checks_are_answered_if_they_have_the_password(clock: list[float]) -> None:
    connection, made, sock = guarded(clock)
    good = check("abcd:efgh", "p" * 22)
    sock.datagram_received(good, HERE)
    assert len(connection.requests) == 1
    without_priority = stun.Message(
        message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
    )
    without_priority.attributes["USERNAME"] = "abcd:efgh"
    without_priority.add_message_integrity(b"p" * 22)
    bad = [
        check("abcd:efgh", "x" * 22),
        check("abcd:other", "p" * 22),
        check("dcba:abcd:efgh", "p" * 22),
        bytes(without_priority),
        good[:-4],
        good + bytes(4),
        good[:4] + bytes(4) + good[8:],
    ]
    for datagram in bad:
        sock.datagram_received(datagram, HERE)
    assert len(connection.requests) == 1
    assert made.refused["stun"] == len(bad)


async def test_checks_are_limited_in_rate_and_in_the_addresses_they_come_from(
    clock: list[float],
) -> None:
    connection, made, sock = guarded(clock)
    good = check("abcd:efgh", "p" * 22)
    for port in range(1_000):
        sock.datagram_received(good, ("192.0.2.1", port))
    assert len(connection.requests) == guards.CHECKS_BURST
    assert made.refused["rate"] == 1_000 - guards.CHECKS_BURST
    clock[0] += 10

    class Candidate:
        def __init__(self, port: int) -> None:
            self._network_host, self.port = HERE[0], port

    many = [Candidate(port) for port in range(guards.MAX_REMOTE_CANDIDATES)]
    connection._remote_candidates.extend(many)  # noqa: SLF001
    sock.datagram_received(good, ("192.0.2.1", 9_999))
    assert made.refused["candidates"] == 1
    sock.datagram_received(good, ("192.0.2.1", 3))
    assert made.refused["candidates"] == 1


async def test_checks_with_another_signature_take_nothing_from_the_peers_own(
    clock: list[float],
) -> None:
    connection, made, sock = guarded(clock)
    for password in ("x" * 22, "p" * 21):
        for datagram in mutations(check("abcd:efgh", password), 1_000):
            sock.datagram_received(datagram, HERE)
        for _ in range(1_000):
            sock.datagram_received(check("abcd:efgh", password), HERE)
    assert not connection.requests
    assert made.refused["rate"] == 0
    for _ in range(int(guards.CHECKS_BURST)):
        sock.datagram_received(check("abcd:efgh", "p" * 22), HERE)
    assert len(connection.requests) == guards.CHECKS_BURST


@pytest.mark.parametrize(("password", "is_known"), [("q" * 22, True), ("x" * 22, False)])
async def test_a_signed_answer_makes_its_source_known(
    password: str,
    is_known: bool,  # noqa: FBT001  # a parameter of pytest's
    clock: list[float],
) -> None:
    connection, made, sock = guarded(clock)
    sent: list[Address] = []
    connection._check_list.append(Pair(HERE, CandidatePair.State.IN_PROGRESS))  # noqa: SLF001
    answer = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
    answer.add_message_integrity(password.encode())

    class Transaction:
        def response_received(self, _message: stun.Message, source: Address) -> None:
            sent.append(source)

    sock.transactions[answer.transaction_id] = Transaction()
    for source in (HERE, ("192.0.2.2", 7)):
        sock.datagram_received(bytes(answer), source)
    assert sent == [HERE, ("192.0.2.2", 7)], "aioice judges the answers to its own questions"
    assert made._known_sources == ({HERE} if is_known else set())  # noqa: SLF001


async def test_ten_thousand_mutations_of_a_check_raise_nothing(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    connection, made, sock = guarded(clock)
    good = check("abcd:efgh", "p" * 22, ICE_CONTROLLING=7, USE_CANDIDATE=None)
    with caplog.at_level(logging.WARNING):
        for datagram in mutations(good, 10_000):
            clock[0] += 1
            sock.datagram_received(datagram, HERE)
    assert len(connection.requests) + made.refused.total() >= 10_000
    assert made.refused["fault"] > 0


async def test_consent_lasts_while_anything_authentic_comes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, made, sock = guarded(clock)
    ticks = 0

    async def sleep(seconds: float) -> None:
        nonlocal ticks
        ticks += 1
        clock[0] += seconds
        if ticks <= 20:
            sock.datagram_received(check("abcd:efgh", "p" * 22), HERE)
        else:
            sock.datagram_received(check("abcd:efgh", "x" * 22), HERE)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await made.query_consent()
    assert connection.closed.is_set()
    assert 20 + 5 <= ticks <= 20 + 9


async def test_packets_of_any_kind_that_were_decrypted_are_authentic(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection()
    authentic = AuthenticPackets(lambda: clock[0])
    made = guards.DatagramGuard(connection, lambda: clock[0], authentic)
    sock = Socket(connection)
    connection._check_list.append(Pair(HERE, CandidatePair.State.SUCCEEDED))  # noqa: SLF001
    ticks = 0

    async def sleep(seconds: float) -> None:
        nonlocal ticks
        ticks += 1
        clock[0] += seconds
        sock.datagram_received(b"\x80" * 40, HERE)
        if ticks <= 20:
            authentic.note()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await made.query_consent()
    assert 20 + 5 <= ticks <= 20 + 9
    assert made.silent_s > guards.CONSENT_LIMIT_S, "a forged source prolongs nothing"


async def test_without_a_note_of_what_was_decrypted_the_source_counts(clock: list[float]) -> None:
    connection, made, sock = guarded(clock)
    connection._check_list.append(Pair(HERE, CandidatePair.State.SUCCEEDED))  # noqa: SLF001
    clock[0] += 5
    assert made.silent_s == 5
    sock.datagram_received(b"\x80" * 40, HERE)
    assert made.silent_s == 0


def test_a_bucket_lets_its_rate_pass_and_no_more() -> None:
    clock = [0.0]
    bucket = TokenBucket(10.0, 3.0, lambda: clock[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock[0] = 0.1
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock[0] = 100.0
    assert sum(bucket.take() for _ in range(9)) == 3
    idle = TokenBucket(10.0, 3.0, lambda: clock[0])
    clock[0] = 200.0
    assert sum(idle.take() for _ in range(9)) == 3, "a pause before the first is no second burst"

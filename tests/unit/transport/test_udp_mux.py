"""A shared socket: each datagram reaches the session it is for, and no session takes another's."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from aioice import stun
from support.datagrams import check, mutations

from gradio_webrtc._transport.webrtc.aiortc_internals import udp_mux as muxes

Address = tuple[str, int]

HERE: Address = ("192.0.2.1", 5000)
THERE: Address = ("192.0.2.2", 6000)
MEDIA = b"\x80" + bytes(39)


class Socket:
    """As much of asyncio's transport as a shared socket needs."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []
        self.is_closed = False

    def sendto(self, data: bytes, target: Address) -> None:
        self.sent.append((data, target))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.9", 50_000) if name == "sockname" else default


class Session:
    """As much of a protocol of aioice as a shared socket needs.

    Attributes:
        check: A check that is signed with the session's password.
    """

    transport: muxes.MuxedTransport

    def __init__(self, name: str) -> None:
        self.name = name
        self.password = name * 6
        self.check = check(f"{name}:peer", self.password)
        self.received: list[bytes] = []
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: muxes.MuxedTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)

    def datagram_received(self, data: bytes, _source: Address) -> None:
        self.received.append(data)

    def ask(self, target: Address, *, is_check: bool = True) -> stun.Message:
        """Sends a request; returns it."""
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        if is_check:
            request.attributes["USERNAME"] = f"peer:{self.name}"
        self.transport.sendto(bytes(request), target)
        return request


def answer_to(request: stun.Message, kind: stun.Class = stun.Class.RESPONSE) -> bytes:
    return bytes(
        stun.Message(
            message_method=stun.Method.BINDING,
            message_class=kind,
            transaction_id=request.transaction_id,
        )
    )


def opened() -> tuple[muxes.UdpMux, Socket]:
    mux, sock = muxes.UdpMux(lambda: None), Socket()
    mux.connection_made(sock)  # type: ignore[arg-type]  # as much as it needs
    return mux, sock


def added(mux: muxes.UdpMux, name: str) -> Session:
    session = Session(name)
    mux.add(session, session.name, session.password)
    return session


async def test_a_check_reaches_the_session_that_it_names() -> None:
    mux, _ = opened()
    ann, bob = added(mux, "anns"), added(mux, "bobs")
    mux.datagram_received(ann.check, HERE)
    mux.datagram_received(bob.check, THERE)
    assert (ann.received, bob.received) == ([ann.check], [bob.check])
    assert mux.refused == 0


async def test_a_check_with_another_password_reaches_nobody() -> None:
    mux, _ = opened()
    ann, bob = added(mux, "anns"), added(mux, "bobs")
    good = ann.check
    for datagram in (
        check("anns:peer", bob.password),
        check("eves:peer", ann.password),
        good[:-1],
        good[:4] + bytes(4) + good[8:],
        good[:20],
        b"",
        b"\x00",
    ):
        mux.datagram_received(datagram, HERE)
    assert ann.received == bob.received == []
    assert mux.refused == 7
    mux.datagram_received(MEDIA, HERE)
    assert mux.refused == 8, "none of them gave the address to a session"


async def test_media_reach_the_session_whose_check_came_from_there() -> None:
    mux, _ = opened()
    ann, bob = added(mux, "anns"), added(mux, "bobs")
    mux.datagram_received(ann.check, HERE)
    mux.datagram_received(bob.check, THERE)
    ann.received.clear()
    bob.received.clear()
    mux.datagram_received(MEDIA + b"a", HERE)
    mux.datagram_received(MEDIA + b"b", THERE)
    mux.datagram_received(MEDIA + b"c", (HERE[0], HERE[1] + 1))
    assert (ann.received, bob.received) == ([MEDIA + b"a"], [MEDIA + b"b"])
    assert mux.refused == 1


async def test_the_four_parts_of_an_address_of_ipv6_are_two_here() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    mux.datagram_received(ann.check, ("2001:db8::1", 5000, 0, 0))
    mux.datagram_received(MEDIA, ("2001:db8::1", 5000, 0, 0))
    assert ann.received == [ann.check, MEDIA]


async def test_a_forged_check_takes_no_address_from_another_session() -> None:
    mux, _ = opened()
    ann, eve = added(mux, "anns"), added(mux, "eves")
    mux.datagram_received(ann.check, HERE)
    mux.datagram_received(eve.check, HERE)
    mux.datagram_received(MEDIA, HERE)
    assert ann.received == [ann.check, MEDIA]
    assert eve.received == [eve.check]


async def test_an_address_that_was_claimed_in_advance_is_its_owners_once_it_answers() -> None:
    mux, _ = opened()
    ann, eve = added(mux, "anns"), added(mux, "eves")
    mux.datagram_received(eve.check, HERE)
    mux.datagram_received(ann.check, HERE)
    answer = answer_to(ann.ask(HERE))
    mux.datagram_received(answer, HERE)
    mux.datagram_received(eve.check, HERE)
    mux.datagram_received(MEDIA, HERE)
    assert ann.received == [ann.check, answer, MEDIA]
    assert eve.received == [eve.check, eve.check]
    eve.transport.close()
    mux.datagram_received(MEDIA, HERE)
    assert ann.received[3:] == [MEDIA], "nothing of hers was left to be removed"


async def test_only_the_answer_to_a_check_from_where_it_was_sent_proves_an_address() -> None:
    mux, _ = opened()
    ann, eve = added(mux, "anns"), added(mux, "eves")
    mux.datagram_received(ann.check, HERE)
    ann.received.clear()
    answers = [
        answer_to(eve.ask(HERE), stun.Class.ERROR),  # of a stranger, without the password
        answer_to(eve.ask(THERE)),  # which was sent elsewhere
        answer_to(eve.ask(HERE, is_check=False)),  # of a STUN server
        answer_to(ann.ask(HERE))[:19],
        answer_to(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)),
    ]
    for each in answers:
        mux.datagram_received(each, HERE)
    mux.datagram_received(MEDIA, HERE)
    assert ann.received == [MEDIA]
    assert eve.received == answers[:3]
    assert mux.refused == 2


async def test_a_session_has_a_bounded_number_of_addresses() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    mux.datagram_received(answer_to(ann.ask(HERE)), HERE)
    for port in range(1_000):
        mux.datagram_received(ann.check, ("192.0.2.3", port))
    assert len(mux._routes) == len(ann.transport.addresses) == muxes.MAX_ADDRESSES  # noqa: SLF001
    ann.received.clear()
    mux.datagram_received(MEDIA, HERE)
    assert ann.received == [MEDIA], "that one has answered"
    ann.received.clear()
    for port in range(2_000, 2_100):
        source = ("192.0.2.3", port)
        mux.datagram_received(answer_to(ann.ask(source)), source)
        mux.datagram_received(MEDIA, HERE)
        mux.datagram_received(answer_to(ann.ask(HERE)), HERE)
    assert len(mux._routes) == muxes.MAX_ADDRESSES  # noqa: SLF001
    assert ann.received.count(MEDIA) == 100, "that one answers again and again"


async def test_a_session_has_a_bounded_number_of_questions() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    asked = [ann.ask(HERE) for _ in range(muxes.MAX_REQUESTS + 10)]
    ann.transport.sendto(bytes(asked[-1]), HERE)
    assert len(mux._questions) == len(ann.transport.questions) == muxes.MAX_REQUESTS  # noqa: SLF001
    mux.datagram_received(answer_to(asked[0]), HERE)
    mux.datagram_received(answer_to(asked[-1]), HERE)
    assert ann.received == [answer_to(asked[-1])]


async def test_nothing_is_left_of_a_session_and_the_last_one_closes_the_socket() -> None:
    mux, sock = opened()
    ann, bob = added(mux, "anns"), added(mux, "bobs")
    for each in (ann, bob):
        mux.datagram_received(each.check, HERE if each is ann else THERE)
        each.ask(HERE)
    ann.transport.close()
    ann.transport.abort()
    ann.transport.sendto(MEDIA, HERE)
    mux.datagram_received(MEDIA, HERE)
    assert ann.transport.is_closing()
    assert not sock.is_closed
    assert len(sock.sent) == 2
    assert [len(each) for each in (mux._endpoints, mux._routes, mux._questions)] == [1, 1, 1]  # noqa: SLF001
    bob.transport.close()
    assert sock.is_closed
    assert not mux.is_open
    await asyncio.sleep(0)
    assert (ann.lost, bob.lost) == ([None], [None])


async def test_every_session_ends_with_the_socket() -> None:
    mux, _ = opened()
    sessions = [added(mux, name) for name in ("anns", "bobs")]
    error = OSError("gone")
    mux.connection_lost(error)
    await asyncio.sleep(0)
    assert [each.lost for each in sessions] == [[error], [error]]
    assert mux.closed.done()


async def test_what_has_come_meanwhile_is_taken_in_the_same_turn() -> None:
    waiting = [(MEDIA + bytes([number]), HERE) for number in range(2 * muxes.MAX_BATCH)]

    def receive(_size: int) -> tuple[bytes, Any]:
        if not waiting:
            raise BlockingIOError
        return waiting.pop(0)

    mux = muxes.UdpMux(lambda: None, receive)
    mux.connection_made(Socket())  # type: ignore[arg-type]  # as much as it needs
    ann = added(mux, "anns")
    mux.datagram_received(ann.check, HERE)
    assert len(ann.received) == muxes.MAX_BATCH, "others have their turn then"
    mux.datagram_received(*waiting.pop(0))
    mux.datagram_received(*waiting.pop(0))
    assert [each[-1] for each in ann.received[1:]] == [*range(2 * muxes.MAX_BATCH)]


async def test_what_a_full_network_does_not_take_is_dropped() -> None:
    mux, sock = opened()
    ann = added(mux, "anns")
    mux.pause_writing()
    ann.transport.sendto(MEDIA, HERE)
    mux.resume_writing()
    ann.transport.sendto(MEDIA + b"2", HERE)
    assert sock.sent == [(MEDIA + b"2", HERE)]


async def test_a_name_is_given_once() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    with pytest.raises(muxes.NameTaken):
        added(mux, "anns")
    mux.datagram_received(ann.check, HERE)
    assert ann.received == [ann.check]


async def test_a_session_has_the_address_of_the_socket() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    assert ann.transport.get_extra_info("sockname") == ("192.0.2.9", 50_000)
    assert ann.transport.get_extra_info("peername", "none") == "none"
    mux.error_received(OSError("unreachable"))


async def test_any_bytes_raise_nothing_and_disturb_nobody() -> None:
    mux, _ = opened()
    ann = added(mux, "anns")
    mux.datagram_received(answer_to(ann.ask(HERE)), HERE)
    ann.received.clear()
    made = random.Random(1)  # noqa: S311  # garbage
    for datagram in mutations(ann.check, 10_000):
        mux.datagram_received(datagram, THERE)
    for size in range(2_000):
        mux.datagram_received(made.randbytes(size), THERE)
        mux.datagram_received(b"\x00\x01" + size.to_bytes(2) + made.randbytes(size), THERE)
    assert mux.refused > 10_000
    ann.received.clear()
    mux.datagram_received(MEDIA, HERE)
    assert ann.received == [MEDIA]

"""The transport over a link, with carriers in this process in place of a network."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.link_carrier import Far, frames, frames_in
from support.signals import pitch_hz, tone

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport import AudioBlock, PacedFrame
from gradio_webrtc._transport.link import (
    BrokenRules,
    LinkTerms,
    LinkTransport,
    TooManyCarriers,
    carrier,
)
from gradio_webrtc._transport.link import transport as module
from gradio_webrtc._transport.link.audio import make_codec
from gradio_webrtc._transport.link.frames import (
    ACK,
    NUMBERED,
    FrameKind,
    write_ack,
    write_frame,
)
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    Make = Callable[..., LinkTransport]

AUDIO, TEXT, VIDEO, CLEAR = FrameKind.AUDIO, FrameKind.TEXT, FrameKind.VIDEO, FrameKind.CLEAR
ACKS, BYE, GAP, WELCOME = FrameKind.ACK, FrameKind.BYE, FrameKind.GAP, FrameKind.WELCOME
PCM = LinkTerms("pcm16", 24_000)
SILENCE = bytes(960)


class Endless:
    """A source of audio that never ends, and counts what was taken."""

    def __init__(self) -> None:
        self.pulled = 0
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self._frame = tone(0.02, 450).reshape(1, -1)

    async def wait_ready(self) -> None:
        await self.is_ready.wait()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        if not self.is_ready.is_set():
            return None
        self.pulled += 1
        return self._frame

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


def paced(source: Endless) -> PacedFrame:
    """A frame as the pacer makes it."""
    samples = source.pull()
    assert samples is not None
    return PacedFrame(0, samples, is_audio=True)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., LinkTransport]]:
    """Makes transports, which are closed afterwards."""
    made: list[LinkTransport] = []

    def make_one(terms: LinkTerms = PCM, **config: Any) -> LinkTransport:
        made.append(LinkTransport(terms, SessionConfig(**config)))
        return made[-1]

    yield make_one
    for each in made:
        each.hang_up()
        await each.close()


async def taken_by(transport: LinkTransport) -> list[AudioBlock]:
    """The audio that a session takes from now on."""
    blocks: list[AudioBlock] = []

    def take(block: AudioBlock) -> float:
        blocks.append(block)
        return 0.0

    async def carry() -> None:
        with pytest.raises(ConnectionLost):
            await transport.carry_audio(take)

    transport._tasks.start(carry())  # noqa: SLF001 - ends with it
    await asyncio.sleep(0)
    return blocks


# ------------------------------------------------------------------------------ carriers


async def test_a_carrier_begins_with_a_welcome(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: bool(far.frames))
    assert json.loads(far.of(WELCOME)[0]) == {"received": 0}


async def test_a_new_carrier_gets_what_the_client_lacks_and_then_goes_on(make: Make) -> None:
    transport = make()
    first = Far(transport)
    for text in ("a", "b", "c"):
        transport.send_text(text)
    await first.until(lambda: len(first.numbers) == 3)
    await first.drop()
    transport.send_text("d")
    second = Far(transport, received=1)
    await second.until(lambda: len(second.numbers) == 3)
    assert second.numbers == [2, 3, 4]
    assert second.of(TEXT) == [b"b", b"c", b"d"]
    transport.send_text("e")
    await second.until(lambda: len(second.numbers) == 4)
    assert not transport.is_over


async def test_a_new_carrier_takes_over_from_one_that_seems_open(make: Make) -> None:
    transport = make()
    first = Far(transport)
    second = Far(transport)
    await first.task
    assert first.carrier.is_replaced
    transport.send_text("a")
    await second.until(lambda: second.of(TEXT) == [b"a"])
    assert first.of(TEXT) == []
    transport.leave(first.carrier)
    assert not second.task.done(), "the old one's end is not that of the new one"


async def test_what_an_old_carrier_was_about_to_write_comes_over_the_new_one(make: Make) -> None:
    transport = make()
    first = Far(transport)
    await first.until(lambda: bool(first.frames))
    first.gate.clear()
    transport.send_text("a")
    await asyncio.sleep(0)
    second = Far(transport)
    await second.until(lambda: second.of(TEXT) == [b"a"])
    await first.drop()


async def test_a_client_without_a_carrier_has_some_time_to_come_back(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESUME_S", 0.05)
    transport = make()
    await Far(transport).drop()
    far = Far(transport)
    await asyncio.sleep(0.1)
    assert not transport.is_over, "it came back"
    await far.drop()
    assert "did not come back within 0.05 s" in await transport.wait_closed()


async def test_a_client_that_opens_carrier_after_carrier_is_refused(make: Make) -> None:
    transport = make()
    opened = [transport.open(0) for _ in range(module.CARRIERS_AT_ONCE)]
    with pytest.raises(TooManyCarriers):
        transport.open(0)
    assert [each.is_replaced for each in opened] == [True] * (len(opened) - 1) + [False]


async def test_a_client_cannot_have_what_was_never_sent(make: Make) -> None:
    with pytest.raises(BrokenRules, match="of 0 that were sent"):
        make().open(1)


async def test_after_the_client_has_ended_it_no_carrier_opens(make: Make) -> None:
    transport = make()
    transport.hang_up("it is over")
    await transport.close()
    with pytest.raises(ConnectionLost, match="it is over"):
        transport.open(0)


async def test_a_client_that_did_not_get_the_end_comes_back_for_it(make: Make) -> None:
    ended: list[LinkTransport] = []
    transport = make()
    transport.on_end = ended.append
    transport.play_audio(Endless())
    first = Far(transport)
    await transport.connect()
    await first.until(lambda: bool(first.of(AUDIO)))
    transport.send_text("the reason")
    await transport.close()
    await first.task
    assert ended == [transport]
    second = Far(transport)
    await second.task
    # What was audio is not sent again, but its numbers are.
    assert {kind for kind, _, _ in second.frames} == {WELCOME, GAP, TEXT, BYE}
    assert second.numbers == first.numbers
    assert second.frames[-2:] == first.frames[-2:]


async def test_the_end_is_written_before_the_carrier_is_closed(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await transport.connect()
    transport.send_text("the reason")
    await transport.close()
    await far.task
    kinds = [kind for kind, _, _ in far.frames]
    assert kinds == [WELCOME, TEXT, BYE]
    assert far.of(BYE) == [b"closed by the server"]


async def test_a_carrier_that_takes_nothing_is_broken(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "WRITE_TIMEOUT_S", 0.05)
    transport = make()
    far = Far(transport)
    far.gate.clear()
    with pytest.raises(ConnectionLost, match="took nothing for"):
        await far.task
    Far(transport)


@pytest.mark.parametrize("end", ["closed", "replaced"])
async def test_at_its_end_a_carrier_has_a_moment_for_what_it_still_writes(
    make: Make, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(carrier, "WRITE_TIMEOUT_S", 3600.0)
    monkeypatch.setattr(carrier, "FLUSH_TIMEOUT_S", 0.05)
    transport = make()
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: bool(far.frames))
    far.gate.clear()
    transport.send_text("a")
    await asyncio.sleep(0)
    if end == "closed":
        await transport.close()
    else:
        Far(transport)
    with pytest.raises(ConnectionLost, match="took nothing for"):
        await far.task


# ------------------------------------------------------------------------------ what comes in


async def test_messages_and_audio_are_passed_on(make: Make) -> None:
    transport = make()
    texts: list[str] = []
    transport.on_message = texts.append
    blocks = await taken_by(transport)
    transport.take(frames(TEXT, ["grüezi".encode()]) + frames(AUDIO, [SILENCE], 2))
    assert texts == ["grüezi"]
    assert [(each.rate_hz, each.samples.shape) for each in blocks] == [(24_000, (1, 480))]


async def test_frames_that_overtake_each_other_come_in_order_and_once(make: Make) -> None:
    transport = make()
    texts: list[str] = []
    transport.on_message = texts.append
    three = [write_frame(TEXT, number, b"%d" % number) for number in (1, 2, 3)]
    for data in (three[2], three[1] + three[2], three[0], three[0] + three[1]):
        transport.take(data)
    assert texts == ["1", "2", "3"]


@pytest.mark.parametrize(
    "data",
    [
        b"anything",
        write_frame(TEXT, 1, b"\xff\xfe"),
        write_frame(TEXT, 100_000, b"far ahead"),
        write_frame(WELCOME),
        write_frame(ACKS, 0, b"short"),
        write_frame(ACKS, 0, ACK.pack(1, 0)),
        write_frame(TEXT, 1, bytes(2 * 1024 * 1024)),
    ],
)
async def test_a_client_that_breaks_the_rules_is_sent_away(make: Make, data: bytes) -> None:
    transport = make()
    far = Far(transport)
    with pytest.raises(BrokenRules):
        transport.take(data)
    await far.task
    assert "broke the rules" in await transport.wait_closed()
    assert far.of(BYE)


async def test_a_flood_of_frames_breaks_the_rules(make: Make) -> None:
    transport = make()
    with pytest.raises(BrokenRules, match="250 frames a second"):
        transport.take(write_frame(ACKS, 0, ACK.pack(0, 0)) * (2 * module.MOST_FRAMES_AT_ONCE))


async def test_a_goodbye_ends_the_session(make: Make) -> None:
    transport = make()
    transport.take(write_frame(BYE))
    assert await transport.wait_closed() == "the client left"
    transport.take(b"anything")


@pytest.mark.parametrize(
    ("terms", "payload"),
    [
        (PCM, b""),
        (PCM, b"odd"),
        (PCM, bytes(48_000)),
        (LinkTerms("opus"), b""),
        (LinkTerms("opus"), b"\xff"),
        (LinkTerms("opus"), b"\xff\x3f" + bytes(50)),
        (LinkTerms("opus"), b"\xfb\x01" + bytes(range(256)) * 3),
        (LinkTerms("opus"), bytes(5000)),
    ],
)
async def test_audio_that_is_none_is_dropped_and_the_next_is_not(
    make: Make, terms: LinkTerms, payload: bytes
) -> None:
    transport = make(terms)
    assert terms.codec is not None
    good = make_codec(terms.codec, terms.rate_hz)[1].write(tone(0.02, 440).reshape(1, -1))
    blocks = await taken_by(transport)
    transport.take(frames(AUDIO, [payload, good]))
    assert len(blocks) == 1 + (payload[:2] == b"\xfb\x01")
    assert not transport.is_over


async def test_more_audio_than_time_passes_is_not_even_decoded(make: Make) -> None:
    transport = make(LinkTerms("opus"))
    packet = make_codec("opus", 48_000)[1].write(tone(0.02, 440).reshape(1, -1))
    transport.take(frames(AUDIO, [packet] * 600))
    assert transport.stats().packets_received == 600
    # Ten seconds at once, of which one is kept for a session that takes none yet.
    assert 90 <= transport.stats().packets_discarded - 450 <= 100


async def test_a_burst_is_passed_on_in_order_and_not_all_at_once(make: Make) -> None:
    transport = make()
    blocks = await taken_by(transport)
    payloads = [np.full(480, number, "<i2").tobytes() for number in range(300)]
    transport.take(frames(AUDIO, payloads))
    # Half a second, and what the time that this takes adds.
    assert 25 <= len(blocks) < 150
    transport.take(frames(AUDIO, [SILENCE], 301))
    while len(blocks) < 301:  # noqa: ASYNC110 - it takes less than a second
        await asyncio.sleep(0.01)
    assert [int(each.samples[0, 0]) for each in blocks] == [*range(300), 0]


async def test_gaps_count_as_lost_and_jitter_is_measured(make: Make) -> None:
    transport = make()
    transport.take(frames(AUDIO, [SILENCE] * 3) + write_frame(GAP, 4) + write_frame(GAP, 5))
    stats = transport.stats()
    assert stats.packets_lost == 2
    assert 0 < stats.jitter_s < 0.02
    assert stats.bytes_received == 3 * len(SILENCE)


async def test_media_that_the_mode_does_not_have_is_ignored(make: Make) -> None:
    transport = make(LinkTerms(None, has_video=True), mode="receive", modality="video")
    transport.take(frames(AUDIO, [SILENCE]) + frames(VIDEO, [b"1234" + b"jpeg"], 2))
    assert transport.stats().frames_refused == 0
    assert not transport.is_over
    with pytest.raises(ConnectionLost):
        await transport.receive_video_frame()


async def test_frames_are_acknowledged_soon_and_video_at_once(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await far.until(lambda: bool(far.frames))
    transport.take(frames(TEXT, [b"1", b"2"]))
    await far.until(lambda: bool(far.of(ACKS)))
    received, held_ms = ACK.unpack(far.of(ACKS)[0])
    assert received == 2
    assert held_ms >= 1000 * module.ACK_S * 0.9
    transport.take(frames(VIDEO, [b"1234"], 3))
    await far.until(lambda: len(far.of(ACKS)) == 2)
    received, held_ms = ACK.unpack(far.of(ACKS)[1])
    assert received == 3
    assert held_ms < 1000 * module.ACK_S


async def test_a_client_from_which_nothing_comes_is_gone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VANISHED_S", 0.1)
    transport = make()
    Far(transport)
    await transport.connect()
    assert "nothing came for 0.1 s" in await transport.wait_closed()


async def test_signs_of_life_are_enough_to_stay(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VANISHED_S", 0.2)
    monkeypatch.setattr(module, "SIGN_OF_LIFE_S", 0.05)
    transport = make()
    far = Far(transport)
    await transport.connect()
    for _ in range(8):
        transport.take(write_ack(0, 0.0))
        await asyncio.sleep(0.05)
    assert not transport.is_over
    assert len(far.of(ACKS)) >= 3, "the server shows some, too"


# ------------------------------------------------------------------------------ what goes out


async def test_pcm_is_resampled_to_the_rate_of_the_client(make: Make) -> None:
    transport = make()
    transport.play_audio(Endless())
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(AUDIO)) >= 10)
    assert {len(each) for each in far.of(AUDIO)} == {960}
    heard = np.frombuffer(b"".join(far.of(AUDIO)), "<i2")
    assert pitch_hz(heard[480 : 480 * 10], 24_000) == pytest.approx(450, abs=6)


async def test_a_client_that_acknowledges_nothing_gets_two_seconds(make: Make) -> None:
    transport, source = make(), Endless()
    transport.play_audio(source)
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(AUDIO)) >= 5)
    # As if three seconds had passed.
    for _ in range(15):
        for _ in range(10):
            transport._put_audio(paced(source))  # noqa: SLF001 - what its pacer does
        await asyncio.sleep(0.01)
    assert len(far.of(AUDIO)) == module.MOST_AUDIO_AHEAD
    transport.send_text("still here")
    await far.until(lambda: far.of(TEXT) == [b"still here"])
    far.acknowledge()
    await far.until(lambda: len(far.of(AUDIO)) > module.MOST_AUDIO_AHEAD)
    stats = transport.stats()
    assert stats.round_trip_time_s is not None


async def test_without_a_carrier_no_audio_is_taken_and_none_is_lost(make: Make) -> None:
    transport, source = make(), Endless()
    transport.play_audio(source)
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(AUDIO)) >= 5)
    await far.drop()
    await asyncio.sleep(0.05)
    pulled = source.pulled
    await asyncio.sleep(0.2)
    assert source.pulled - pulled <= 1
    second = Far(transport, received=far.numbers[-1])
    await second.until(lambda: len(second.of(AUDIO)) >= 5)
    assert second.numbers[0] == far.numbers[-1] + 1


async def test_audio_is_held_back_for_some_time_and_then_the_newest_counts(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HELD_S", 0.2)
    transport, source = make(), Endless()
    transport.play_audio(source)
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(AUDIO)) >= 5)
    await far.drop()
    pulled = source.pulled
    await asyncio.sleep(0.5)
    assert source.pulled - pulled >= 5


async def test_audio_that_a_client_which_is_away_lacks_was_not_played(make: Make) -> None:
    transport = make()
    for is_there in (True, False):
        carrier = transport.open(0 if is_there else transport._outbound.acknowledged)  # noqa: SLF001
        for _ in range(3):
            transport._queue.put_audio(bytes((AUDIO, 1)))  # noqa: SLF001 - as the pacer does
        assert transport._next_chunk()  # noqa: SLF001 - as `carry` writes it
        transport._queue.put_audio(bytes((AUDIO, 1)))  # noqa: SLF001 - as above
        if not is_there:
            transport.leave(carrier)
        assert transport.clear_audio() == pytest.approx(0.02 if is_there else 0.08)
        transport._queue.pop()  # noqa: SLF001 - the frame that clears


async def test_barge_in_reaches_the_client_before_the_next_audio(make: Make) -> None:
    transport, source = make(), Endless()
    transport.play_audio(source)
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(AUDIO)) >= 5)
    far.gate.clear()
    await asyncio.sleep(0.1)
    transport.clear_audio()
    # What was being written when the user spoke cannot be called back.
    before = len(far.frames) + len(frames_in(far.held))
    far.gate.set()
    await far.until(lambda: len(far.of(AUDIO)) >= 12 and CLEAR in [each[0] for each in far.frames])
    kinds = [kind for kind, _, _ in far.frames[before:] if kind != ACKS]
    assert kinds[0] == CLEAR
    await far.drop()
    second = Far(transport)
    await second.until(lambda: len(second.of(AUDIO)) >= 5)
    kinds = [kind for kind, _, _ in second.frames if kind in NUMBERED]
    assert set(kinds[: kinds.index(CLEAR)]) == {GAP}, "it is not played after a reconnect either"


async def test_a_client_that_takes_no_messages_is_given_up(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await far.until(lambda: bool(far.frames))
    for _ in range(40):
        transport.send_text("x" * 64 * 1024)
        await asyncio.sleep(0)
    assert await transport.wait_closed() == "the client takes no messages"


async def test_much_that_is_sent_again_comes_in_pieces(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await far.until(lambda: bool(far.frames))
    for _ in range(10):
        transport.send_text("x" * 64 * 1024)
    await far.until(lambda: len(far.of(TEXT)) == 10)
    second = Far(transport)
    await second.until(lambda: len(second.of(TEXT)) == 10)
    assert second.numbers == list(range(1, 11))

"""The video of a link: the newest frame counts, and no client gets or sends too many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from av.error import InvalidDataError
from support.frames import number_of, numbered
from support.link_carrier import Far, frames

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._limits import Limits
from gradio_webrtc._transport import PixelConverter, TimedFrame
from gradio_webrtc._transport.link import LinkTerms, LinkTransport
from gradio_webrtc._transport.link.frames import NUMBERED, TIMESTAMP, FrameKind
from gradio_webrtc._transport.link.jpeg import JpegDecoder, JpegEncoder
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Make = Callable[..., LinkTransport]

ACKS, GAP, VIDEO = FrameKind.ACK, FrameKind.GAP, FrameKind.VIDEO


class Numbered:
    """A source of video: numbered frames, 100 a second."""

    def __init__(self) -> None:
        self.count = 0
        self._pixels = PixelConverter()

    async def next_frame(self) -> TimedFrame:
        await asyncio.sleep(0.01)
        self.count += 1
        return TimedFrame(900 * self.count, self._pixels.to_planar(numbered(self.count)))

    def limit_fps(self, fps: float) -> None:
        raise NotImplementedError


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes transports of video alone, which are closed afterwards."""
    made: list[LinkTransport] = []

    def make_one(**config: Any) -> LinkTransport:
        terms = LinkTerms(None, has_video=True)
        made.append(LinkTransport(terms, SessionConfig(modality="video", **config)))
        return made[-1]

    yield make_one
    for each in made:
        each.hang_up()
        await each.close()


def jpeg(number: int) -> bytes:
    planar = PixelConverter().to_planar(numbered(number))
    return TIMESTAMP.pack(number) + JpegEncoder().encode(planar)


async def test_video_frames_come_in_and_the_newest_counts(make: Make) -> None:
    transport = make()
    far = Far(transport)
    await transport.connect()
    transport.take(frames(VIDEO, [jpeg(number) for number in range(1, 6)]))
    newest = await transport.receive_video_frame()
    assert number_of(PixelConverter().to_array(newest.frame)) == 5
    assert newest.pts == 5 * 90
    await far.until(lambda: bool(far.of(ACKS)))
    transport.take(frames(VIDEO, [b"1234" + b"no jpeg", b"1"], 6))
    assert transport.stats().frames_refused == 2
    transport.hang_up()
    with pytest.raises(ConnectionLost):
        await transport.receive_video_frame()


async def test_a_video_frame_that_cannot_be_encoded_is_reported_once_and_the_next_are_sent(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encode = JpegEncoder.encode
    failures = [InvalidDataError(1, "no memory") for _ in range(3)]

    def fail_at_first(self: JpegEncoder, planar: Any) -> bytes:
        if failures:
            raise failures.pop()
        return encode(self, planar)

    monkeypatch.setattr(JpegEncoder, "encode", fail_at_first)
    transport = make()
    transport.play_video(Numbered())
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: bool(far.of(VIDEO)))
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.message for each in errors] == [
        "FFmpeg could not encode a video frame; the others are sent"
    ]


async def test_too_many_video_frames_are_dropped(make: Make) -> None:
    limits = Limits(pictures_per_s=3)
    transport = make(limits=limits)
    transport.take(frames(VIDEO, [jpeg(1)] * 10))
    assert transport.stats().frames_refused == 7


async def test_two_video_frames_are_on_their_way_at_most(make: Make) -> None:
    transport = make()
    source = Numbered()
    transport.play_video(source)
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(VIDEO)) == 2)
    await asyncio.sleep(0.2)
    assert len(far.of(VIDEO)) == 2
    shown = source.count
    far.acknowledge()
    await far.until(lambda: len(far.of(VIDEO)) == 3)
    decoded = JpegDecoder(640 * 480).decode(far.of(VIDEO)[2][4:])
    assert number_of(PixelConverter().to_array(decoded)) >= shown - 1, "the newest"
    times = [TIMESTAMP.unpack_from(each)[0] for each in far.of(VIDEO)]
    assert times == sorted(set(times))


async def test_a_video_frame_that_did_not_arrive_is_not_sent_again(make: Make) -> None:
    transport = make()
    transport.play_video(Numbered())
    far = Far(transport)
    await transport.connect()
    await far.until(lambda: len(far.of(VIDEO)) == 2)
    await far.drop()
    second = Far(transport)
    await second.until(lambda: len(second.of(VIDEO)) == 1)
    kinds = [kind for kind, _, _ in second.frames if kind in NUMBERED]
    assert kinds[:3] == [GAP, GAP, VIDEO]

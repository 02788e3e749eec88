"""Video frames over a real connection, through a function and back."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.frames import colour_of, number_of, numbered
from support.video_calls import client_of, finish, is_growing, see, serve_video, transport_of

from gradio_webrtc import AdditionalOutputs, CloseStream, WebRTCError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    PlanarFrame = NDArray[Any]

BLUE = (200, 60, 60)


async def test_a_function_gets_the_frame_blue_first_and_its_answer_comes_back() -> None:
    got: list[PlanarFrame] = []

    def detection(image: PlanarFrame) -> PlanarFrame:
        got.append(image.copy())
        image[image.shape[0] // 3 :] = (30, 200, 30)
        return image

    client = await see(detection, 20, colour=BLUE)
    assert {(frame.shape, frame.dtype) for frame in got} == {((240, 320, 3), np.dtype(np.uint8))}
    assert colour_of(got[-1]) == pytest.approx(BLUE, abs=12)
    assert colour_of(client.video_frames[-1][1]) == pytest.approx((30, 200, 30), abs=12)
    numbers = [number_of(frame) for _, frame in client.video_frames]
    assert is_growing(numbers)
    assert is_growing([pts for pts, _ in client.video_frames])


async def test_the_time_of_each_frame_is_kept() -> None:
    client = await see(lambda image: image, 25)
    (first_pts, first), *others = [(pts, number_of(frame)) for pts, frame in client.video_frames]
    kept = [3000 * (number - first) for _, number in others]
    # aiortc rounds times down on either side.
    assert [pts - first_pts for pts, _ in others] == pytest.approx(kept, abs=3)


async def test_frames_pass_through_until_the_inputs_come_and_a_moved_slider_counts() -> None:
    got: list[float] = []

    def detection(image: PlanarFrame, threshold: float = 0.3) -> PlanarFrame:
        got.append(threshold)
        image[image.shape[0] // 3 :] = (30, 200, 30)
        return image

    def is_green() -> bool:
        return colour_of(client.video_frames[-1][1])[1] > 150

    manager = serve_video(detection, takes_inputs=True)
    client = client_of(manager)
    asked = asyncio.Event()
    client.on_send_input = asked.set
    await client.call()
    await asked.wait()
    await client.until(lambda: len(client.video_frames) >= 5)
    assert not is_green()
    assert got == []
    client.send_inputs(0.5)
    await client.until(is_green)
    client.send_inputs(0.9)
    await client.until(lambda: bool(got) and got[-1] == 0.9)
    await finish(manager, client)
    assert sorted(set(got)) == [0.5, 0.9]
    assert is_growing([number_of(frame) for _, frame in client.video_frames])


GREEN = np.full((240, 320, 3), (30, 200, 30), np.uint8)


@pytest.mark.parametrize(
    ("answer", "shape", "colour"),
    [
        (GREEN[:, :, 1], (240, 320), (200, 200, 200)),
        (GREEN[:, :, 1:2], (240, 320), (200, 200, 200)),
        (GREEN / 255.0, (240, 320), (30, 200, 30)),
        (GREEN.astype(np.float32), (240, 320), (30, 200, 30)),
        (GREEN.astype(np.int64) - 40, (240, 320), (0, 160, 0)),
        (np.dstack([GREEN, GREEN[:, :, 0]]), (240, 320), (30, 200, 30)),
        (GREEN[:239, :317], (240, 318), (30, 200, 30)),
        (GREEN[::-1, ::-1], (240, 320), (30, 200, 30)),
        (GREEN[:, :, 1] > 100, (240, 320), (255, 255, 255)),
        (GREEN.tolist(), (240, 320), (30, 200, 30)),
    ],
)
async def test_whatever_looks_like_a_frame_is_sent(
    answer: Any, shape: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    client = await see(lambda _: answer, 4)
    frame = client.video_frames[-1][1]
    assert frame.shape[:2] == shape
    assert colour_of(frame) == pytest.approx(colour, abs=12)
    assert client.messages == []


async def test_a_size_that_changes_does_not_freeze_the_video() -> None:
    sizes = [(320, 240), (160, 120), (321, 241), (640, 480)]

    def resize(image: PlanarFrame) -> PlanarFrame:
        number = number_of(image)
        width, height = sizes[number // 8 % len(sizes)]
        return numbered(number, width, height)

    client = await see(resize, 40)
    shapes = {frame.shape[:2] for _, frame in client.video_frames}
    assert shapes == {(240, 320), (120, 160), (242, 322), (480, 640)}
    assert is_growing([number_of(frame) for _, frame in client.video_frames])


async def test_a_function_with_nothing_to_show_lets_frames_through() -> None:
    client = await see(lambda _image: None, 20)
    assert is_growing([number_of(frame) for _, frame in client.video_frames])


@pytest.mark.parametrize("trouble", [None, ValueError("internal"), np.zeros((2, 3, 4, 5))])
async def test_trouble_repeats_the_last_answer_and_the_stream_goes_on(trouble: Any) -> None:
    def sometimes(image: PlanarFrame) -> Any:
        number = number_of(image)
        if number < 10 or number >= 20:
            return image
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    manager = serve_video(sometimes)
    client = client_of(manager)
    await client.call()
    await client.until(
        lambda: bool(client.video_frames) and number_of(client.video_frames[-1][1]) >= 25
    )
    await finish(manager, client)
    numbers = [number_of(frame) for _, frame in client.video_frames]
    assert numbers == sorted(numbers)
    assert is_growing([pts for pts, _ in client.video_frames])
    repeated = max(numbers.count(number) for number in numbers)
    assert repeated >= 5, "the last answer stands, with new times"
    errors = [message["data"] for message in client.messages if message["type"] == "error"]
    assert len(errors) == (trouble is not None)
    assert "internal" not in str(errors)


async def test_an_error_in_words_for_the_user_reaches_the_page_once() -> None:
    def refuse(_image: PlanarFrame) -> PlanarFrame:
        raise WebRTCError("no faces, please")

    client = await see(refuse, 10)
    assert [message["data"] for message in client.messages] == ["no faces, please"]
    assert is_growing([number_of(frame) for _, frame in client.video_frames])


# A function that takes its time


async def test_a_slow_function_gets_the_newest_frame_next() -> None:
    got: list[int] = []
    go_on = threading.Event()

    def slow(image: PlanarFrame) -> PlanarFrame:
        got.append(number_of(image))
        go_on.wait()
        return image

    manager = serve_video(slow)
    client = client_of(manager)
    await client.call()
    transport = transport_of(manager, client)
    await client.camera.has_taken(30)
    go_on.set()
    taken = client.camera.taken
    await client.until(lambda: len(got) >= 3)
    await finish(manager, client)
    # Frames on their way between two codecs may be a few behind the newest, and no more.
    assert got[1] >= taken - 8
    assert transport.stats().frames_dropped >= got[1] - got[0] - 2


async def test_a_slow_function_holds_up_nobody_else() -> None:
    blocked = threading.Event()
    go_on = threading.Event()

    def patient(image: PlanarFrame) -> PlanarFrame:
        if colour_of(image)[0] > 150:
            blocked.set()
            go_on.wait()
        return image

    manager = serve_video(patient, concurrency_limit=2)
    slow = client_of(manager, colour=BLUE)
    quick = client_of(manager)
    await slow.call()
    await asyncio.to_thread(blocked.wait)
    await quick.call()
    await quick.until(lambda: len(quick.video_frames) >= 30)
    seen_meanwhile = len(slow.video_frames)
    go_on.set()
    await slow.until(lambda: len(slow.video_frames) > 0)
    await finish(manager, slow, quick)
    assert seen_meanwhile == 0
    assert is_growing([number_of(frame) for _, frame in quick.video_frames])


async def test_a_function_that_never_returns_ends_with_its_session() -> None:
    forever = threading.Event()
    manager = serve_video(lambda _image: forever.wait())
    client = client_of(manager)
    await client.call()
    await asyncio.sleep(0)
    await finish(manager, client)
    assert len(manager) == 0
    forever.set()


# Other kinds of functions, and other things to give


async def test_coroutines_and_generators_answer_too() -> None:
    async def coroutine(image: PlanarFrame) -> PlanarFrame:
        await asyncio.sleep(0)
        return image

    async def async_generator(image: PlanarFrame) -> AsyncIterator[Any]:
        yield AdditionalOutputs("first")
        yield image

    def generator(image: PlanarFrame) -> Iterator[Any]:
        yield image

    class ReturnsAGenerator:
        def __call__(self, image: PlanarFrame) -> Iterator[Any]:
            return generator(image)

    for fn in (coroutine, async_generator, generator, ReturnsAGenerator()):
        client = await see(fn, 10)
        assert is_growing([number_of(frame) for _, frame in client.video_frames]), fn


async def test_values_for_the_page_come_with_frames() -> None:
    def count(image: PlanarFrame) -> Any:
        number = number_of(image)
        return image, AdditionalOutputs(number)

    manager = serve_video(count)
    manager.has_outputs = True
    client = client_of(manager)
    await client.call()
    await client.until(lambda: len(client.outputs) >= 15 and len(client.video_frames) >= 15)
    await finish(manager, client)
    outputs = [number for (number,) in client.outputs]
    assert is_growing(outputs)
    seen = {number_of(frame) for _, frame in client.video_frames}
    assert len(seen & set(outputs)) >= 12


async def test_a_function_may_end_the_session_with_a_last_frame() -> None:
    def until_ten(image: PlanarFrame) -> Any:
        number = number_of(image)
        return (image, CloseStream("ten is enough")) if number >= 10 else image

    manager = serve_video(until_ten)
    client = client_of(manager)
    await client.call()
    await client.closed.wait()
    await finish(manager, client)
    assert number_of(client.video_frames[-1][1]) >= 10
    assert [m["data"] for m in client.messages if m["type"] == "end_stream"] == ["ten is enough"]


async def test_in_mode_send_values_come_back_and_no_frame() -> None:
    def count(image: PlanarFrame) -> AdditionalOutputs:
        return AdditionalOutputs(number_of(image))

    manager = serve_video(count, "send")
    manager.has_outputs = True
    client = client_of(manager, "send")
    await client.call()
    await client.until(lambda: len(client.outputs) >= 10)
    directions = [transceiver.currentDirection for transceiver in client.pc.getTransceivers()]
    await finish(manager, client)
    assert is_growing([number for (number,) in client.outputs])
    assert directions == ["sendonly"]
    assert client.video_frames == []

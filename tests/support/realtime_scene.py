"""Users and pumps for dialogues with a realtime service, on any clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradio_webrtc._realtime.protocol import encode_audio
from gradio_webrtc.types import CloseStream

from .fake_session import FakeSession
from .realtime_service import RATE_HZ, MemoryService, handler_of, use_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc.testing import Simulation

PITCH_HZ = 300.0


def speech(length_s: float) -> NDArray[np.int16]:
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return (8_000 * np.sin(2 * np.pi * PITCH_HZ * times)).astype(np.int16)


def silence(length_s: float) -> NDArray[np.int16]:
    return np.zeros(round(length_s * RATE_HZ), np.int16)


def said(*parts: float) -> tuple[int, NDArray[np.int16]]:
    """Speech and silence in turn, the lengths in seconds; silence first."""
    kinds = (silence, speech)
    return RATE_HZ, np.concatenate([kinds[n % 2](each) for n, each in enumerate(parts)])


def audible_s(simulation: Simulation, begin_s: float = 0.0, end_s: float = 1e9) -> float:
    """The length of the audible audio that was sent between two times, in seconds."""
    rate_hz, samples = simulation.audio
    part = np.abs(samples[0, round(begin_s * rate_hz) : round(min(end_s, 1e4) * rate_hz)])
    return (
        float(np.count_nonzero(part[: part.size // 960 * 960].reshape(-1, 960).max(axis=1) > 99))
        / 50
    )


def times_of(simulation: Simulation, name: str) -> list[float]:
    return [event.time_s for event in simulation.events if event.name == name]


def last_words(simulation: Simulation) -> list[str]:
    return [each["content"] for each in simulation.outputs[-1].args[0]]


class Scene:
    """A dialogue with a service, without a session: the test is the pump that takes its items."""

    def __init__(self, service: MemoryService, **options: Any) -> None:
        self.session = FakeSession()
        self.played_s = 0.0
        self._service = service
        key = options.pop("api_key", "key")
        self._handler = handler_of(service, **options)
        use_service(self._handler, service, api_key=key)

    async def __aenter__(self) -> Self:
        self._handler.bind(self.session)
        await self._handler.start_up()
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._handler.release()

    @property
    def dialogue(self) -> Any:
        return self._handler._rtc_dialogue  # noqa: SLF001 - the handler is only its door

    @property
    def service(self) -> Any:
        """The service's side of the last connection."""
        return self._service.last

    def put(self, kind: str, **values: Any) -> None:
        """Sends an event in the service's place."""
        self._service.lines[-1].put({"type": kind, **values})

    def put_audio(self, length_s: float, item_id: str = "a") -> None:
        delta = encode_audio(speech(length_s))
        self.put("response.output_audio.delta", item_id=item_id, content_index=0, delta=delta)

    async def settle(self) -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    async def next_item(self) -> Any:
        await self._handler.wait_until_ready()
        item = await self._handler.emit()
        part = item[0] if isinstance(item, tuple) and isinstance(item[0], tuple) else item
        if isinstance(part, tuple):
            self.played_s += part[1].size / part[0]
            self.session.played_s += part[1].size / part[0]
        return item

    async def items(self, count: int) -> list[Any]:
        """Returns the next items, those that are nothing left out."""
        found: list[Any] = []
        while len(found) < count:
            item = await self.next_item()
            if item is not None:
                found.append(item)
            if isinstance(item, CloseStream):
                break
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.next_item()

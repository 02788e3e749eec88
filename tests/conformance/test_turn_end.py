"""The exam of the protocol `TurnEndModel`. Another model is one line in `MODELS`."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from support.nets import write_smart_turn
from support.signals import speech

from gradio_webrtc import SmartTurn
from gradio_webrtc._turns.turn_end import check_turn_end, checked_probability, threshold_of
from gradio_webrtc.types import TurnEndModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


class Lengths:
    """A model that needs no audio."""

    certain_at = 0.8

    def probability(
        self, _rate_hz: int, _samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> float:
        return min((speech_s + silence_s) / 10, 1.0)


class AsyncLengths:
    """The same on the event loop."""

    async def probability(
        self, _rate_hz: int, _samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> float:
        await asyncio.sleep(0)
        return min((speech_s + silence_s) / 10, 1.0)


MODELS: Final[dict[str, Callable[[Path], TurnEndModel]]] = {
    "lengths": lambda _folder: Lengths(),
    "async": lambda _folder: AsyncLengths(),
    "Smart Turn": lambda folder: SmartTurn(write_smart_turn(folder / "net.onnx")),
}


@pytest.fixture(params=MODELS.values(), ids=[*MODELS])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> TurnEndModel:
    made: TurnEndModel = request.param(tmp_path)
    return made


def estimate(model: TurnEndModel, rate_hz: int, samples: NDArray[np.int16]) -> float:
    seconds = samples.size / rate_hz
    result: Any = model.probability(rate_hz, samples, speech_s=seconds - 0.2, silence_s=0.2)
    return checked_probability(asyncio.run(result) if inspect.iscoroutine(result) else result)


def test_it_meets_the_protocol(model: TurnEndModel) -> None:
    assert isinstance(model, TurnEndModel)
    check_turn_end(model)
    assert 0 < threshold_of(model) <= 1


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 30.0])
def test_it_returns_a_probability_for_any_turn(
    model: TurnEndModel, rate_hz: int, seconds: float
) -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(-9_000, 9_000, (1, round(seconds * rate_hz))).astype(np.int16)
    assert 0 <= estimate(model, rate_hz, samples) <= 1
    assert 0 <= estimate(model, rate_hz, np.zeros_like(samples)) <= 1


def test_it_leaves_the_audio_as_it_is_and_repeats_itself(model: TurnEndModel) -> None:
    rate_hz, samples = speech("goforward_16k")
    samples = samples.reshape(1, -1)
    before = samples.copy()
    first = estimate(model, rate_hz, samples)
    assert estimate(model, rate_hz, samples) == first
    assert np.array_equal(samples, before)


def test_threads_may_share_it(model: TurnEndModel) -> None:
    rate_hz, samples = speech("goforward_16k")
    parts = [samples[: 8_000 + 500 * each].reshape(1, -1) for each in range(12)]
    alone = [estimate(model, rate_hz, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda part: estimate(model, rate_hz, part), parts)] == alone

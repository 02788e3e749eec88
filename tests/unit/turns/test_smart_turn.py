"""Smart Turn: the features are those of its authors, and what is missing is named."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.nets import write_smart_turn
from support.signals import DATA, speech

from gradio_webrtc import ReplyOnPause, SmartTurn
from gradio_webrtc._turns.smart_turn import FRAMES, MELS, RATE_HZ, WEIGHTS, log_mel
from gradio_webrtc.testing import simulate
from gradio_webrtc.types import TurnEndModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GOLDEN = np.load(DATA / "smart_turn" / "features.npz")
"""By tests/data/smart_turn/make_golden.py; in steps of 0.0001, each eighth frame."""

RECORDINGS = [name for name in GOLDEN.files if not name.startswith("probability of ")]

TOLERANCE = 1e-3
"""Ten steps. The features go from -1 to 2, in 32 bits here and in 64 bits there."""


def recorded(name: str) -> NDArray[np.int16]:
    return np.concatenate([speech(part)[1] for part in name.split("+")])


def as_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(32768)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_smart_turn(tmp_path / "net.onnx")


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find_spec = importlib.util.find_spec

    def found(name: str, *args: Any) -> Any:
        return None if name == package else find_spec(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_features_are_those_of_the_authors(name: str) -> None:
    features = log_mel(as_float(recorded(name)))
    assert features.shape == (MELS, FRAMES)
    assert features.dtype == np.float32
    assert np.abs(features[:, ::8] - GOLDEN[name] / 10_000).max() < TOLERANCE


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 361, 40_000, 127_799, 127_801, 128_000])
def test_any_length_has_the_features_of_eight_seconds(samples: int) -> None:
    audio = as_float(recorded("austen_0870_16k+goforward_16k"))[:samples]
    whole = np.pad(audio, (128_000 - samples, 0))
    # Audio of eight seconds has no frames that are computed once for all.
    padded, spread = log_mel(audio), log_mel(whole)
    assert np.isfinite(padded).all()
    assert np.abs(padded - spread).max() < TOLERANCE


def test_only_the_last_eight_seconds_count() -> None:
    audio = as_float(recorded("austen_0870_16k+goforward_16k"))
    assert np.array_equal(log_mel(audio), log_mel(audio[-128_000:]))


def test_the_probability_is_that_of_the_net(net: Path) -> None:
    model = SmartTurn(net)
    samples = recorded("goforward_16k")
    expected = 1 / (1 + np.exp(-log_mel(as_float(samples)).mean()))
    found = model.probability(RATE_HZ, samples.reshape(1, -1), speech_s=2.0, silence_s=0.2)
    assert found == pytest.approx(expected, abs=1e-5)
    assert model.probability(RATE_HZ, as_float(samples)) == pytest.approx(expected, abs=1e-5)
    assert isinstance(model, TurnEndModel)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_another_rate_is_resampled(net: Path, rate_hz: int) -> None:
    time = np.arange(3 * rate_hz) / rate_hz
    tone = (8_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    same = (8_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    model = SmartTurn(net)
    found = model.probability(rate_hz, tone.reshape(1, -1))
    assert found == pytest.approx(model.probability(RATE_HZ, same), abs=0.02)


def test_sessions_may_share_it(net: Path) -> None:
    model = SmartTurn(net)
    parts = [recorded("goforward_16k")[: 8_000 + 500 * each] for each in range(16)]
    alone = [model.probability(RATE_HZ, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: model.probability(RATE_HZ, part), parts))
    assert together == alone


def test_a_handler_takes_it(net: Path) -> None:
    model = SmartTurn(net, certain_at=0.2)
    handler = ReplyOnPause(lambda audio: audio, turn_end=model)
    result = simulate(handler, speech("asterisk_hello_world_16k"))
    (end,) = [event for event in result.events if event.name == "pause_detected"]
    assert end.data["decided_by"] == "turn_end"


def test_a_threshold_out_of_range_is_refused(net: Path) -> None:
    with pytest.raises(ValueError, match="certain_at is more than 0, to 1"):
        SmartTurn(net, certain_at=1.5)


def test_weights_come_from_an_installed_package_that_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pipecat" / "audio" / "turn" / "smart_turn" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "pipecat" / "__init__.py").write_text("raise ImportError('of pipecat')")
    write_smart_turn(folder / WEIGHTS.replace("*", ".2"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert 0 < SmartTurn().probability(RATE_HZ, np.zeros(160, np.int16)) < 1
    assert "pipecat" not in sys.modules


def test_without_weights_both_ways_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pipecat")
    with pytest.raises(ImportError, match=r"pip install pipecat-ai(?s:.*)SmartTurn\(.*onnx"):
        SmartTurn()


def test_without_the_runtime_the_extra_is_named(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "onnxruntime")
    with pytest.raises(ImportError, match=r'pip install "gradio_webrtc\[smart-turn\]"'):
        SmartTurn(net)


def test_a_file_that_is_no_net_of_this_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights of Smart Turn"):
        SmartTurn(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no net")
    with pytest.raises(ValueError, match="is no ONNX model"):
        SmartTurn(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="is not Smart Turn v3: expected .* 80 by 800, got"):  # noqa: RUF043
        SmartTurn(write_smart_turn(tmp_path / "other.onnx", mels=128))


@pytest.mark.skipif(importlib.util.find_spec("pipecat") is None, reason="needs pipecat-ai")
@pytest.mark.parametrize("name", RECORDINGS)
def test_the_decisions_are_those_of_the_authors(name: str) -> None:
    expected = float(GOLDEN[f"probability of {name}"])
    # The net has weights of 8 bits: a difference of 1e-5 in its input may be one of 0.05 here.
    assert SmartTurn().probability(RATE_HZ, recorded(name)) == pytest.approx(expected, abs=0.1)

"""The arguments of ReplyOnPause in both orders, and what each option does."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, WINDOW_S, ScriptedVad, audio_at

from gradio_webrtc._handlers import AlgoOptions, ReplyOnPause, SileroVadOptions
from gradio_webrtc._turns import options
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ALGO, SILERO = AlgoOptions(), SileroVadOptions()


def fn(audio: Any) -> Iterator[Any]:
    yield audio


def greet() -> Iterator[Any]:
    yield None


class BlockModel:
    def vad(self, _audio: Any, _options: Any) -> tuple[float, list[dict[str, int]]]:
        return 0.0, []

    def warmup(self) -> None: ...


MODEL = BlockModel()

DEFAULTS = {
    "startup_fn": None,
    "can_interrupt": True,
    "expected_layout": "mono",
    "output_sample_rate": 24000,
    "output_frame_size": 480,
    "input_sample_rate": 48000,
    "needs_args": False,
    "algo_options": AlgoOptions(),
    "model_options": None,
}


@pytest.mark.parametrize(
    ("positional", "expected"),
    [
        ((), {}),
        ((None,), {}),
        # fastrtc
        ((greet,), {"startup_fn": greet}),
        ((None, ALGO), {"algo_options": ALGO}),
        ((greet, ALGO, SILERO), {"startup_fn": greet, "model_options": SILERO}),
        ((None, None, SILERO), {"model_options": SILERO}),
        ((None, None, None, False), {"can_interrupt": False}),
        ((None, None, None, True, "stereo"), {"expected_layout": "stereo"}),
        (
            (greet, ALGO, SILERO, False, "stereo", 16000, 320, 8000, None, True),
            {
                "startup_fn": greet,
                "model_options": SILERO,
                "can_interrupt": False,
                "expected_layout": "stereo",
                "output_sample_rate": 16000,
                "output_frame_size": 320,
                "input_sample_rate": 8000,
                "needs_args": True,
            },
        ),
        # gradio_webrtc
        ((ALGO,), {"algo_options": ALGO}),
        ((ALGO, SILERO), {"algo_options": ALGO, "model_options": SILERO}),
        ((None, SILERO), {"model_options": SILERO}),
        ((None, None, "stereo"), {"expected_layout": "stereo"}),
        (
            (ALGO, None, "stereo", 16000, 320),
            {"expected_layout": "stereo", "output_sample_rate": 16000, "output_frame_size": 320},
        ),
        (
            (ALGO, SILERO, "stereo", 16000, 320, 8000),
            {
                "model_options": SILERO,
                "expected_layout": "stereo",
                "output_sample_rate": 16000,
                "output_frame_size": 320,
                "input_sample_rate": 8000,
            },
        ),
    ],
)
def test_the_orders_of_gradio_webrtc_and_fastrtc_are_both_understood(
    positional: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    handler = ReplyOnPause(fn, *positional)
    for name, value in (DEFAULTS | expected).items():
        assert getattr(handler, name) == value, name


def test_every_argument_has_a_name() -> None:
    handler = ReplyOnPause(
        fn=fn,
        startup_fn=greet,
        algo_options=ALGO,
        model_options="anything that the model takes",
        can_interrupt=False,
        expected_layout="stereo",
        output_sample_rate=16000,
        output_frame_size=320,
        input_sample_rate=8000,
        model=MODEL,
        needs_args=True,
    )
    assert handler.fn is fn
    assert handler.startup_fn is greet
    assert handler.model is MODEL
    assert handler.model_options == "anything that the model takes"


@pytest.mark.parametrize(
    ("positional", "keywords", "message"),
    [
        ((1,), {}, "startup_fn is a function"),
        ((None, greet), {}, "algo_options is an AlgoOptions"),
        ((ALGO, SILERO, "mono", 24000, 480, 48000, 1), {}, "at most 7 positional"),
        ((None,) * 11, {}, "at most 11 positional"),
        ((ALGO,), {"algo_options": ALGO}, "'algo_options' twice"),
        ((), {"alog_options": ALGO}, "unexpected argument 'alog_options'"),
        ((), {"model": MODEL, "vad": ScriptedVad}, "two names"),
        ((), {"model_options": {"threshold": 0.5}}, "SileroVadOptions"),
    ],
)
def test_wrong_arguments_are_refused_in_words(
    positional: tuple[Any, ...], keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ReplyOnPause(fn, *positional, **keywords)


def test_what_cannot_be_called_cannot_reply() -> None:
    with pytest.raises(TypeError, match="fn is a function"):
        ReplyOnPause("fn")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"algo_options": AlgoOptions(0.3, 0.2, 0.3)}, "audio_chunk_duration"),
        ({"model_options": SileroVadOptions(threshold=1.5)}, "threshold"),
        ({"algo_options": AlgoOptions(started_talking_threshold=-1)}, "started_talking_s"),
        ({"input_sample_rate": 4000}, "input_sample_rate"),
    ],
)
def test_impossible_options_are_refused_before_any_session(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ReplyOnPause(fn, **keywords)


def test_names_and_defaults_are_those_of_gradio_webrtc_and_fastrtc() -> None:
    assert asdict(AlgoOptions()) == {
        "audio_chunk_duration": 0.6,
        "started_talking_threshold": 0.2,
        "speech_threshold": 0.1,
        "max_continuous_speech_s": math.inf,
        "pause_s": 0.5,
    }
    assert vars(SileroVadOptions()) == {
        "threshold": 0.5,
        "min_speech_duration_ms": 250,
        "max_speech_duration_s": math.inf,
        "min_silence_duration_ms": 2000,
        "window_size_samples": 1024,
        "speech_pad_ms": 400,
    }


def test_a_pause_that_was_not_set_follows_from_the_older_options() -> None:
    options = AlgoOptions(audio_chunk_duration=0.9)
    assert options.pause_s == pytest.approx(0.8)
    options.speech_threshold = 0.2
    assert options.pause_s == pytest.approx(0.7)
    assert replace(options, audio_chunk_duration=1.0).pause_s == pytest.approx(0.8)
    options.pause_s = 0.3
    assert (options.pause_s, replace(options, audio_chunk_duration=2.0).pause_s) == (0.3, 0.3)
    assert AlgoOptions(0.9, 0.2, 0.1).pause_s == pytest.approx(0.8)
    assert AlgoOptions(pause_s=0.5) == AlgoOptions()
    assert copy.copy(options).pause_s == 0.3


def test_the_defaults_are_those_of_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(options, "PauseDetector", lambda _rate, **keywords: given.update(keywords))
    options.make_detector(48000, AlgoOptions(), SileroVadOptions())
    assert given == {
        "vad": None,
        "threshold": 0.5,
        "continue_threshold": 0.3,
        "release_threshold": 0.15,
        "started_talking_s": 0.2,
        "pause_s": 0.5,
        "candidate_s": 0.192,
        "pre_roll_s": pytest.approx(0.3, abs=1e-12),
        "max_speech_s": options.LONGEST_TURN_S,
    }


# The effect of each option on the detector itself


def detect(
    algo: AlgoOptions | None, silero: SileroVadOptions | None, *chunks: NDArray[np.int16]
) -> list[tuple[str, int, int]]:
    """Each event: its name, the window in which it came, the length of the turn that it ended."""
    detector = options.make_detector(
        RATE_HZ, algo or AlgoOptions(), silero or SileroVadOptions(), ScriptedVad()
    )
    received: list[tuple[str, int, int]] = []
    for event in detector.process(np.concatenate(chunks, axis=1)):
        size = detector.take_utterance().size if event.kind == "pause" else 0
        received.append((event.kind, round(event.time_s / WINDOW_S), round(size / 512)))
    return received


def ends(algo: AlgoOptions | None, silero: SileroVadOptions | None, *chunks: Any) -> list[int]:
    """The windows in which a turn ended."""
    return [window for kind, window, _ in detect(algo, silero, *chunks) if kind == "pause"]


TURN = (audio_at(0, 20), audio_at(0.9, 20), audio_at(0, 60))


def test_a_turn_at_the_defaults() -> None:
    assert detect(None, None, *TURN) == [
        ("speech_started", 27, 0),
        ("pause_candidate", 46, 0),
        ("pause", 56, pytest.approx(0.3 / WINDOW_S + 36, abs=1)),
    ]


@pytest.mark.parametrize(
    ("algo", "end"),
    [
        (AlgoOptions(audio_chunk_duration=0.9), 40 + 25),
        (AlgoOptions(speech_threshold=0.3), 40 + 10),
        (AlgoOptions(audio_chunk_duration=1.0, speech_threshold=0.5), 40 + 16),
        (AlgoOptions(audio_chunk_duration=0.2), 40 + 4),
    ],
)
def test_chunk_duration_less_speech_threshold_is_the_silence_that_ends_a_turn(
    algo: AlgoOptions, end: int
) -> None:
    assert ends(algo, None, *TURN) == [end]


@pytest.mark.parametrize(("threshold_s", "window"), [(0.2, 27), (0.05, 22), (0.5, 36)])
def test_started_talking_threshold_is_the_speech_that_begins_a_turn(
    threshold_s: float, window: int
) -> None:
    received = detect(AlgoOptions(started_talking_threshold=threshold_s), None, *TURN)
    assert received[0][:2] == ("speech_started", window)
    assert detect(AlgoOptions(started_talking_threshold=0.7), None, *TURN) == []


def test_both_limits_of_continuous_speech_end_a_turn() -> None:
    talk = (audio_at(0.9, 100), audio_at(0, 1))
    assert ends(None, None, *talk) == []
    assert ends(AlgoOptions(max_continuous_speech_s=1.0), None, *talk)[0] == 32
    assert ends(None, SileroVadOptions(max_speech_duration_s=1.0), *talk)[0] == 32
    shorter = AlgoOptions(max_continuous_speech_s=1.0)
    assert ends(shorter, SileroVadOptions(max_speech_duration_s=2.0), *talk)[0] == 32


def test_a_turn_without_a_limit_of_its_own_ends_after_two_minutes() -> None:
    talk = (audio_at(0.9, round(130 / WINDOW_S)), audio_at(0, 1))
    assert ends(None, None, *talk) == [round(120 / WINDOW_S)]
    assert ends(AlgoOptions(max_continuous_speech_s=125.0), None, *talk) == [
        pytest.approx(125 / WINDOW_S, abs=1)
    ]
    assert ends(None, SileroVadOptions(max_speech_duration_s=125.0), *talk) == [
        pytest.approx(125 / WINDOW_S, abs=1)
    ]


@pytest.mark.parametrize(
    ("threshold", "onset", "going_on", "silence"),
    [(0.5, 0.52, 0.32, 0.13), (0.8, 0.82, 0.5, 0.22), (0.2, 0.22, 0.14, 0.05)],
)
def test_threshold_moves_what_counts_as_speech(
    threshold: float, onset: float, going_on: float, silence: float
) -> None:
    silero = SileroVadOptions(threshold=threshold)
    assert ends(None, silero, audio_at(onset - 0.04, 30), audio_at(0, 40)) == []
    speech = (audio_at(onset, 20), audio_at(going_on, 30))
    assert ends(None, silero, *speech, audio_at(silence, 40)) == [66]
    # Between the two, the state before goes on.
    between = (going_on + silence) / 2
    assert ends(None, silero, *speech, audio_at(between, 40)) == []


@pytest.mark.parametrize(("pad_ms", "windows"), [(400, 9.4), (0, 0), (800, 18.75)])
def test_speech_pad_is_kept_before_the_onset(pad_ms: int, windows: float) -> None:
    (*_, (kind, _, size)) = detect(None, SileroVadOptions(speech_pad_ms=pad_ms), *TURN)
    assert kind == "pause"
    assert size - 36 == pytest.approx(windows, abs=1)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("min_speech_duration_ms", 100, "started_talking_threshold"),
        ("min_silence_duration_ms", 300, "audio_chunk_duration"),
        ("window_size_samples", 1536, "windows of one size"),
    ],
)
def test_a_field_without_effect_is_warned_about(name: str, value: int, reason: str) -> None:
    with pytest.warns(UserWarning, match=f"{name} has no effect.*{reason}") as caught:
        ReplyOnPause(fn, model_options=SileroVadOptions(**{name: value}))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_fields_at_their_default_or_with_an_effect_are_not_warned_about() -> None:
    ReplyOnPause(fn, model_options=SileroVadOptions())
    ReplyOnPause(fn, model_options=SileroVadOptions(window_size_samples=512))
    ReplyOnPause(
        fn,
        model_options=SileroVadOptions(threshold=0.7, speech_pad_ms=100, max_speech_duration_s=9),
    )


def test_errors_of_options_are_of_our_tree() -> None:
    with pytest.raises(AudioError):
        ReplyOnPause(fn, model_options=SileroVadOptions(speech_pad_ms=-1))

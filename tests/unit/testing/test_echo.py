"""The way from a simulated client's speaker to its microphone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.signals import chirp, correlation, tone

from gradio_webrtc import ReplyOnPause
from gradio_webrtc.testing import Echo, simulate
from gradio_webrtc.testing.echo import EchoPath

FRAME = 960
SILENCE = np.zeros((1, FRAME), np.int16)


def received(echo: Echo, played: Any, blocks: int, channels: int = 1) -> Any:
    """What the microphone receives in so many blocks; one frame is played before each."""
    path = EchoPath(echo, FRAME)
    out = []
    for block in range(blocks):
        frame = played[:, block * FRAME * channels : (block + 1) * FRAME * channels]
        if frame.size:
            path.play(block * 0.02, frame)
        out.append(path.add_to(SILENCE))
    return np.concatenate(out, axis=1)[0]


def test_without_a_room_the_echo_is_what_was_played_later_and_quieter() -> None:
    played = chirp(0.2).reshape(1, -1)
    echo = received(Echo(gain_db=-20, delay_ms=50, reverberation_s=0), played, 14)
    begin = round(0.05 * 48_000)
    assert not echo[:begin].any()
    np.testing.assert_allclose(echo[begin : begin + played.size], played[0] / 10, atol=0.6)
    assert not echo[begin + played.size :].any()


def test_one_microphone_receives_both_channels() -> None:
    played = np.repeat(chirp(0.1), 2).reshape(1, -1)
    room = Echo(gain_db=0, delay_ms=20, reverberation_s=0)
    echo = received(room, played, 7, channels=2)
    assert correlation(echo, chirp(0.1))[0] > 0.99


def test_a_room_has_its_level_its_decay_and_its_seed() -> None:
    room = Echo(gain_db=-30, delay_ms=20, reverberation_s=0.4, direct_db=0)
    response = room.response()[round(0.02 * 48_000) :]
    assert 10 * np.log10((response**2).sum()) == pytest.approx(-30, abs=0.01)
    first, last = (np.sqrt(np.mean(part**2)) for part in (response[1:2_400], response[-2_400:]))
    assert 20 * np.log10(first / last) == pytest.approx(52.5, abs=1.5)
    np.testing.assert_array_equal(room.response(), room.response())
    assert (Echo(seed=1).response() != Echo(seed=2).response()).any()


def test_a_room_adds_to_the_user_and_saturates() -> None:
    path = EchoPath(Echo(gain_db=0, delay_ms=20, reverberation_s=0), FRAME)
    path.play(0.0, np.full((1, FRAME), 30_000, np.int16))
    path.add_to(SILENCE)
    both = path.add_to(np.full((1, FRAME), 10_000, np.int16))
    assert (both == 32_767).all()


@pytest.mark.parametrize(
    "values",
    [
        {"delay_ms": 10},
        {"reverberation_s": -1},
        {"gain_db": 30},
        {"direct_db": np.nan},
        {"seed": -1},
    ],
)
def test_what_no_room_can_have_is_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"expected {next(iter(values))} from"):
        Echo(**values)  # type: ignore[arg-type]


def test_a_handler_receives_the_echo_of_what_it_sends() -> None:
    def greet() -> Any:
        yield 48_000, tone(1.0, 440)

    peaks: list[int] = []

    class Recording(ReplyOnPause):
        def receive(self, frame: Any) -> None:
            peaks.append(int(np.abs(frame[1]).max()))

    handler = Recording(lambda audio: audio, startup_fn=greet)
    for echo in (None, Echo(gain_db=-20, reverberation_s=0)):
        peaks.clear()
        simulate(handler, (16_000, np.zeros(16_000, np.int16)), echo=echo)
        assert max(peaks) == (0 if echo is None else pytest.approx(1_638, rel=0.02))

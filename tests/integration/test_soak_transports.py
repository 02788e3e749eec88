"""`make transports`, in short; and whether it would see what it looks for."""

from __future__ import annotations

import re

import numpy as np
import pytest
from soak.transports import Echoed, lateness, main
from support.numbered_audio import pieces, places_of

from gradio_webrtc._audio import decode_g711, encode_g711

RATE_HZ = 8_000
PIECE = RATE_HZ // 10


def on_a_line(numbers: list[int]) -> np.ndarray:
    """Pieces as a telephone line carries them, int16 ``(n,)``."""
    return decode_g711(encode_g711(pieces(numbers, RATE_HZ))).reshape(-1)


def test_pieces_that_all_came_are_found_where_they_are() -> None:
    places = places_of(on_a_line([*range(100)]), range(100), RATE_HZ)
    assert places == [PIECE * each for each in range(100)]
    echoed = Echoed(100, places, 0.0, 0.0)
    assert (echoed.share, echoed.is_in_order) == (1.0, True)


def test_a_piece_that_is_missing_and_one_that_is_out_of_order_are_seen() -> None:
    came = [*range(10), *range(11, 40), 41, 40, *range(42, 50)]
    echoed = Echoed(50, places_of(on_a_line(came), range(50), RATE_HZ), 0.0, 0.0)
    assert echoed.share == pytest.approx(0.98)
    assert not echoed.is_in_order
    assert Echoed(2, places_of(np.zeros(0, np.int16), range(2), RATE_HZ), 0.0, 0.0).share == 0.0


def test_half_of_a_piece_is_none() -> None:
    line = on_a_line([*range(5)])
    line[2 * PIECE : 2 * PIECE + PIECE // 2] = 0
    assert [at for at, each in enumerate(places_of(line, range(5), RATE_HZ)) if each < 0] == [2]


def test_the_last_piece_may_come_later_than_the_first() -> None:
    looks = [(10.0, 800), (10.1, 1600), (10.5, 2400)]
    assert lateness([0, 800, 1600], looks) == pytest.approx(0.3)
    assert lateness([-1, -1, -1], looks) == 0.0


@pytest.mark.network
async def test_a_short_call_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert await main(2.0, ["websocket"]) == []
    assert re.search(r"\| websocket \| \d+ of 20 \| \d+\.\d% \| yes \|", capsys.readouterr().out)

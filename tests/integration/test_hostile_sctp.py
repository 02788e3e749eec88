"""A connected caller sends what no page would over the data channel's own protocol."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiortc.rtcsctptransport import SackChunk
from support.hostile import attacked, counted

pytestmark = pytest.mark.network


def acknowledgement(server: Any, gaps: list[tuple[int, int]]) -> SackChunk:
    chunk = SackChunk()
    chunk.cumulative_tsn = server.sctp._last_sacked_tsn
    chunk.advertised_rwnd = 1 << 17
    chunk.gaps = list(gaps)
    return chunk


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param([(1, 65535)] * 270, id="overlapping"),
        pytest.param([(i, 65535 - i) for i in range(1, 271)], id="nested"),
        pytest.param([(1000 * i, 1000 * i + 999) for i in range(1, 65)], id="never-sent"),
        pytest.param([(9, 3), (2, 65535)], id="backwards"),
    ],
)
async def test_an_acknowledgement_of_what_was_never_sent_costs_no_more_than_another(
    gaps: list[tuple[int, int]],
) -> None:
    async with attacked() as (hostile, _):
        with counted() as honest:
            await hostile.send_chunk(acknowledgement(hostile.server, []))
            await hostile.settle()
        with counted(limit=10 * honest.count) as bomb:
            await hostile.send_chunk(acknowledgement(hostile.server, gaps))
            await hostile.settle()
        assert bomb.count < bomb.limit


@pytest.mark.parametrize("kind", [4, 5, 6, 9, 130, 1, 2])
async def test_a_parameter_of_no_length_is_no_loop_without_end(kind: int) -> None:
    body = (bytes(16) if kind in {1, 2} else b"") + struct.pack("!HH", 1, 0)
    async with attacked() as (hostile, _):
        with counted(limit=50_000) as steps:
            await hostile.send_chunk(struct.pack("!BBH", kind, 0, 4 + len(body)) + body)
            await hostile.settle()
        assert steps.count < 50_000
        assert hostile.server.sctp.state == "connected"

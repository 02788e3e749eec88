"""What the conformance tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aioice.ice
import pytest
from support.guide import Guide, guide

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ("C01", "C03")


@pytest.fixture(scope="session")
def examples() -> Iterator[Guide]:
    """The guide's programs; one process runs them all."""
    with guide(*EXAMPLES) as running:
        yield running


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers have the address 127.0.0.1 alone, as the programs that they call."""
    monkeypatch.setattr(
        aioice.ice, "get_host_addresses", lambda use_ipv4, **_: ["127.0.0.1"] * use_ipv4
    )

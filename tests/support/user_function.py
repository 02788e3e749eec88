"""A user function as the replies to turns call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Function:
    """A user function without arguments besides the turn."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.fn, args

"""The protocol of speech synthesisers, in the terms of fastrtc."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from gradio_webrtc._advice import names_elsewhere

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from numpy.typing import NDArray

__all__ = ["TTSModel", "TTSOptions"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)


class TTSOptions:
    """Settings of a synthesiser, which has a subclass with fields of its own."""


T_contra = TypeVar("T_contra", bound=TTSOptions, contravariant=True)


@runtime_checkable
class TTSModel(Protocol[T_contra]):
    """Turns text into speech: whole, or piece by piece. Its results may be yielded as they are."""

    def tts(self, text: str, options: T_contra | None = None) -> tuple[int, NDArray[Any]]:
        """Returns the whole text as audio.

        Args:
            text: The text to speak.
            options: Settings; the synthesiser's own by default.

        Returns:
            Rate in Hz, and float32 from -1 to 1 or int16, ``(n,)`` or ``(1, n)``.
        """

    def stream_tts(
        self, text: str, options: T_contra | None = None
    ) -> AsyncGenerator[tuple[int, NDArray[Any]], None]:
        """Yields the text as audio, in pieces; on the event loop. See `tts`."""

    def stream_tts_sync(
        self, text: str, options: T_contra | None = None
    ) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yields the text as audio, in pieces; blocks. See `tts`."""

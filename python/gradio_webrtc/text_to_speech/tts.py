"""The protocol of speech synthesisers, in the terms of fastrtc. Imports nothing else of ours."""

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
    """The settings of a synthesiser. Each synthesiser has a subclass with fields of its own."""


T_contra = TypeVar("T_contra", bound=TTSOptions, contravariant=True)


@runtime_checkable
class TTSModel(Protocol[T_contra]):
    """Turns text into speech: whole, or in chunks. A handler may yield its results as they are."""

    def tts(self, text: str, options: T_contra | None = None) -> tuple[int, NDArray[Any]]:
        """Returns the whole text as audio; blocks.

        Args:
            text: The text to be spoken.
            options: The settings; by default the synthesiser's own.

        Returns:
            Rate in Hz, and float32 from -1 to 1 or int16, ``(n,)`` or ``(1, n)``.
        """

    def stream_tts(
        self, text: str, options: T_contra | None = None
    ) -> AsyncGenerator[tuple[int, NDArray[Any]], None]:
        """Yields the text as chunks of audio, on the event loop. See `tts`."""

    def stream_tts_sync(
        self, text: str, options: T_contra | None = None
    ) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yields the text as chunks of audio; blocks. See `tts`."""

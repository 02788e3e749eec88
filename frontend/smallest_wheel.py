"""Compresses a wheel once more, with libdeflate at its highest level: two per cent smaller.

maturin and the standard library compress with zlib's method, which stops searching earlier. What
comes out is the same format, and the same files in the same order.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import deflate

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = 12
"""The highest of libdeflate: a second for the whole wheel."""


class WholeFile:
    """Stands where `zipfile` has zlib's compressor: libdeflate takes a file in one piece."""

    def __init__(self, *_type_and_level: object) -> None:
        self._parts: list[bytes] = []

    def compress(self, data: bytes) -> bytes:
        """Keeps a part of a file."""
        self._parts.append(bytes(data))
        return b""

    def flush(self) -> bytes:
        """Returns the whole file, compressed."""
        return bytes(deflate.deflate_compress(b"".join(self._parts), LEVEL))


def compress_again(wheel: Path) -> None:
    """Replaces a wheel by a smaller one; leaves it as it is where `zipfile` has changed inside."""
    if not hasattr(zipfile, "_get_compressor"):
        return
    smaller = wheel.with_suffix(".smaller")
    original = zipfile._get_compressor  # noqa: SLF001 - there is no public way to compress
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(smaller, "w") as after:
        zipfile._get_compressor = WholeFile  # noqa: SLF001
        try:
            for entry in before.infolist():
                after.writestr(entry, before.read(entry))
        finally:
            zipfile._get_compressor = original  # noqa: SLF001
    smaller.replace(wheel)

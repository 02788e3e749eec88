"""Builds of aiortc and aioice in which one name is another, beside those that are imported."""

from __future__ import annotations

import importlib.abc
import logging
import re
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

LIBRARIES = ("aiortc", "aioice")
FRESH = (*LIBRARIES, "gradio_webrtc._transport")
"""Packages that are imported again: the libraries, and all that imports them."""

NAMES_OF_OTHERS = {"pack"}
"""Names that another module's functions have, too, and that are imported from there."""

METHOD = r"(?:(?<=def )|(?<=encoder\.))"
"""The names that are those of methods of an encoder."""

MANGLED = re.compile(r"_[A-Z][A-Za-z]*?(?=__)")


class _Renamer(importlib.abc.MetaPathFinder):
    """Imports the libraries with a name replaced wherever their source has it.

    The libraries still agree with themselves, and work as before: only code that relies on the old
    name finds that it is gone.
    """

    def __init__(self, name: str) -> None:
        word = MANGLED.sub("", name)
        before = METHOD if word in NAMES_OF_OTHERS else ""
        self._pattern = re.compile(rf"{before}(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])")
        self._word = f"{word}_in_another_version"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in LIBRARIES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        source = getattr(spec and spec.loader, "get_source", None)
        text = source(fullname) if source is not None else None
        if spec is not None and text is not None and self._pattern.search(text):
            spec.loader = _Loader(spec.loader, self._pattern.sub(self._word, text))
        return spec


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, original: Any, source: str) -> None:
        self._original = original
        self._source = source

    def get_source(self, fullname: str) -> str:
        del fullname
        return self._source

    def is_package(self, fullname: str) -> bool:
        return bool(self._original.is_package(fullname))


@contextmanager
def renamed(name: str) -> Iterator[None]:
    """Replaces a name in the libraries, for imports of them and of the transport within the block.

    Args:
        name: An attribute; one that is private to its class as Python mangles it.
    """
    before = {each: module for each, module in sys.modules.items() if _is_fresh(each)}
    filters = {each: list(logger.filters) for each, logger in _loggers()}
    package = sys.modules["gradio_webrtc"]
    transport = vars(package).get("_transport")
    renamer = _Renamer(name)
    for each in before:
        del sys.modules[each]
    sys.meta_path.insert(0, renamer)
    try:
        yield
    finally:
        sys.meta_path.remove(renamer)
        for each in [each for each in sys.modules if _is_fresh(each)]:
            del sys.modules[each]
        sys.modules.update(before)
        if transport is not None:
            vars(package)["_transport"] = transport
        for each, logger in _loggers():
            logger.filters[:] = filters.get(each, [])


def _is_fresh(module: str) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in FRESH)


def _loggers() -> list[tuple[str, logging.Logger]]:
    return [
        (name, logger)
        for name, logger in logging.Logger.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    ]

"""The names that the pages of the API reference document."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import NamedTuple

from .repository import ROOT

REFERENCE = ROOT / "docs" / "reference"


class Name(NamedTuple):
    """A name in a module, and the object behind it."""

    module: str
    name: str
    value: object


@cache
def documented(pages: str = "*.md") -> list[Name]:
    """The names that these pages of the reference have a heading for.

    Args:
        pages: A pattern of their names; by default all.
    """
    texts = [path.read_text("utf-8") for path in sorted(REFERENCE.glob(pages))]
    paths = [path for text in texts for path in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    parted = [path.rpartition(".") for path in paths]
    return [
        Name(module, name, getattr(importlib.import_module(module), name))
        for module, _, name in parted
    ]

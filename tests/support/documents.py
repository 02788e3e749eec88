"""The blocks of code in documents, so that tests run what readers copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT = ROOT / "docs" / "deployment.md"


def blocks(language: str) -> list[str]:
    """The blocks of this language in the guide to deployment, in order."""
    pattern = rf"^```{language}(?: title=\"[^\"]+\")?\n(.*?)^```$"
    found: list[str] = re.findall(pattern, DEPLOYMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return found


def edited(text: str, pieces: Mapping[str, str]) -> str:
    """A text with some pieces replaced, each of which is there once."""
    for old, new in pieces.items():
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in the document"
        text = text.replace(old, new)
    return text

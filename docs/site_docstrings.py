"""Prepares docstrings and signatures for the reference, as an extension of griffe."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

EXAMPLE: Final = re.compile(r"^Example:$", re.MULTILINE)
"""Our heading, and Google's, for one example. griffe shows code under "Examples" alone."""


class Prepared(griffe.Extension):
    """Shows examples as code, the first of overloaded constructors, and no private parameter."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Renames the section of the example; griffe calls it for every object."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub("Examples:", obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Replaces a constructor's parameters; griffe calls it for every class."""
        init = cls.members.get("__init__")
        if isinstance(init, griffe.Function):
            given = init.overloads[0].parameters if init.overloads else init.parameters
            public = [each for each in given if not each.name.startswith("_")]
            init.parameters = griffe.Parameters(*public)

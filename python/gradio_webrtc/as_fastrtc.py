"""Lets packages that import ``fastrtc`` work with this package, in programs that ask for it.

``import gradio_webrtc.as_fastrtc`` makes the name ``fastrtc``, with all its modules, lead here. It
must come before the first import of ``fastrtc``, and fastrtc itself must not be installed: two
packages under one name would each have half of a program's classes.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

HERE: Final = __name__.partition(".")[0]
THERE: Final = "fastrtc"


class _Finder(MetaPathFinder, Loader):
    """Finds modules of fastrtc's among ours."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a spec for ``fastrtc`` and its modules, ``None`` for all others."""
        package, _, rest = fullname.partition(".")
        if package != THERE:
            return None
        ours = f"{HERE}.{rest}" if rest else HERE
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            found = None
        return None if found is None else ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Puts our module in the place of the empty one that Python made."""
        name = module.__name__
        sys.modules[name] = importlib.import_module(HERE + name.removeprefix(THERE))


def _install() -> None:
    loaded = sys.modules.get(THERE)
    if loaded is not None and loaded is not sys.modules[HERE]:
        raise ImportError(
            f"{THERE} was imported before: write import {__name__} above the first import of it"
        )
    if any(isinstance(each, _Finder) for each in sys.meta_path):
        return
    if importlib.util.find_spec(THERE) is not None:
        raise ImportError(
            f"{THERE} itself is installed: two packages under one name do not mix. Run "
            f"pip uninstall {THERE}, and {__name__} lets {HERE} stand for it"
        )
    sys.meta_path.insert(0, _Finder())


_install()

"""The versions of what a stack is made of, read from the environment that it runs in."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from typing import TYPE_CHECKING, Final

import peers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peers import Peer

CALLS: Final = ("gradio", "aiortc", "av", "numpy", "onnxruntime")
"""The packages whose versions change what a session costs."""

ENVIRONMENTS: Final[dict[str, tuple[Peer | None, tuple[str, ...]]]] = {
    "ours": (None, ("gradio_webrtc", "gradio", "aiortc", "av", "numpy")),
    "aiortc": (None, ("aiortc", "av")),
    "numpy": (None, ("numpy",)),
    "fastrtc": (peers.FASTRTC, ("fastrtc", *CALLS)),
    "gradio_webrtc": (peers.GRADIO_WEBRTC, ("gradio_webrtc", *CALLS)),
    "pipecat": (peers.PIPECAT, ("pipecat-ai", *CALLS)),
    "onnxruntime": (peers.KERNELS, ("onnxruntime",)),
    "soxr": (peers.KERNELS, ("soxr",)),
    "samplerate": (peers.KERNELS, ("samplerate",)),
    "libswresample": (peers.KERNELS, ("av",)),
}
"""By the first word of a stack's name: its environment, ``None`` for ours, and its packages."""


def of_stack(stack: str) -> str:
    """The versions in one line, such as "fastrtc 0.0.34, aiortc 1.16.0"; empty for others."""
    return _in_words(re.split("[, ]", stack)[0])


@functools.cache
def _in_words(name: str) -> str:
    if name not in ENVIRONMENTS:
        return ""
    peer, packages = ENVIRONMENTS[name]
    found = installed(sys.path if peer is None else [str(peer.packages)])
    return ", ".join(f"{each} {found[each]}" for each in packages if each in found)


def installed(places: Iterable[str]) -> dict[str, str]:
    """The version of every package in those folders, by its name."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions(path=list(places)):
        found.setdefault(each.name, each.version)
    return found

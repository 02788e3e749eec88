"""Advice in place of names that gradio_webrtc 0.0.31 and fastrtc have and this package has not.

The text of the ImportError or AttributeError names what to write instead. Any thread; imports
nothing of ours.
"""

from __future__ import annotations

import dis
import inspect
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PACKAGE: Final = __name__.partition(".")[0]

INSIDE: Final = (
    "it was an internal class. Pass stream() a handler, such as StreamHandler; "
    f"{PACKAGE}.testing.simulate runs one without a connection"
)
TELEPHONE: Final = (
    "Stream.mount has the routes of telephones and WebSockets; in routes of your own await "
    "stream.telephone_handler(websocket) or stream.websocket_offer(websocket)"
)
REGISTRY: Final = (
    "the component has set_input, set_additional_outputs, output_stream and fetch_latest_output, "
    "with the id of a session"
)

INSTEAD: Final[dict[str, str]] = {
    "KokoroFixedBatchSize": 'it was internal; get_tts_model("kokoro") splits texts by sentences',
    "AudioCallback": INSIDE,
    "VideoCallback": INSIDE,
    "ServerToClientAudio": INSIDE,
    "ServerToClientVideo": INSIDE,
    "VideoStreamHandler_": INSIDE,
    "VideoStreamHander": INSIDE,
    "player_worker_decode": INSIDE,
    "webrtc_error_handler": "exceptions of a handler are reported, in the log and to the client",
    "WebRTCModel": "the component passes functions its id as text, or a WebRTCData",
    "iterate": "write next(generator)",
    "async_httpx_client": "the functions for credentials open their own connections",
    "CLOUDFLARE_FASTRTC_TURN_URL": "call get_cloudflare_turn_credentials(hf_token=...)",
    "WebSocketHandler": TELEPHONE,
    "WebSocketDataChannel": TELEPHONE,
    "convert_to_mulaw": TELEPHONE,
    "WebRTCConnectionMixin": REGISTRY,
    "OutputQueue": REGISTRY,
    "Track": INSIDE,
}
"""The advice for names that no module of ours has."""

ELSEWHERE: Final[dict[str, str]] = {
    "AppState": "reply_on_pause",
    "AsyncHandler": "tracks",
    "AudioChunk": "utils",
    "AudioVideoStreamHandlerImpl": "tracks",
    "Body": "stream",
    "DataChannel": "utils",
    "EmitType": "tracks",
    "HandlerType": "tracks",
    "RTCConfigurationCallable": "utils",
    "ReplyFnGenerator": "reply_on_pause",
    "ReplyOnStopWordsState": "reply_on_stopwords",
    "SileroVADModel": "pause_detection",
    "StreamHandlerBase": "tracks",
    "StreamHandlerImpl": "tracks",
    "TTSModel": "text_to_speech",
    "TTSOptions": "text_to_speech",
    "create_message": "utils",
    "current_channel": "utils",
    "current_context": "utils",
    "get_vad_model": "reply_on_pause",
    "simulate": "testing",
    "split_output": "utils",
}
"""The module of names that the package itself does not have."""


def names_elsewhere(module: str) -> Callable[[str], object]:
    """Returns a module's ``__getattr__`` (PEP 562), which explains names that it does not have.

    Args:
        module: The module's ``__name__``.
    """

    def __getattr__(name: str) -> object:  # noqa: N807 - so it is named in a traceback
        raise missing(module, name, inspect.currentframe())

    return __getattr__


def missing(module: str, name: str, frame: FrameType | None) -> ImportError | AttributeError:
    """Returns the error for a name that a module does not have.

    ``from module import name`` turns every AttributeError into an ImportError of few words, so
    that statement gets one of its own; ``hasattr`` and ``getattr`` need the AttributeError.

    Args:
        module: The module's ``__name__``.
        name: The name that was looked up in it.
        frame: The frame of its ``__getattr__``; ``None`` on an interpreter without frames.
    """
    advice = _advice(module, name)
    if frame is not None and _is_from_import(frame.f_back):
        return ImportError(f"cannot import name {name!r} from {module!r}{advice}", name=name)
    return AttributeError(f"module {module!r} has no attribute {name!r}{advice}")


def _advice(module: str, name: str) -> str:
    if name in INSTEAD:
        return f": {INSTEAD[name]}. See docs/migrating.md, Removed names"
    home = f"{PACKAGE}.{ELSEWHERE[name]}" if name in ELSEWHERE else PACKAGE
    if home != module and (name in ELSEWHERE or name in sys.modules[PACKAGE].__all__):
        return f": write from {home} import {name}"
    names = vars(sys.modules[module]).get("__all__", ())
    return f": it has {', '.join(names)}" if names and module != PACKAGE else ""


def _is_from_import(frame: FrameType | None) -> bool:
    """True if a frame is in the middle of ``from ... import``.

    The instruction is looked up, since the import system calls ``__getattr__`` the same way in
    either case.
    """
    if frame is None or frame.f_lasti < 0:
        return False
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"

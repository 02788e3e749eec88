"""Real-time audio and video for Gradio over WebRTC.

The public names. Those that few programs use, and those that need Gradio, are imported when
somebody asks for them: handlers and `testing` work without Gradio and FastAPI.
"""

import importlib
import inspect
import sys
import typing

from ._advice import missing as _missing
from ._audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)
from ._handlers import (
    AlgoOptions,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    Context,
    ModelOptions,
    PauseDetectionModel,
    ReplyOnPause,
    SileroVadOptions,
    Speculation,
    StreamHandler,
    VideoStreamHandler,
    Warning,  # noqa: A004 - the name in gradio_webrtc 0.0.31 and fastrtc
    get_current_context,
    get_silero_model,
)
from ._limits import Limits
from ._turn_timings import TurnTimings
from ._turns.current_turn import get_turn
from ._workers.workers import wait_for_item
from .errors import AudioError, CredentialsError, TurnDiscarded, WebRTCError
from .types import AdditionalOutputs, AudioEmitType, CloseStream, VideoEmitType, WebRTCData

if typing.TYPE_CHECKING:
    from ._audio_files import audio_to_bytes, audio_to_file
    from ._handlers.realtime import RealtimeHandler
    from ._handlers.reply_on_stopwords import ReplyOnStopWords
    from ._turns.smart_turn import SmartTurn
    from ._turns.speech_to_text import MoonshineSTT, STTModel, get_stt_model, stt, stt_for_chunks
    from ._turns.text_to_speech import CartesiaTTSOptions, KokoroTTSOptions, get_tts_model
    from .component import WebRTC
    from .credentials import (
        get_cloudflare_turn_credentials,
        get_cloudflare_turn_credentials_async,
        get_hf_turn_credentials,
        get_hf_turn_credentials_async,
        get_turn_credentials,
        get_turn_credentials_async,
        get_twilio_turn_credentials,
        get_twilio_turn_credentials_async,
    )
    from .stream import Stream, UIArgs

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioError",
    "AudioVideoStreamHandler",
    "CartesiaTTSOptions",
    "CloseStream",
    "Context",
    "CredentialsError",
    "KokoroTTSOptions",
    "Limits",
    "ModelOptions",
    "MoonshineSTT",
    "PauseDetectionModel",
    "RealtimeHandler",
    "ReplyOnPause",
    "ReplyOnStopWords",
    "STTModel",
    "SileroVadOptions",
    "SmartTurn",
    "Speculation",
    "Stream",
    "StreamHandler",
    "TurnDiscarded",
    "TurnTimings",
    "UIArgs",
    "VideoEmitType",
    "VideoStreamHandler",
    "Warning",
    "WebRTC",
    "WebRTCData",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_bytes",
    "audio_to_file",
    "audio_to_float32",
    "audio_to_int16",
    "get_cloudflare_turn_credentials",
    "get_cloudflare_turn_credentials_async",
    "get_current_context",
    "get_hf_turn_credentials",
    "get_hf_turn_credentials_async",
    "get_silero_model",
    "get_stt_model",
    "get_tts_model",
    "get_turn",
    "get_turn_credentials",
    "get_turn_credentials_async",
    "get_twilio_turn_credentials",
    "get_twilio_turn_credentials_async",
    "stt",
    "stt_for_chunks",
    "wait_for_item",
]

_LATER = {
    "component": {"WebRTC"},
    "credentials": {name for name in __all__ if "credentials" in name},
    "_audio_files": {"audio_to_bytes", "audio_to_file"},
    "_handlers.realtime": {"RealtimeHandler"},
    "_handlers.reply_on_stopwords": {"ReplyOnStopWords"},
    "_turns.smart_turn": {"SmartTurn"},
    "_turns.text_to_speech": {"CartesiaTTSOptions", "KokoroTTSOptions", "get_tts_model"},
    "stream": {"Stream", "UIArgs"},
    "_turns.speech_to_text": {"MoonshineSTT", "STTModel", "get_stt_model", "stt", "stt_for_chunks"},
}
"""Names that few programs use or that need Gradio, by module. Their modules are not loaded at every
start."""

# Not for type checkers: a module with `__getattr__` has any name for them.
if not typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Returns one of those names, imported now (PEP 562)."""
        for module, names in _LATER.items():
            if name in names:
                found = getattr(importlib.import_module(f".{module}", __name__), name)
                globals()[name] = found
                return found
        raise _missing(__name__, name, inspect.currentframe())

    def __dir__() -> list[str]:
        """Returns all names, those that are not imported yet among them."""
        return sorted({*globals(), *__all__})

    # Gradio looks up a component named by a string, as in `gr.Interface(fn, "webrtc", ...)`, among
    # the classes that exist. A program that has imported Gradio saves nothing by waiting.
    if "gradio" in sys.modules:
        importlib.import_module(".component", __name__)

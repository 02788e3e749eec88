"""The import path of the helpers in gradio_webrtc 0.0.31 and fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from ._advice import names_elsewhere
from ._audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)
from ._audio_files import audio_to_bytes, audio_to_file
from ._handlers import (
    Context,
    Warning,  # noqa: A004 - the name in fastrtc
    current_channel,
    current_context,
    get_current_context,
)
from ._legacy.outputs import split_output
from ._messages import create_message
from ._session.rtc_configuration import RTCConfigurationCallable
from ._transport.pacing import FRAME_S as AUDIO_PTIME
from ._workers.workers import wait_for_item
from .errors import WebRTCError
from .types import AdditionalOutputs, AudioChunk, CloseStream, DataChannel, WebRTCData

__all__ = [
    "AUDIO_PTIME",
    "AdditionalOutputs",
    "AudioChunk",
    "CloseStream",
    "Context",
    "DataChannel",
    "RTCConfigurationCallable",
    "Warning",
    "WebRTCData",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_bytes",
    "audio_to_file",
    "audio_to_float32",
    "audio_to_int16",
    "create_message",
    "current_channel",
    "current_context",
    "get_current_context",
    "split_output",
    "wait_for_item",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

"""Real-time voice and video for Gradio over WebRTC."""

from .audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)
from .component import WebRTC
from .concurrency import wait_for_item
from .errors import AudioError, WebRTCError
from .handlers import (
    AlgoOptions,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    ModelOptions,
    PauseDetectionModel,
    ReplyOnPause,
    SileroVadOptions,
    StreamHandler,
    get_silero_model,
)
from .types import AdditionalOutputs, AudioEmitType, CloseStream, VideoEmitType

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioError",
    "AudioVideoStreamHandler",
    "CloseStream",
    "ModelOptions",
    "PauseDetectionModel",
    "ReplyOnPause",
    "SileroVadOptions",
    "StreamHandler",
    "VideoEmitType",
    "WebRTC",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_float32",
    "audio_to_int16",
    "get_silero_model",
    "wait_for_item",
]

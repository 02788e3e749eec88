"""Real-time voice and video for Gradio over WebRTC."""

from .audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)
from .component import WebRTC
from .errors import AudioError, WebRTCError
from .handlers import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
)
from .types import AdditionalOutputs, AudioEmitType, CloseStream, VideoEmitType

__all__ = [
    "AdditionalOutputs",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioError",
    "AudioVideoStreamHandler",
    "CloseStream",
    "StreamHandler",
    "VideoEmitType",
    "WebRTC",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_float32",
    "audio_to_int16",
]

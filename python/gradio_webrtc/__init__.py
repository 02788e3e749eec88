"""Real-time voice and video for Gradio over WebRTC."""

from .audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)
from .component import WebRTC
from .concurrency import wait_for_item
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
from .encoding import audio_to_bytes, audio_to_file
from .errors import AudioError, CredentialsError, WebRTCError
from .handlers import (
    AlgoOptions,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    Context,
    ModelOptions,
    PauseDetectionModel,
    ReplyOnPause,
    ReplyOnStopWords,
    SileroVadOptions,
    StreamHandler,
    VideoStreamHandler,
    Warning,  # noqa: A004 - the predecessors' name
    get_current_context,
    get_silero_model,
)
from .speech_to_text import MoonshineSTT, STTModel, get_stt_model, stt, stt_for_chunks
from .types import AdditionalOutputs, AudioEmitType, CloseStream, VideoEmitType, WebRTCData

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioError",
    "AudioVideoStreamHandler",
    "CloseStream",
    "Context",
    "CredentialsError",
    "ModelOptions",
    "MoonshineSTT",
    "PauseDetectionModel",
    "ReplyOnPause",
    "ReplyOnStopWords",
    "STTModel",
    "SileroVadOptions",
    "StreamHandler",
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
    "get_turn_credentials",
    "get_turn_credentials_async",
    "get_twilio_turn_credentials",
    "get_twilio_turn_credentials_async",
    "stt",
    "stt_for_chunks",
    "wait_for_item",
]

"""Every name of gradio_webrtc 0.0.31 and fastrtc is there, or its import names a replacement."""

from __future__ import annotations

import importlib

import pytest

import gradio_webrtc
from gradio_webrtc._advice import ELSEWHERE, INSTEAD, PACKAGE

# What fastrtc 0.0.34 and gradio_webrtc 0.0.31 define and do not hide, by module; the package's own
# in the first line.
NAMES = {
    "": (
        "AdditionalOutputs AlgoOptions AsyncAudioVideoStreamHandler AsyncStreamHandler "
        "AudioEmitType AudioVideoStreamHandler CartesiaTTSOptions CloseStream KokoroTTSOptions "
        "ModelOptions MoonshineSTT PauseDetectionModel ReplyOnPause ReplyOnStopWords "
        "SileroVadOptions Stream StreamHandler UIArgs VideoEmitType VideoStreamHandler Warning "
        "WebRTC WebRTCData WebRTCError aggregate_bytes_to_16bit async_aggregate_bytes_to_16bit "
        "audio_to_bytes audio_to_file audio_to_float32 audio_to_int16 "
        "get_cloudflare_turn_credentials get_cloudflare_turn_credentials_async "
        "get_current_context get_hf_turn_credentials get_hf_turn_credentials_async "
        "get_silero_model get_stt_model get_tts_model get_turn_credentials "
        "get_turn_credentials_async get_twilio_turn_credentials stt stt_for_chunks wait_for_item"
    ),
    "credentials": (
        "CLOUDFLARE_FASTRTC_TURN_URL async_httpx_client get_cloudflare_turn_credentials "
        "get_hf_turn_credentials_async get_twilio_turn_credentials"
    ),
    "pause_detection": "SileroVADModel SileroVadOptions get_silero_model",
    "pause_detection.protocol": "ModelOptions PauseDetectionModel",
    "pause_detection.silero": "SileroVADModel SileroVadOptions get_silero_model logger",
    "pause_detection.vad": "SileroVADModel SileroVadOptions logger",
    "reply_on_pause": (
        "AlgoOptions AppState ReplyFnGenerator ReplyOnPause counter get_vad_model iterate logger"
    ),
    "reply_on_stopwords": "ReplyOnStopWords ReplyOnStopWordsState logger",
    "speech_to_text": "MoonshineSTT get_stt_model stt stt_for_chunks",
    "speech_to_text.stt_": "MoonshineSTT STTModel curr_dir get_stt_model stt stt_for_chunks",
    "stream": "Body Stream UIArgs curr_dir logger",
    "text_to_speech": "CartesiaTTSOptions KokoroTTSOptions get_tts_model",
    "text_to_speech.tts": (
        "CartesiaTTSModel CartesiaTTSOptions KokoroFixedBatchSize KokoroTTSModel KokoroTTSOptions "
        "T TTSModel TTSOptions get_tts_model"
    ),
    "tracks": (
        "AsyncAudioVideoStreamHandler AsyncHandler AsyncStreamHandler AudioCallback AudioEmitType "
        "AudioVideoStreamHandler AudioVideoStreamHandlerImpl EmitType HandlerType "
        "ServerToClientAudio ServerToClientVideo StreamHandler StreamHandlerBase StreamHandlerImpl "
        "VideoCallback VideoEmitType VideoEventGenerator VideoEventHandler VideoNDArray "
        "VideoStreamHandler VideoStreamHandlerImpl VideoStreamHandler_ logger"
    ),
    "utils": (
        "AUDIO_PTIME AdditionalOutputs AudioChunk CloseStream Context DataChannel "
        "RTCConfigurationCallable Warning WebRTCData WebRTCError WebRTCModel "
        "aggregate_bytes_to_16bit async_aggregate_bytes_to_16bit audio_to_bytes audio_to_file "
        "audio_to_float32 audio_to_int16 create_message current_channel current_context "
        "get_current_context logger player_worker_decode split_output wait_for_item "
        "webrtc_error_handler"
    ),
    "webrtc": (
        "AsyncAudioVideoStreamHandler AsyncHandler AsyncStreamHandler AudioCallback AudioEmitType "
        "AudioVideoStreamHandler AudioVideoStreamHandlerImpl EmitType P R ServerToClientAudio "
        "ServerToClientVideo StreamHandler StreamHandlerBase StreamHandlerImpl VideoCallback "
        "VideoEmitType VideoEventHandler VideoStreamHander VideoStreamHandlerImpl WebRTC logger"
    ),
    "webrtc_connection_mixin": "OutputQueue Track WebRTCConnectionMixin",
    "websocket": "WebSocketDataChannel WebSocketHandler convert_to_mulaw",
}


def import_from(module: str, name: str) -> object:
    names: dict[str, object] = {}
    exec(f"from {module} import {name}", names)  # noqa: S102 - the statement itself is the point
    return names[name]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (f"{PACKAGE}.{module}".rstrip("."), name)
        for module, names in NAMES.items()
        for name in names.split()
    ],
)
def test_a_name_of_fastrtc_or_gradio_webrtc_is_there_or_explained(module: str, name: str) -> None:
    if hasattr(importlib.import_module(module), name):
        assert import_from(module, name) is not None
        return
    with pytest.raises(
        ImportError, match=f"cannot import name '{name}' from '{module}': "
    ) as raised:
        import_from(module, name)
    advice = str(raised.value).partition("': ")[2]
    assert name not in INSTEAD or INSTEAD[name] in advice
    assert len(advice) > 20


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_of_a_module_of_ours_is_sent_there(name: str) -> None:
    with pytest.raises(ImportError, match=f"write from {PACKAGE}.{ELSEWHERE[name]} import {name}"):
        import_from(PACKAGE, name)
    assert import_from(f"{PACKAGE}.{ELSEWHERE[name]}", name) is not None


def test_a_name_of_the_package_is_sent_there_from_its_modules() -> None:
    with pytest.raises(ImportError, match="write from gradio_webrtc import ReplyOnStopWords"):
        import_from("gradio_webrtc.utils", "ReplyOnStopWords")


def test_an_unknown_name_is_reported_beside_those_that_exist() -> None:
    with pytest.raises(ImportError, match="it has ReplyOnStopWords, ReplyOnStopWordsState"):
        import_from("gradio_webrtc.reply_on_stopwords", "ReplyOnStopWord")
    with pytest.raises(ImportError, match=r"name 'Replies' from 'gradio_webrtc'$"):
        import_from("gradio_webrtc", "Replies")


@pytest.mark.parametrize("module", ["gradio_webrtc", "gradio_webrtc.utils"])
def test_asking_for_an_attribute_raises_what_hasattr_needs(module: str) -> None:
    asked = importlib.import_module(module)
    assert not hasattr(asked, "iterate")
    assert getattr(asked, "iterate", None) is None
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'iterate': wri"):
        asked.iterate  # noqa: B018


def test_what_is_explained_is_not_there() -> None:
    assert [name for name in (*INSTEAD, *ELSEWHERE) if hasattr(gradio_webrtc, name)] == []

"""Programs written for gradio_webrtc 0.0.31 or fastrtc find every name where they import it."""

from __future__ import annotations

import ast
import importlib

import pytest
from pydantic import ValidationError
from support.repository import PACKAGE

from gradio_webrtc.stream import Body

HANDLERS = (
    "AsyncAudioVideoStreamHandler AsyncStreamHandler AudioVideoStreamHandler StreamHandler "
    "StreamHandlerBase"
)

# Of gradio_webrtc 0.0.31, and of fastrtc 0.0.34 with our name in place of its own: what their
# documentation, demos and tests import. Not promised: their tracks of aiortc, and what only their
# own modules share (player_worker_decode, webrtc_error_handler).
NAMES = {
    "credentials": (
        "get_cloudflare_turn_credentials get_cloudflare_turn_credentials_async "
        "get_hf_turn_credentials get_hf_turn_credentials_async get_turn_credentials "
        "get_turn_credentials_async get_twilio_turn_credentials"
    ),
    "pause_detection": (
        "ModelOptions PauseDetectionModel SileroVADModel SileroVadOptions get_silero_model"
    ),
    "pause_detection.protocol": "ModelOptions PauseDetectionModel",
    "pause_detection.silero": (
        "PauseDetectionModel SileroVADModel SileroVadOptions get_silero_model"
    ),
    "pause_detection.vad": "SileroVADModel SileroVadOptions",
    "reply_on_pause": (
        "AlgoOptions AppState ModelOptions PauseDetectionModel ReplyFnGenerator ReplyOnPause "
        "create_message get_silero_model get_vad_model split_output"
    ),
    "reply_on_stopwords": "ReplyOnStopWords ReplyOnStopWordsState",
    "speech_to_text": "MoonshineSTT STTModel get_stt_model stt stt_for_chunks",
    "speech_to_text.stt_": "MoonshineSTT STTModel get_stt_model stt stt_for_chunks",
    "stream": "Body Stream UIArgs",
    "text_to_speech": (
        "CartesiaTTSModel CartesiaTTSOptions HibariTTSModel HibariTTSOptions KokoroTTSModel "
        "KokoroTTSOptions TTSModel TTSOptions get_tts_model"
    ),
    "text_to_speech.tts": (
        "CartesiaTTSModel CartesiaTTSOptions HibariTTSModel HibariTTSOptions KokoroTTSModel "
        "KokoroTTSOptions TTSModel TTSOptions get_tts_model"
    ),
    "tracks": (
        f"{HANDLERS} AsyncHandler AudioEmitType AudioVideoStreamHandlerImpl EmitType HandlerType "
        "StreamHandlerImpl VideoEmitType VideoEventGenerator VideoEventHandler VideoNDArray "
        "VideoStreamHandler VideoStreamHandlerImpl"
    ),
    "utils": (
        "AUDIO_PTIME AdditionalOutputs AudioChunk CloseStream Context DataChannel "
        "RTCConfigurationCallable Warning WebRTCData WebRTCError aggregate_bytes_to_16bit "
        "async_aggregate_bytes_to_16bit audio_to_bytes audio_to_file audio_to_float32 "
        "audio_to_int16 create_message current_channel current_context get_current_context "
        "split_output wait_for_item"
    ),
    "webrtc": (
        f"{HANDLERS} AdditionalOutputs AsyncHandler AudioEmitType AudioVideoStreamHandlerImpl "
        "EmitType StreamHandlerImpl VideoEmitType VideoEventHandler VideoStreamHandlerImpl WebRTC "
        "WebRTCError"
    ),
}
THIN = {
    "pause_detection": "pause_detection/__init__.py",
    "pause_detection.protocol": "pause_detection/protocol.py",
    "pause_detection.silero": "pause_detection/silero.py",
    "pause_detection.vad": "pause_detection/vad.py",
    "reply_on_pause": "reply_on_pause.py",
    "reply_on_stopwords": "reply_on_stopwords.py",
    "speech_to_text.stt_": "speech_to_text/stt_.py",
    "text_to_speech": "text_to_speech/__init__.py",
    "tracks": "tracks.py",
    "utils": "utils.py",
    "webrtc": "webrtc.py",
}


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in NAMES.items() for name in names.split()],
)
def test_the_name_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"gradio_webrtc.{module}"), name)


@pytest.mark.parametrize("module", THIN)
def test_the_module_has_no_code_of_its_own(module: str) -> None:
    tree = ast.parse((PACKAGE / THIN[module]).read_text("utf-8"))
    docstring, *imports, listed, explained = tree.body
    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in imports)
    assert isinstance(listed, ast.Assign)
    assert sorted(ast.literal_eval(listed.value)) == sorted(NAMES[module].split())
    assert "names_elsewhere" in ast.unparse(explained)


def test_the_body_of_an_offer_is_read_as_fastrtc_reads_it() -> None:
    body = Body.model_validate({"sdp": "v=0", "type": "offer", "webrtc_id": "1", "more": 2})
    assert body.model_dump(exclude={"audio", "video"}) == {
        "sdp": "v=0",
        "candidate": None,
        "type": "offer",
        "webrtc_id": "1",
        "secret": None,
    }
    with pytest.raises(ValidationError, match="webrtc_id"):
        Body.model_validate({"sdp": "v=0", "type": "offer"})

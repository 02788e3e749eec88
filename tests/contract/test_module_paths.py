"""Programs written for the predecessors find every name where they import it from."""

from __future__ import annotations

import ast
import importlib

import pytest
from support.repository import PACKAGE

HANDLERS = (
    "AsyncAudioVideoStreamHandler AsyncStreamHandler AudioVideoStreamHandler StreamHandler "
    "StreamHandlerBase"
)

# Of gradio_webrtc 0.0.31, and of fastrtc 0.0.34 with our name in place of its own: what their
# documentation, demos and tests import. Not promised: their tracks of aiortc, and what only their
# own modules share (player_worker_decode, webrtc_error_handler, current_channel).
NAMES = {
    "credentials": (
        "get_cloudflare_turn_credentials get_cloudflare_turn_credentials_async "
        "get_hf_turn_credentials get_hf_turn_credentials_async get_turn_credentials "
        "get_turn_credentials_async get_twilio_turn_credentials"
    ),
    "pause_detection": (
        "ModelOptions PauseDetectionModel SileroVADModel SileroVadOptions get_silero_model"
    ),
    "reply_on_pause": (
        "AlgoOptions AppState ModelOptions PauseDetectionModel ReplyOnPause get_silero_model "
        "get_vad_model"
    ),
    "reply_on_stopwords": "ReplyOnStopWords ReplyOnStopWordsState",
    "speech_to_text": "MoonshineSTT STTModel get_stt_model stt stt_for_chunks",
    "tracks": (
        f"{HANDLERS} AudioEmitType EmitType HandlerType StreamHandlerImpl VideoEmitType "
        "VideoStreamHandler"
    ),
    "utils": (
        "AUDIO_PTIME AdditionalOutputs CloseStream Context RTCConfigurationCallable Warning "
        "WebRTCError aggregate_bytes_to_16bit async_aggregate_bytes_to_16bit audio_to_bytes "
        "audio_to_file audio_to_float32 audio_to_int16 create_message get_current_context "
        "split_output wait_for_item"
    ),
    "webrtc": (
        f"{HANDLERS} AdditionalOutputs AudioEmitType EmitType VideoEmitType WebRTC WebRTCError"
    ),
}
THIN = ["pause_detection", "reply_on_pause", "reply_on_stopwords", "tracks", "utils", "webrtc"]


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in NAMES.items() for name in names.split()],
)
def test_the_name_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"gradio_webrtc.{module}"), name)


@pytest.mark.parametrize("module", THIN)
def test_the_module_has_no_code_of_its_own(module: str) -> None:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    docstring, *imports, listed = tree.body
    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(statement, ast.ImportFrom) for statement in imports)
    assert isinstance(listed, ast.Assign)
    assert sorted(ast.literal_eval(listed.value)) == sorted(NAMES[module].split())

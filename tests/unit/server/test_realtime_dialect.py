"""A session in the events of the Realtime protocol: their order, their places and their audio."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from support.signals import tone

from gradio_webrtc._messages import create_ending, create_message, create_words, encode_message
from gradio_webrtc._realtime.protocol import BETA_NAMES, AudioFormat, decode_audio
from gradio_webrtc._server import realtime_dialect as module
from gradio_webrtc._server.realtime_dialect import RealtimeDialect
from gradio_webrtc._server.realtime_terms import EventRefused, SessionTerms
from gradio_webrtc._server.realtime_words import Words
from gradio_webrtc._transport import PacedFrame

TURN = {"speech_start_s": 1.0, "speech_end_s": 2.0, "time_s": 2.5, "turn": 1}


class Client:
    """What a client gets; it stands for the transport, too."""

    def __init__(self, **terms: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.buffered_s = 0.0
        self.signs_of_life = 0
        self.dialect = RealtimeDialect(SessionTerms("sess_1", "model", **terms))
        transport: Any = self
        self.dialect.attach(transport, lambda: self.buffered_s)

    def note_alive(self) -> None:
        self.signs_of_life += 1

    def put(self, text: str | None) -> None:
        if text is not None:
            self.events.append(json.loads(text))

    def note(self, name: str, **data: Any) -> None:
        self.dialect.note_event(0.0, name, {**TURN, **data})

    def play(self, samples: Any = None, *, is_audio: bool = True) -> None:
        """Passes 20 ms on, as the transport does."""
        frame = np.full((1, 960), 1000, np.int16) if samples is None else samples
        self.put(self.dialect.write_audio(PacedFrame(0, frame, is_audio)))

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.events]

    def last(self, kind: str) -> dict[str, Any]:
        return next(each for each in reversed(self.events) if each["type"] == kind)


BEGIN = ["response.created", "response.output_item.added", "conversation.item.added"]
END_OF_AUDIO = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
]
END = ["conversation.item.done", "response.output_item.done", "response.done"]


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_turn_and_its_reply_come_in_the_order_of_the_protocol() -> None:
    client = Client()
    client.note("started_talking")
    client.note("pause_candidate")
    client.note("pause_detected")
    client.note("response_starting")
    client.play()
    client.buffered_s = 0.5
    client.note("response_finished", failed=False)
    await settle()
    client.play()
    client.buffered_s = 0.0
    client.play(is_audio=False)
    assert client.kinds() == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        *BEGIN,
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio.delta",
        *END_OF_AUDIO,
        *END,
    ]
    assert client.last("input_audio_buffer.speech_started")["audio_start_ms"] == 1000
    assert client.last("input_audio_buffer.speech_stopped")["audio_end_ms"] == 2500
    done = client.last("response.done")["response"]
    assert (done["status"], done["status_details"]) == ("completed", None)
    turn_id = client.last("input_audio_buffer.committed")["item_id"]
    added = [each for each in client.events if each["type"] == "conversation.item.added"]
    assert [each["previous_item_id"] for each in added] == [None, turn_id]
    assert added[1]["item"]["id"] == done["output"][0]["id"]
    assert client.dialect.sent_ms(done["output"][0]["id"]) == 40
    assert client.dialect.sent_ms(turn_id) is None
    ids = [each["event_id"] for each in client.events]
    assert len(set(ids)) == len(ids)
    assert not client.dialect.is_responding


async def test_a_reply_without_audio_is_over_with_its_handler() -> None:
    client = Client()
    client.note("response_starting")
    client.note("response_finished", failed=True)
    assert client.dialect.is_responding, "what the handler emitted last may be on its way"
    await settle()
    assert client.kinds() == [*BEGIN, *END]
    done = client.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"] == {"type": "server_error", "code": "handler_error"}
    assert done["output"][0]["content"] == []


@pytest.mark.parametrize(
    ("reason", "expected"), [("", "turn_detected"), ("client_cancelled", "client_cancelled")]
)
async def test_an_interrupted_reply_is_cancelled_at_once(reason: str, expected: str) -> None:
    client = Client()
    client.note("response_starting")
    client.play()
    if reason:
        client.dialect.cancel_reason = reason
    client.note("interrupted")
    assert client.kinds()[-6:] == [*END_OF_AUDIO, *END]
    done = client.last("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": expected}
    assert done["output"][0]["status"] == "incomplete"
    # The next one is another's.
    client.note("response_starting")
    client.note("interrupted")
    details = client.last("response.done")["response"]["status_details"]
    assert details["reason"] == "turn_detected"


async def test_speech_that_was_no_interruption_is_no_item_and_the_reply_goes_on() -> None:
    client = Client()
    client.note("response_starting")
    client.play()
    client.note("started_talking")
    assert client.dialect.is_spoken_to
    client.put(client.dialect.write_clear())
    client.note("reply_resumed", turn=1)
    assert client.kinds()[-2:] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
    ]
    assert client.events[-1]["item_id"] == client.events[-2]["item_id"]
    assert not client.dialect.is_spoken_to
    response_id = client.last("response.output_audio.delta")["response_id"]
    client.play()
    assert client.last("response.output_audio.delta")["response_id"] == response_id
    client.note("response_finished", failed=False)
    await asyncio.sleep(0)
    assert client.last("response.done")["response"]["status"] == "completed"


async def test_speech_over_the_last_audio_of_a_reply_cancels_it_as_well() -> None:
    client = Client()
    client.note("response_starting")
    client.play()
    client.put(client.dialect.write_clear())
    assert client.dialect.is_responding, "a handler may drop its audio and go on"
    client.buffered_s = 1.0
    client.note("response_finished")
    await settle()
    # The handler is done, and reports no interruption any more.
    client.put(client.dialect.write_clear())
    assert client.last("response.done")["response"]["status"] == "cancelled"


async def test_a_reply_that_begins_before_the_last_has_left_ends_that_first() -> None:
    client = Client()
    client.note("response_starting")
    client.play()
    client.buffered_s = 1.0
    client.note("response_finished")
    client.note("response_starting")
    await settle()
    assert client.kinds()[-9:] == [*END_OF_AUDIO, *END, *BEGIN]
    assert client.dialect.is_responding


async def test_audio_of_a_handler_without_replies_is_a_response_until_it_rests() -> None:
    client = Client()
    client.play(is_audio=False)
    assert client.events == []
    client.play()
    for _ in range(module.IMPLICIT_GAP - 1):
        client.play(is_audio=False)
    client.play()
    assert client.dialect.is_responding
    for _ in range(module.IMPLICIT_GAP):
        client.play(is_audio=False)
    deltas = ["response.content_part.added", *["response.output_audio.delta"] * 2]
    assert client.kinds() == [*BEGIN, *deltas, *END_OF_AUDIO, *END]
    client.play()
    client.put(client.dialect.write_clear())
    assert client.last("response.done")["response"]["status"] == "cancelled"


@pytest.mark.parametrize(
    "outbound",
    [
        AudioFormat("audio/pcm", 24_000),
        AudioFormat("audio/pcm", 8_000),
        AudioFormat("audio/pcmu", 8_000),
        AudioFormat("audio/pcma", 8_000),
    ],
)
async def test_audio_has_the_format_of_the_terms(outbound: AudioFormat) -> None:
    client = Client(outbound=outbound)
    said = tone(0.4, 500.0, level=0.3)
    for begin in range(0, said.size, 960):
        client.play(said[begin : begin + 960].reshape(1, -1))
    deltas = [each["delta"] for each in client.events if each["type"].endswith("audio.delta")]
    assert len(deltas) == 20
    received = np.concatenate([decode_audio(each, outbound.kind)[0] for each in deltas])
    assert received.size == round(0.4 * outbound.rate_hz)
    spectrum = np.abs(np.fft.rfft(received * np.hanning(received.size)))
    assert np.argmax(spectrum) * outbound.rate_hz / received.size == pytest.approx(500, abs=3)
    assert np.abs(received).max() == pytest.approx(0.3 * 32767, rel=0.06)


async def test_a_requested_response_is_that_of_the_reply() -> None:
    client = Client()
    client.dialect.request_response()
    for _ in range(3 * module.IMPLICIT_GAP):
        client.play(is_audio=False)
    assert client.kinds() == BEGIN, "the handler takes its time"
    client.note("response_starting")
    client.play()
    client.note("response_finished", failed=False)
    await settle()
    assert client.kinds().count("response.created") == 1
    assert client.last("response.done")["response"]["status"] == "completed"


async def test_a_requested_response_is_that_of_the_audio_of_a_handler_without_replies() -> None:
    client = Client()
    client.dialect.request_response()
    client.play()
    for _ in range(module.IMPLICIT_GAP):
        client.play(is_audio=False)
    assert client.kinds().count("response.created") == 1
    assert client.last("response.done")["response"]["status"] == "completed"


async def test_a_requested_response_may_be_words_alone() -> None:
    client = Client()
    client.dialect.request_response()
    client.dialect.note_words(Words("assistant", "Hello", is_whole=True))
    await settle()
    assert client.kinds().count("response.created") == 1
    assert client.last("response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize("status", ["failed", "completed"])
async def test_a_requested_response_ends_with_a_reply_that_never_began(status: str) -> None:
    client = Client()
    client.dialect.request_response()
    client.note("response_finished", failed=status == "failed")
    await settle()
    assert client.last("response.done")["response"]["status"] == status


@pytest.mark.parametrize("signs", [0, 1])
async def test_a_client_that_ends_its_turns_may_listen_in_silence(signs: int) -> None:
    client = Client(detects_turns=not signs)
    client.note("response_starting")
    client.play()
    client.play(is_audio=False)
    assert client.signs_of_life == signs


async def test_stereo_is_mixed_down() -> None:
    client = Client()
    client.play(np.tile(np.array([2000, 0], np.int16), 960).reshape(1, -1))
    client.play(np.tile(np.array([2000, 0], np.int16), 960).reshape(1, -1))
    samples = decode_audio(client.last("response.output_audio.delta")["delta"])
    assert samples.shape == (1, 480)
    assert np.abs(samples[0, -100:] - 1000).max() < 30


async def test_a_client_that_ends_turns_itself_gets_none() -> None:
    client = Client(detects_turns=False)
    client.note("started_talking")
    client.note("pause_detected")
    assert client.events == []
    client.dialect.commit_turn()
    client.dialect.commit_turn()
    ids = [each["item_id"] for each in client.events if "committed" in each["type"]]
    assert len(set(ids)) == 2


async def test_a_client_of_the_beta_gets_its_names() -> None:
    client = Client(uses_beta=True)
    client.note("pause_detected")
    client.note("response_starting")
    client.play()
    client.dialect.note_words(Words("assistant", "Hello"))
    client.note("interrupted")
    kinds = set(client.kinds())
    assert kinds.isdisjoint(BETA_NAMES)
    assert "conversation.item.done" not in kinds
    assert {
        "response.audio.delta",
        "response.audio_transcript.delta",
        "conversation.item.created",
    } <= kinds
    response = client.last("response.done")["response"]
    assert response["modalities"] == ["audio"]
    assert response["output"][0]["content"] == [{"type": "audio", "transcript": "Hello"}]


# Words


async def test_the_words_of_a_reply_are_its_transcript() -> None:
    client = Client()
    client.note("response_starting")
    for words in (Words("assistant", "It is"), Words("assistant", " sunny", is_whole=False)):
        client.dialect.note_words(words)
    client.dialect.note_words(Words("assistant", "Really."))
    client.note("interrupted")
    deltas = [each["delta"] for each in client.events if each["type"].endswith("transcript.delta")]
    assert "".join(deltas) == "It is sunny Really."
    done = client.last("response.output_audio_transcript.done")
    assert done["transcript"] == "It is sunny Really."
    content = client.last("response.done")["response"]["output"][0]["content"]
    assert content == [{"type": "output_audio", "transcript": "It is sunny Really."}]


async def test_words_without_a_reply_are_a_response_of_their_own() -> None:
    client = Client()
    client.dialect.note_words(Words("assistant", "By the way"))
    await settle()
    assert client.last("response.done")["response"]["status"] == "completed"
    assert not client.dialect.is_responding


async def test_the_words_of_the_user_belong_to_the_turn() -> None:
    client = Client()
    client.dialect.note_words(Words("user", "from elsewhere"))
    assert client.last("conversation.item.added")["item"]["content"][0]["text"] == "from elsewhere"
    client.note("pause_detected")
    client.dialect.note_words(Words("user", "Hello"))
    completed = client.last("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "Hello"
    assert completed["item_id"] == client.last("input_audio_buffer.committed")["item_id"]


async def test_a_text_that_the_client_has_written_is_not_sent_back() -> None:
    client = Client()
    client.note("pause_detected")
    client.dialect.note_text("Hello")
    count = len(client.events)
    client.dialect.note_words(Words("user", "Hello"))
    assert len(client.events) == count


# Messages of the session


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (create_words("error", "The model is asleep."), "handler_error"),
        (create_ending("The time is up."), "session_ended"),
        (create_ending("The time is up.", "server_stopping"), "server_stopping"),
    ],
)
async def test_errors_and_the_end_have_a_form(message: dict[str, Any], code: str) -> None:
    client = Client()
    client.put(client.dialect.write_text(encode_message(message)))
    (event,) = client.events
    assert event["type"] == "error"
    assert event["error"]["code"] == code
    assert event["error"]["message"] == message["data"]


@pytest.mark.parametrize(
    "message",
    [
        create_message("log", "pause_detected"),
        create_message("fetch_output"),
        create_words("warning", "Careful."),
        create_ending(""),
        {"type": "error", "data": 3},
        ["a"],
        "text",
        3,
    ],
)
async def test_all_other_messages_have_none(message: Any) -> None:
    assert Client().dialect.write_text(encode_message(message)) is None


async def test_a_refusal_names_the_event_that_it_is_about() -> None:
    client = Client()
    client.dialect.refuse(EventRefused("no", "a_code", "a.field"), "mine")
    client.dialect.refuse(EventRefused("no"))
    assert [each["error"] for each in client.events] == [
        {
            "type": "invalid_request_error",
            "code": "a_code",
            "message": "no",
            "param": "a.field",
            "event_id": "mine",
        },
        {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "no",
            "param": None,
            "event_id": None,
        },
    ]


async def test_the_length_of_few_items_is_kept() -> None:
    client = Client()
    for _ in range(module.MAX_ITEMS + 2):
        client.note("response_starting")
        client.play()
        client.note("interrupted")
    ids = [each["item"]["id"] for each in client.events if each["type"] == BEGIN[1]]
    assert [client.dialect.sent_ms(each) for each in ids[:3]] == [None, None, 20]

"""The words of a conversation, and the outputs that show them."""

from __future__ import annotations

import asyncio

from support.clock import run_virtual

from gradio_webrtc._realtime import transcript as module
from gradio_webrtc._realtime.transcript import Transcript, WordOutputs


def contents(transcript: Transcript) -> list[str]:
    return [message["content"] for message in transcript.messages()]


def test_words_stand_in_the_order_of_their_items_whenever_they_come() -> None:
    transcript = Transcript()
    transcript.begin("question", "user")
    transcript.add("answer", "It is ")
    transcript.add("answer", "sunny. ")
    assert contents(transcript) == ["It is sunny."]
    assert not transcript.is_complete
    transcript.put("question", " How is it? ", "user")
    assert transcript.messages() == [
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    assert transcript.is_complete


def test_a_reply_that_was_interrupted_ends_there() -> None:
    transcript = Transcript()
    transcript.add("answer", "It is ")
    assert transcript.cut("answer")
    assert not transcript.cut("answer")
    transcript.add("answer", "sunny.")
    assert contents(transcript) == ["It is…"]
    assert not transcript.cut("unknown")
    transcript.begin("silent", "assistant")
    assert not transcript.cut("silent")
    assert transcript.is_complete


def test_messages_and_characters_are_bounded() -> None:
    transcript = Transcript()
    for number in range(module.MAX_MESSAGES + 2):
        transcript.add(str(number), str(number))
    assert contents(transcript)[0] == "2"
    assert len(contents(transcript)) == module.MAX_MESSAGES
    transcript.add("last", "x" * module.MAX_CHARS)
    transcript.add("last", "y")
    transcript.put("user", "z" * 2 * module.MAX_CHARS, "user")
    assert [len(each) for each in contents(transcript)[-2:]] == [module.MAX_CHARS] * 2


def test_an_item_without_an_id_has_no_place() -> None:
    transcript = Transcript()
    transcript.add("", "words")
    transcript.put("", "words", "user")
    assert transcript.messages() == []


def test_a_service_gets_the_messages_as_items_of_its_release() -> None:
    transcript = Transcript()
    transcript.put("a", "Hello", "user")
    transcript.add("b", "Good day")
    kinds = [item["content"][0]["type"] for item in transcript.items(beta=False)]
    assert kinds == ["input_text", "output_text"]
    assert [item["content"][0]["type"] for item in transcript.items(beta=True)][1] == "text"


def test_outputs_come_at_once_and_then_not_too_often() -> None:
    async def scene() -> None:
        transcript = Transcript()
        woken: list[float] = []
        loop = asyncio.get_running_loop()
        outputs = WordOutputs(transcript, lambda: woken.append(loop.time()))
        assert outputs.take_if_due() is None
        begin_s = loop.time()
        transcript.add("a", "one ")
        outputs.note_change()
        first = outputs.take_if_due()
        assert first is not None
        assert first.args == ([{"role": "assistant", "content": "one"}],)
        for word in ("two ", "three "):
            transcript.add("a", word)
            outputs.note_shown_later()
            assert outputs.take_if_due() is None
        await asyncio.sleep(1)
        # Once for the change that nobody could come for by itself, once for those that had to wait.
        assert woken == [begin_s, begin_s + module.OUTPUTS_EVERY_S]
        second = outputs.take_if_due()
        assert second is not None
        assert second.args[0][0]["content"] == "one two three"
        assert outputs.take() is None
        # What was returned is a copy.
        assert first.args[0][0]["content"] == "one"

    run_virtual(scene())


def test_nobody_is_woken_behind_the_end() -> None:
    async def scene() -> None:
        woken: list[int] = []
        outputs = WordOutputs(Transcript(), lambda: woken.append(1))
        outputs.note_change()
        outputs.take()
        outputs.note_shown_later()
        outputs.take_if_due()
        outputs.close()
        await asyncio.sleep(1)
        assert woken == [1]

    run_virtual(scene())

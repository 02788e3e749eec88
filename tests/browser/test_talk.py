"""The main job: somebody speaks into the page, pauses, and is answered aloud."""

from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect
from support.browser import RATE_HZ, CallPage, chromium
from support.speech import Samples, speak, transcribe, utterances, write_microphone
from talk_replies import GREETING, normalise, numbers_in, reply_to
from talk_speech import Ears, Voice

pytestmark = pytest.mark.browser

NEAR_SPEAKER = """(() => {
  const context = new AudioContext();
  const room = new DelayNode(context, { delayTime: 0.1 });
  const gain = new GainNode(context, { gain: 0.1 });
  const microphone = new MediaStreamAudioDestinationNode(context);
  room.connect(gain).connect(microphone);
  const hear = (stream) => new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    await context.resume();
    hear(await ask(constraints)).connect(microphone);
    return microphone.stream;
  };
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      this.addEventListener("track", ({ track }) => hear(new MediaStream([track])).connect(room));
    }
  };
})();"""
"""What the page plays comes back into its microphone, 0.1 s later and at -20 dB: a loudspeaker, and
no echo cancellation."""


def words_in(parts: list[Samples], ears: Ears) -> list[str]:
    """The words in each part of a page's recording, in the form of `normalise`."""
    return [normalise(transcribe(ears, part)) for part in parts]


def counting_s(voice: Voice, last: int) -> float:
    """The time for which the demo counts from one to `last`, in seconds."""
    sentences = reply_to("Count to twenty.", datetime.now().astimezone())[:last]
    return sum(speak(voice, sentence, 0.0).samples.size for sentence in sentences) / RATE_HZ


def hang_up(call: CallPage) -> None:
    call.press()
    call.wait_for_state("idle")
    assert call.problems == []


def test_questions_are_answered_aloud_and_in_writing(
    talk_url: str,
    playwright: Playwright,
    ears: Ears,
    voice: Voice,
    tmp_path: Path,
    artifacts: Path,
) -> None:
    microphone = write_microphone(
        tmp_path / "questions.wav",
        [
            # The greeting takes five seconds, each answer two or three; the rest is for the
            # pause, for thinking, and for a machine that does something else.
            speak(voice, "What time is it?", at_s=9.0),
            speak(voice, "The parrot,", at_s=17.0),
            # 0.3 s of silence with those at the edges of both parts: a pause, but no turn's end.
            speak(voice, "is green.", at_s=18.0),
            speak(voice, "Count to five.", at_s=26.0),
        ],
    )
    with chromium(playwright, microphone) as browser:
        call = browser.open(talk_url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_message(GREETING[-1])
        asked = datetime.now().astimezone()
        call.wait_for_message("What time is it?")
        call.wait_for_message("It is ")
        times = {reply_to("time", moment)[0] for moment in (asked, datetime.now().astimezone())}
        call.wait_for_message("You said:")
        call.wait_for_message("1, 2, 3, 4, 5.")
        expect(call.page.get_by_test_id("webrtc-latency")).to_contain_text("Pause")
        expect(call.page.get_by_test_id("webrtc-button")).to_be_in_viewport(ratio=1.0)
        call.page.screenshot(path=artifacts / "talk-in-a-call.png")
        call.wait_for_quiet(1.5, after_s=call.received_s)
        written = call.conversation.inner_text()
        # Between two answers there is more, within one less, even on a machine that stutters.
        answers = words_in(utterances(call.recording(), gap_s=1.5), ears)
        hang_up(call)
    assert any(time in written for time in times)
    *before, time, repeated, count = answers
    assert "hello" in before[0]
    assert time.startswith("it is")
    assert "you said" in repeated
    assert "parrot" in repeated
    assert "green" in repeated
    # Of a number that stutters, the recogniser may make two.
    assert list(dict.fromkeys(numbers_in(count.split()))) == [1, 2, 3, 4, 5]


def test_speaking_ends_what_is_being_said(
    talk_url: str, playwright: Playwright, ears: Ears, voice: Voice, tmp_path: Path
) -> None:
    microphone = write_microphone(
        tmp_path / "stop.wav",
        # The call has time to begin, and the greeting none to come to its "count to twenty".
        [speak(voice, "Count to twenty.", at_s=4.0), speak(voice, "Stop.", at_s=12.0)],
    )
    with chromium(playwright, microphone) as browser:
        call = browser.open(talk_url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_message("1, 2,")
        call.wait_for_message("Okay.")
        call.wait_for_quiet(1.0, after_s=call.received_s)
        written = call.conversation.inner_text()
        parts = utterances(call.recording())
        hang_up(call)
    # Six seconds are enough for seven numbers: the others were neither shown nor played.
    assert "3," in written
    assert "15" not in written
    # Measured and not read: from audio that ends within a number, the recogniser makes that number
    # over and over, "7 8 8 8 8 8 8 8 8".
    words_of_parts = [words.split() for words in words_in(parts, ears)]
    counting = [
        part for part, words in zip(parts, words_of_parts, strict=True) if numbers_in(words)
    ]
    assert sum(part.size for part in counting) / RATE_HZ < counting_s(voice, 15)
    # Where a machine stutters, a part may end within the counting, or go on to the last word.
    words = [word for part in words_of_parts for word in part]
    numbers = numbers_in(words)
    assert [1, 2, 3] in [numbers[at : at + 3] for at in range(len(numbers))]
    assert words[-1] in {"okay", "ok"}


def test_a_sign_of_listening_interrupts_nothing(
    talk_url: str, playwright: Playwright, ears: Ears, voice: Voice, tmp_path: Path
) -> None:
    microphone = write_microphone(
        tmp_path / "right.wav",
        [speak(voice, "Count to ten.", at_s=9.0), speak(voice, "Right.", at_s=14.5)],
    )
    with chromium(playwright, microphone) as browser:
        call = browser.open(talk_url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_message("9, 10.")
        call.wait_for_quiet(2.0, after_s=call.received_s)
        written = call.conversation.inner_text()
        # The answer waits for a second while the user speaks.
        *_, spoken = words_in(utterances(call.recording(), gap_s=2.0), ears)
        hang_up(call)
    assert "right" not in written.lower()
    # Twice in a row where it goes on a little further back.
    assert list(dict.fromkeys(numbers_in(spoken.split()))) == list(range(1, 11))


def test_a_speaker_beside_the_microphone_interrupts_nothing(
    talk_url: str, playwright: Playwright, voice: Voice, tmp_path: Path
) -> None:
    microphone = write_microphone(
        tmp_path / "near.wav", [speak(voice, "Count to twenty.", at_s=11.0)]
    )
    with chromium(playwright, microphone) as browser:
        call = browser.open(talk_url, script=NEAR_SPEAKER)
        call.press()
        call.wait_for_state("open")
        call.wait_for_message(GREETING[-1])
        call.wait_for_message("20.")
        call.wait_for_quiet(2.0, after_s=call.received_s)
        written = call.conversation.inner_text()
        spoken = utterances(call.recording())
        hang_up(call)
    assert "Sorry" not in written
    assert "You said" not in written, "an echo was answered"
    assert sum(part.size for part in spoken) / RATE_HZ > counting_s(voice, 20)

"""The conversational test set: its sentences and labels, and how speech is cut and placed."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from support.repository import ROOT

RATE_HZ = 16_000
TONE = (8_000 * np.sin(np.arange(RATE_HZ) / 5)).astype(np.int16)
LANGUAGES = {"en", "de", "es", "ja"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of the benches."""
    monkeypatch.syspath_prepend(ROOT / "benches" / "python")
    return importlib.import_module


@pytest.fixture
def conversations(load: Any) -> Any:
    return load("conversations")


def silence(seconds: float) -> Any:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


def test_there_are_thirty_sentences_of_each_language_and_ten_of_each_kind(
    conversations: Any,
) -> None:
    found = conversations.sentences()
    assert len(found) >= 120
    assert len({each.parts for each in found}) == len(found)
    kinds = Counter((each.key[:2], each.kind) for each in found)
    assert {language for language, _ in kinds} == LANGUAGES
    for language in LANGUAGES:
        assert sum(kinds[language, kind] for kind in ("complete", "pauses", "broken")) >= 30
        assert all(kinds[language, kind] >= 10 for kind in ("complete", "pauses", "broken"))


def test_every_mark_stands_behind_a_comma_where_a_voice_makes_a_pause(conversations: Any) -> None:
    for each in conversations.sentences():
        assert all(part.endswith((",", "、")) for part in each.parts[:-1]), each
        assert each.parts[-1].endswith((".", "?", "。", "？")), each  # noqa: RUF001
        assert all(each.parts)
        if each.kind == "broken":
            assert len(each.parts) == 2


def test_every_voice_has_a_label_of_every_sentence_of_its_language(conversations: Any) -> None:
    labelled = {(each.voice, each.sentence) for each in conversations.labels()}
    assert len(labelled) == len(conversations.labels())
    assert labelled == {(voice, each.key) for voice, each in conversations.pairs()}
    assert len({each.sha256 for each in conversations.labels()}) == len(labelled)


def test_the_fields_of_a_label_agree(load: Any, conversations: Any) -> None:
    rooms = load("rooms")
    kinds = {each.key: each for each in conversations.sentences()}
    for each in conversations.labels():
        sentence = kinds[each.sentence]
        assert each.kind == sentence.kind
        assert each.room in rooms.ROOMS
        assert each.noise in rooms.NOISES
        assert each.begin == rooms.LEAD_S * RATE_HZ
        edges = [each.begin, *(edge for pause in each.pauses for edge in pause), each.end]
        assert edges == sorted(set(edges))
        assert 0.4 <= (each.end - each.begin) / RATE_HZ <= 15
        # Something shorter behind the last silence is no word but a click of the voice.
        assert edges[-1] - edges[-2] >= 0.06 * RATE_HZ
        made = len(sentence.parts) - 1 if each.kind == "pauses" else 0
        least = conversations.PAUSES_S[0] - 0.01
        assert sum(end - begin >= least * RATE_HZ for begin, end in each.pauses) >= made


def test_each_room_comes_with_each_noise_and_each_kind(load: Any, conversations: Any) -> None:
    rooms = load("rooms")
    found = Counter((each.room, each.noise, each.kind) for each in conversations.labels())
    assert len(found) == 3 * 2 * 3
    assert len(rooms.ROOMS) * len(rooms.NOISES) == 6
    assert min(found.values()) >= 10


def test_marks_part_a_line_into_parts_and_give_its_kind(conversations: Any) -> None:
    whole, paused, broken = conversations.parse("en", "One.\nOne, | two, | three.\nOne, / two.\n")
    assert (whole.kind, whole.parts) == ("complete", ("One.",))
    assert (paused.kind, paused.parts) == ("pauses", ("One,", "two,", "three."))
    assert paused.before_marks() == ["One,", "One, two,"]
    assert (broken.kind, broken.key) == ("broken", "en-03")
    assert conversations.join(("はい、", "六時")) == "はい、六時"


def test_speech_is_parted_where_the_voice_pauses_at_the_mark(conversations: Any) -> None:
    (sentence,) = conversations.parse("en", "One, | two.")
    whole = np.concatenate([TONE, silence(0.2), TONE[:8_000]])
    spoken = {"One, two.": whole, "One,": TONE[:15_000]}
    found = conversations.pieces(sentence, spoken)
    assert [each.size for each in found.samples] == [16_000, 8_000]
    assert not found.is_apart


def test_parts_are_spoken_apart_where_the_voice_makes_no_pause(conversations: Any) -> None:
    (sentence,) = conversations.parse("en", "One, | two.")
    spoken = {"One, two.": TONE, "One,": TONE[:9_000], "two.": TONE[:7_000]}
    found = conversations.pieces(sentence, spoken)
    assert [each.size for each in found.samples] == [9_000, 7_000]
    assert found.is_apart


def test_of_a_sentence_broken_off_only_the_beginning_is_kept(conversations: Any) -> None:
    (sentence,) = conversations.parse("en", "One, / two.")
    whole = np.concatenate([TONE, silence(0.2), TONE[:8_000]])
    found = conversations.pieces(sentence, {"One, two.": whole, "One,": TONE})
    assert [each.size for each in found.samples] == [16_000]


def test_pauses_have_a_length_that_is_drawn_and_labelled(conversations: Any) -> None:
    rng = conversations.generator("a", "b")
    samples = conversations.joined([TONE, TONE], rng)
    ((begin, end),) = conversations.silences(samples)
    drawn = conversations.generator("a", "b").uniform(*conversations.PAUSES_S)
    assert (end - begin) / RATE_HZ == pytest.approx(drawn, abs=0.01)
    assert begin == pytest.approx(TONE.size, abs=160)


def test_new_speech_is_compared_with_the_committed_labels(conversations: Any) -> None:
    label = conversations.labels()[0]
    assert conversations.difference(label, label) == "identical"
    other = label._replace(sha256="0", end=label.end + 100)
    assert conversations.difference(other, label) == "the same within 10 ms"
    assert conversations.difference(other._replace(end=label.end + 999), label) == "another"


@pytest.mark.parametrize("name", ["office", "living room"])
def test_a_room_decays_as_it_states(load: Any, name: str) -> None:
    rooms = load("rooms")
    response = rooms.response(name)
    assert response[0] == pytest.approx(1)
    left_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / (response**2).sum())
    between = np.argmax(left_db < -25) - np.argmax(left_db < -5)
    assert 3 * between / RATE_HZ == pytest.approx(rooms.ROOMS[name].rt60_s, rel=0.05)


@pytest.mark.parametrize("noise", ["pink", "babble"])
def test_speech_in_a_room_is_as_loud_as_stated_and_the_same_each_time(
    load: Any, noise: str
) -> None:
    rooms = load("rooms")
    placed, again = (
        rooms.place(TONE, "office", noise, np.random.default_rng(1)).astype(float) for _ in range(2)
    )
    assert (placed == again).all()
    lead = round(rooms.LEAD_S * RATE_HZ)
    before, during = placed[:lead], placed[lead : lead + TONE.size]
    difference_db = 20 * np.log10(np.sqrt((during**2).mean()) / np.sqrt((before**2).mean()))
    # Of half a second of babble the level is not quite that of all of it.
    assert difference_db == pytest.approx(rooms.NOISES[noise], abs=4)

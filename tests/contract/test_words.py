"""Each thing has one name, the field's, and docstrings open with a verb or a noun.

Two words for one thing cost every reader the question whether they mean the same. The tables below
give the word to write instead; `ALLOWED` lists the public names and standard terms that contain an
old word. Words are checked line by line, so that a failure names the line.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.repository import ROOT, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Keys are regular expressions without groups; values are the words to write instead.

MEDIA = {
    r"pictures?": "frame or video frame",
    r"sounds?": "audio",
}

THINGS = {
    r"arrivals?": "receiver",
    r"playout": "outbound audio buffer",
    r"spare": "batch allowance",
    r"islands?": "segment",
    r"walk": "task or pump",
    r"predecessors?": "gradio_webrtc 0.0.31 or fastrtc, by name",
    r"anew|afresh": "again",
    r"at hand": "current",
    r"c[ao]mes? of": "results from",
}

SOFTWARE = {
    r"hears": "receives or detects",
    r"tells": "reports",
    r"says": "reports, emits or states",
    r"knows": "stores or has",
    r"wants": "needs",
    r"(?:is|are|was|were) told": "gets, or is reported",
}
"""Verbs of people, which software does not do."""

PEOPLE = {r"callers?": "user, remote peer or client"}
"""Not in Rust: there, as in all of the field, a caller is calling code."""

PAGES = {r"pages?": "client"}
"""Where the client need not be a page: it may be a telephone or a program."""

NAMES = {
    "Seer": "VideoReceivingHandler",
    "Shower": "VideoEmittingHandler",
    "Outlets": "EmitSinks",
    "Outbox": "MessageSender",
    "PictureClock": "FramePacer",
    "RateLimit": "FrameRateLimiter",
    "SessionRegistry": "SessionManager",
    "SessionCall": "SessionContext",
    "CallMedia": "SessionMedia",
    "_walk_later": "_run_after_start_up",
    "_converse": "_run_tasks",
    "PageEvents": "ComponentEvents",
    "deliver_inputs": "bind_inputs",
    "deliver_outputs": "bind_outputs",
    "EmittedPicture": "Emission",
    "split_picture": "split_emission",
    "OpusArrivals": "OpusReceiver",
    "PacketOrder": "ReorderBuffer",
    "SoundPacket": "RtpAudioPacket",
    "spare_s": "batch_allowance_s",
    "samples_to_spare": "min_samples_until_event",
    "windows_to_spare": "min_windows_until_event",
    "TurnListener": "TurnDetector",
    "Stepper": "GeneratorRunner",
    "AsyncDriver": "AsyncGeneratorTask",
    "SingleItem": "OneShotIterator",
    "jobs_left_behind": "orphaned_jobs",
    "leave_behind": "orphan",
    "or_raise": "into_py_result",
}

ORDINARY_NAMES = {
    "Interruptible": "CancellableWait",
    "Performance": "GeneratorRun",
    "Programme": "GeneratorRun",
    "Shortcut": "RtpFastPath",
    "Surroundings": "CallHost",
}
ORDINARY = re.compile(rf"\b(?:{'|'.join(ORDINARY_NAMES)})\b(?! [a-z])")
"""Old classes whose names are ordinary English: mistakes in code alone, with a capital letter, and
where no sentence goes on behind them."""

ALLOWED = re.compile(
    # Public fields of `Limits`; programs write them.
    r"picture_pixels|pictures_per_s"
    # A message of RTCP (RFC 4585 section 6.3.1).
    r"|[Pp]icture [Ll]oss"
    # An argument of aiortc's methods, which overrides of them have, too.
    r"|arrival_time_ms"
    # Audible sound, and the device that makes it.
    r"|[Ss]ounds? (?:like|card|device)"
    # Functions of Python's standard library.
    r"|(?:ast|os)\.walk|walk_packages"
    # A parameter of aiortc's, and a public one of `testing.FakeTransport`.
    r"|arrival_time_ms|on_page_message"
    # A classifier of the package index.
    r"|Sound/Audio"
    # Texts of the page, which its tests quote; see `TEXTS_FOR_USERS`.
    r"|\"(?:Live picture|Play sound|(?:one|\d+) callers?)\""
)

WITHOUT_PAGES = tuple(
    f"python/gradio_webrtc/{name}"
    for name in (
        "_handlers/",
        "_session/",
        "_transport/",
        "_turns/",
        "_workers/",
        "credentials/",
        "testing/",
        "types.py",
    )
)

TEXTS_FOR_USERS = "frontend/texts.ts"
"""The interface speaks to people, in the words of people: they see pictures and hear sound."""

EXCLUDED = (
    "tests/data/",  # programs and recordings of others
    "rust/core/models/",  # weights, with their authors' words
    "python/gradio_webrtc/_legacy/",  # the names of gradio_webrtc 0.0.31 and fastrtc
    "tests/contract/test_words.py",  # it has to list them
)

CODE = (".py", ".pyi", ".rs", ".ts", ".js", ".svelte")
SUFFIXES = (*CODE, ".md", ".toml", ".css")

FILES = [
    file
    for file in tracked_files(*(f"*{suffix}" for suffix in SUFFIXES))
    if not str(file).startswith((".", *EXCLUDED))
]

OPENERS = re.compile(r"(?:What|Which|Where|How|Whether|Who|Whom|Whose|When|Why)\b")
"""A clause has no verb that a reader can scan a page of documentation for."""

MOST_OPENERS = 0.02
"""Of the docstrings of a kind. Here and there a clause is the shortest true sentence."""

KINDS: dict[type[ast.AST], str] = {
    ast.Module: "module",
    ast.ClassDef: "class",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
}

DOCUMENTED = tracked_files(
    "python/gradio_webrtc/*.py",
    "python/gradio_webrtc/*.pyi",
    "benches/*.py",
    "demo/*.py",
    "frontend/*.py",
)


@functools.cache
def read(file: Path) -> str:
    """The text of a file, read once; of the changelog, the part that is not released yet."""
    text = (ROOT / file).read_text("utf-8")
    if file.name == "CHANGELOG.md":
        text = re.split(r"^## \[\d", text, maxsplit=1, flags=re.MULTILINE)[0]
    return text


def line_of(text: str, found: re.Match[str]) -> int:
    """The number of the line in which a match begins, from 1."""
    return text.count("\n", 0, found.start()) + 1


class Vocabulary:
    """Old words, each with the word to write instead, and one expression that finds them.

    The expression has no groups and is matched against lower case, which is ten times as fast as
    the alternatives. The replacement is looked up afterwards, for the few words that are found.

    Args:
        words: Regular expressions of old words, in lower case, and what to write instead.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words
        # An underscore ends a word, so that names in snake case are checked part by part.
        self._pattern = re.compile(f"(?<![a-z])(?:{'|'.join(words)})(?![a-z])")

    def mistakes(self, text: str) -> Iterator[tuple[int, str]]:
        """Yields the line number of each old word, and the advice."""
        text = text.lower()
        for found in self._pattern.finditer(text):
            new = next(new for old, new in self._words.items() if re.fullmatch(old, found[0]))
            yield line_of(text, found), f"write {new}, not {found[0]!r}"


@functools.cache
def vocabulary(suffix: str, *, is_for_users: bool, has_pages: bool) -> Vocabulary:
    """The vocabulary of a kind of file; the few kinds are compiled once each."""
    words = {name.lower(): new for name, new in NAMES.items()} | THINGS
    if not is_for_users:
        words |= MEDIA | SOFTWARE
    if not is_for_users and suffix != ".rs":
        words |= PEOPLE
    if not has_pages:
        words |= PAGES
    return Vocabulary(words)


def old_classes(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line number of each old name that is ordinary English, and the advice."""
    for found in ORDINARY.finditer(text):
        yield line_of(text, found), f"write {ORDINARY_NAMES[found[0]]}, not {found[0]!r}"


def mistakes_in(file: Path, text: str) -> list[str]:
    """The old words of a text that would stand in that file, one line for each."""
    name = str(file)
    words = vocabulary(
        file.suffix,
        is_for_users=name == TEXTS_FOR_USERS,
        has_pages=not name.startswith(WITHOUT_PAGES),
    )
    # No allowed phrase holds the end of a line: the others keep their numbers.
    text = ALLOWED.sub("", text)
    found = [*words.mistakes(text), *(old_classes(text) if file.suffix in CODE else ())]
    return [f"{name}:{number}: {advice}" for number, advice in sorted(found)]


def docstrings(kind: str) -> Iterator[tuple[str, str]]:
    """Yields the place and the text of every docstring of modules, classes or functions."""
    for file in DOCUMENTED:
        for node in ast.walk(ast.parse(read(file))):
            if KINDS.get(type(node)) != kind:
                continue
            documented: Any = node
            text = ast.get_docstring(documented)
            if text is not None:
                yield f"{file}:{getattr(node, 'lineno', 1)}", text


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_thing_has_the_name_of_the_field(file: Path) -> None:
    mistakes = mistakes_in(file, read(file))
    if mistakes:
        pytest.fail("\n".join(mistakes), pytrace=False)


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
def test_docstrings_open_with_a_verb_or_a_noun(kind: str) -> None:
    found = list(docstrings(kind))
    openers = [f"{place}: {text.splitlines()[0]}" for place, text in found if OPENERS.match(text)]
    if len(openers) > MOST_OPENERS * len(found):
        share = f"{len(openers)} of {len(found)} docstrings of a {kind} open with a clause"
        pytest.fail("\n".join([f"{share}; open with a verb or a noun:", *openers]), pytrace=False)


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("python/a.py", "def last_picture() -> None:", ["frame or video frame"]),
        ("python/a.py", "Sounds from callers", ["audio", "user, remote peer or client"]),
        ("rust/a.rs", "/// The caller keeps the lock.", []),
        ("python/gradio_webrtc/_session/a.py", "the page is told", ["client", "gets"]),
        ("python/gradio_webrtc/_ui/a.py", "the page reports", []),
        ("python/a.py", "run: Performance", ["GeneratorRun"]),
        ("python/a.py", "Performance is measured by performance.now()", []),
        ("python/a.py", "limits.picture_pixels, ast.walk(tree)", []),
        ("python/a.py", "a soundfile, told apart, spared", []),
        ("frontend/texts.ts", 'picture: "The server says no"', []),
    ],
)
def test_old_words_are_found_and_others_are_let_go(file: str, line: str, words: list[str]) -> None:
    mistakes = mistakes_in(Path(file), line)
    assert len(mistakes) == len(words)
    for mistake, word in zip(mistakes, words, strict=True):
        assert mistake.startswith(f"{file}:1: write {word}")

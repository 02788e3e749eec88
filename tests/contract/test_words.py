"""Each thing has one name, the field's, and docstrings open with a verb or a noun.

Two words for one thing cost every reader the question whether they mean the same. The tables below
give the word to write instead; `ALLOWED` lists the public names and standard terms that contain an
old word. Words are checked line by line, so that a failure names the line.
"""

from __future__ import annotations

import ast
import functools
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.repository import ROOT, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
    r"(?:the|its|each) begin": "beginning, start or onset",
    r"sounding": "active or audible",
}

SOFTWARE = {
    r"hears": "receives or detects",
    r"tells": "reports",
    r"says": "reports, emits or states",
    r"knows": "stores or has",
    r"wants": "needs",
    r"forgets": "discards, removes or resets",
    r"remembers": "stores or keeps",
    r"learns": "gets or detects",
    r"(?:is|are|was|were|be|been)[ _]told": "gets, or is reported",
    r"(?:is|are|was|were|be|been)[ _]wanted": "is needed or requested",
    r"(?:is|are|was|were|be|been)_heard": "is received, detected or played",
    r"(?:is|are|was|were|be|been)[ _]forgotten": "is discarded, removed or missing",
    r"(?:is|are|was|were|be|been)[ _](?:learn[et]d?|noticed)": "is detected or received",
}
"""Verbs of people, which software does not do."""

SOFTWARE_OF_OURS = {
    r"hear": "receive or detect",
    r"tell|told": "report, show or distinguish",
    r"say": "report, emit or state",
    r"know": "store or have",
    r"want|wanted": "need or request",
    r"noticed|unnoticed": "detected",
    r"forgotten": "discarded, removed or missing",
    r"(?:is|are|was|were|be|been) asked": "is requested, called or queried",
}
"""The same verbs in forms that people need, too: where no sentence has people as its subject."""

SESSIONS = {
    r"(?:the|an?|every|this) call(?:'s| ends| is over| was| may| that)": "session",
    r"calls? (?:under way|of (?:the|a) page|by voice)": "session",
    r"(?:all|new|audio|video|during an?|during the) calls?": "session",
}
"""In the package. To call a function, and its call, stay."""

SESSIONS_OF_THE_INTERFACE = {
    r"(?:an?|the|every|each|one|no|such|of|in|on|whose|prevent) calls?": "session",
    r"(?:may|began to) call[,.]": "start or open a session",
}
"""Where no function's call is spoken of."""

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
    "split_emitted": "split_emission",
    "TrackTerms": "SessionConfig",
}

ORDINARY_NAMES = {
    "Interruptible": "CancellableWait",
    "Performance": "GeneratorRun",
    "Programme": "GeneratorRun",
    "Shortcut": "RtpFastPath",
    "Surroundings": "CallHost",
}
"""Old classes whose names are ordinary English: mistakes in code alone, with a capital letter, and
where no sentence goes on behind them."""

DEFINED = {
    "Answering": "WebRTC",
    "Conversation": "ReplyQueue",
    "Emitted": "Emission",
    "Heard": "TurnEvent, or ActiveChannel in Rust",
    "Island": "SpeechSegment",
    "Listener": "PauseTurnDetector",
    "Look": "SpeechSegment",
    "Pacer": "AudioPacer",
    "Playout": "OutboundAudioBuffer",
    "Raised": "PendingException",
    "Screen": "OutboundVideoBuffer",
    "Serial": "ExclusiveCell",
    "Service": "SessionConfig",
    "Shown": "Emission",
    "Slot": "GcRef",
    "Sound": "AudioInput",
    "Spotter": "WordSpotter",
    "Taker": "ChunkVisitor",
    "Terms": "SessionConfig",
    "Walk": "a name for its task",
    "Watch": "SpotterCallbacks",
    "split_output": "split_emission",
}
"""Old names that are ordinary English in every other place: mistakes where something gets them."""

CODE_NAMES: dict[str, str | dict[str, str]] = {
    rf"\b(?:{'|'.join(ORDINARY_NAMES)})\b(?! [a-z])": ORDINARY_NAMES,
    rf"\b(?:class|struct|enum|trait|type|interface|def)\s+_?(?:{'|'.join(DEFINED)})\b": DEFINED,
    r"\b_?[A-Z][a-z]\w*(?:Picture|Sound)s?\b": "a name with VideoFrame or Audio",
}
"""Expressions in capital and small letters, and what to write instead, or where that stands."""

RUST_NAMES = {
    r"\bTOGETHER\b": "OUTPUTS_PER_STEP",
    r"\bstrange\b": "non_finite",
}

PACKAGE_NAMES = {
    r"\bCALL_[A-Z]\w*": "a name for what it holds, or with SESSION",
    r"\b_?Call[A-Z]\w*": "a name with Session",
    r"\b\w+_in_call\b": "a name with session",
}

ALLOWED = re.compile(
    # Public fields of `Limits`; programs write them.
    r"picture_pixels|pictures_per_s"
    # Of a client's jitter buffer, as the W3C has it (`playoutDelay`).
    r"|playout_delay_s"
    # Methods of a session, which programs write: what a person does.
    r"|def say\(|\.say\b|`say`|\bsay\(|test_say_"
    # A message of RTCP (RFC 4585 section 6.3.1).
    r"|[Pp]icture [Ll]oss"
    # An argument of aiortc's methods, which overrides of them have, too.
    r"|arrival_time_ms"
    # Audible sound, and the device that makes it.
    r"|[Ss]ounds? (?:like|card|device)"
    # Of a jitter buffer: a stretch of audio, in its place.
    r"|enum Slot<'a>"
    # Functions of Python's standard library.
    r"|(?:ast|os)\.walk|walk_packages"
    # A parameter of aiortc's, and a public one of `testing.FakeTransport`.
    r"|arrival_time_ms|on_page_message"
    # Fields of Twilio's webhooks, and an element of TwiML.
    r"|CallSid|\"Caller\"|\"Say\"|<Say>"
    # A classifier of the package index.
    r"|Sound/Audio"
    # A base of Gradio's, and functions of the older packages that stay importable.
    r"|EventListener"
    # Texts that users read in the page, where a session is a call and a page a page.
    r"|(?:no|a) call with this id|The call was not connected|this page may not call here"
    # Pages of the web and of Gradio: nothing but a page is meant.
    r"|web pages?|into a page|pages? of \w+"
    # Frequencies and words that people say, and what users do.
    r"|users know"
    # Texts of the page, which its tests quote; see `TEXTS_FOR_USERS`.
    r"|\"(?:Live picture|Play sound|(?:one|\d+) callers?)\""
    r"|Connected without UDP: (?:sound|the picture|sound and picture) may lag a little\."
)

PACKAGE = "python/gradio_webrtc/"

OF_WEB_PAGES = f"{PACKAGE}_session/origins.py"
"""Checks the web pages that requests come from, which are what browsers show, and no clients."""

WITHOUT_PAGES = tuple(
    f"{PACKAGE}{name}"
    for name in (
        "_advice.py",
        "_audio",
        "_config.py",
        "_core/",
        "_handlers/",
        "_limits.py",
        "_media.py",
        "_messages.py",
        "_mistakes.py",
        "_session/",
        "_transport/",
        "_turns/",
        "_workers/",
        "credentials/",
        "errors.py",
        "testing/",
        "types.py",
    )
)

INTERFACE = tuple(f"{PACKAGE}{name}" for name in ("_ui/", "component.py", "stream.py"))

OURS = (PACKAGE, "frontend/", "rust/", ".ci/", "Makefile", "mkdocs.yml", "pyproject.toml")
"""Where no sentence is about what people do, but for a few."""

TEXTS_FOR_USERS = "frontend/texts.ts"
"""The interface speaks to people, in the words of people: they see pictures and hear sound."""

EXCLUDED = (
    "tests/data/",  # programs and recordings of others
    "rust/core/models/",  # weights, with their authors' words
    "python/gradio_webrtc/_legacy/",  # the names of gradio_webrtc 0.0.31 and fastrtc
    "tests/contract/test_words.py",  # it has to list them
)

CODE = (".py", ".pyi", ".rs", ".ts", ".js", ".mjs", ".svelte")
PATTERNS = (
    *(f"*{suffix}" for suffix in (*CODE, ".md", ".toml", ".css", ".yml")),
    ".ci/*",
    "Makefile",
    "llms.txt",
)

FILES = [
    file
    for file in tracked_files(*PATTERNS)
    if not str(file).startswith((".github/", ".venv/", *EXCLUDED))
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

ENTRIES = ("Args", "Attributes", "Parameters")
"""Sections of docstrings that describe names."""

SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
LEAST_SENTENCES = 2

DOCUMENTED = {
    "package": tracked_files(
        "python/gradio_webrtc/*.py",
        "python/gradio_webrtc/*.pyi",
        "benches/*.py",
        "demo/*.py",
        "frontend/*.py",
    ),
    "tests": [file for file in tracked_files("tests/*.py") if not str(file).startswith(EXCLUDED)],
}


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
def vocabulary(suffix: str, place: str) -> Vocabulary:
    """The vocabulary of a kind of file in a place; the few kinds are compiled once each."""
    words = {name.lower(): new for name, new in NAMES.items()} | THINGS
    if place == TEXTS_FOR_USERS:
        return Vocabulary(words)
    words |= MEDIA | SOFTWARE
    if suffix != ".rs":
        words |= PEOPLE
    if place in WITHOUT_PAGES:
        words |= PAGES
    if place in INTERFACE:
        words |= SESSIONS_OF_THE_INTERFACE
    if place in (PACKAGE, *WITHOUT_PAGES, *INTERFACE):
        words |= SESSIONS
    if place:
        words |= SOFTWARE_OF_OURS
    return Vocabulary(words)


def place_of(name: str) -> str:
    """The most particular place with words of its own in which a file is; empty for none."""
    places = (TEXTS_FOR_USERS, *INTERFACE, *WITHOUT_PAGES, *OURS)
    if name.startswith("frontend/tests/"):
        return ""
    if name == OF_WEB_PAGES:
        return PACKAGE
    return next((place for place in places if name.startswith(place)), "")


def old_names(file: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yields the line number of each old name that ordinary words contain, and the advice."""
    names = dict(CODE_NAMES)
    if file.suffix == ".rs":
        names |= RUST_NAMES
    if str(file).startswith(PACKAGE):
        names |= PACKAGE_NAMES
    for pattern, advice in names.items():
        for found in re.finditer(pattern, text):
            old = found[0].split()[-1].removeprefix("_")
            new = advice if isinstance(advice, str) else advice[old]
            yield line_of(text, found), f"write {new}, not {old!r}"


def mistakes_in(file: Path, text: str) -> list[str]:
    """The old words of a text that would stand in that file, one line for each."""
    name = str(file)
    words = vocabulary(file.suffix, place_of(name))
    # No allowed phrase holds the end of a line: the others keep their numbers.
    text = ALLOWED.sub("", text)
    found = [*words.mistakes(text), *(old_names(file, text) if file.suffix in CODE else ())]
    return [f"{name}:{number}: {advice}" for number, advice in sorted(found)]


def docstrings(kind: str, files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yields the place and the text of every docstring of modules, classes or functions."""
    for file in files:
        for node in ast.walk(ast.parse(read(file))):
            if KINDS.get(type(node)) != kind:
                continue
            documented: Any = node
            text = ast.get_docstring(documented)
            if text is not None:
                yield f"{file}:{getattr(node, 'lineno', 1)}", text


def constants(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yields the place and the text of every docstring behind a constant."""
    for file in files:
        for node in ast.walk(ast.parse(read(file))):
            if not isinstance(node, ast.Module | ast.ClassDef):
                continue
            for value, behind in pairwise(node.body):
                if not isinstance(value, ast.Assign | ast.AnnAssign):
                    continue
                if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
                    yield f"{file}:{behind.lineno}", str(behind.value.value)


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the first line of each entry in the sections of a docstring."""
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"(\w+):", line):
            section = heading[1]
        elif section in ENTRIES and (entry := re.match(r" {4}(\*{0,2}\w+): (.+)", line)):
            yield entry[1], entry[2]


def headings(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line number and the text of each heading of a Markdown file."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.lstrip().startswith("```")
        if not is_code and (heading := re.match(r"#+ +(.+)", line)):
            yield number, heading[1]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_thing_has_the_name_of_the_field(file: Path) -> None:
    mistakes = mistakes_in(file, read(file))
    if mistakes:
        pytest.fail("\n".join(mistakes), pytrace=False)


@pytest.mark.parametrize("place", DOCUMENTED)
@pytest.mark.parametrize("kind", ["constant", *sorted(set(KINDS.values()))])
def test_docstrings_open_with_a_verb_or_a_noun(kind: str, place: str) -> None:
    files = DOCUMENTED[place]
    found = list(constants(files) if kind == "constant" else docstrings(kind, files))
    openers = [f"{place}: {text.splitlines()[0]}" for place, text in found if OPENERS.match(text)]
    if len(openers) > MOST_OPENERS * len(found):
        share = f"{len(openers)} of {len(found)} docstrings of a {kind} open with a clause"
        pytest.fail("\n".join([f"{share}; open with a verb or a noun:", *openers]), pytrace=False)


@pytest.mark.parametrize("place", DOCUMENTED)
def test_entries_of_docstrings_open_with_a_noun(place: str) -> None:
    clauses = [
        f"{where}: {name}: {entry}"
        for kind in ("class", "function")
        for where, text in docstrings(kind, DOCUMENTED[place])
        for name, entry in entries(text)
        if OPENERS.match(entry)
    ]
    if clauses:
        pytest.fail("\n".join(["open with a noun, or with True if:", *clauses]), pytrace=False)


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".md"], ids=str)
def test_headings_open_with_a_verb_or_a_noun(file: Path) -> None:
    clauses = [f"{file}:{n}: {text}" for n, text in headings(read(file)) if OPENERS.match(text)]
    if clauses:
        pytest.fail("\n".join(["open with a verb or a noun:", *clauses]), pytrace=False)


def test_a_module_of_the_package_describes_itself_in_two_sentences() -> None:
    short = [
        place
        for place, text in docstrings("module", DOCUMENTED["package"])
        if place.startswith(PACKAGE) and len(SENTENCE_END.findall(text)) < LEAST_SENTENCES
    ]
    if short:
        advice = "give the duty, the thread, and what it must not import:"
        pytest.fail("\n".join([advice, *short]), pytrace=False)


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
        ("tests/a.py", "def test_a_client_is_told_what_is_heard():", ["gets", "is received"]),
        ("tests/a.py", "at the begin of a turn", ["beginning"]),
        ("tests/a.py", "users know, and a known word is said", []),
        ("python/gradio_webrtc/a.py", "it cannot say", ["report"]),
        ("Makefile", "$(3) wants more", ["needs"]),
        ("tests/a.py", "class Conversation:", ["ReplyQueue"]),
        ("tests/a.py", "class FinePictures(Handler):", ["a name with VideoFrame"]),
        ("rust/core/src/a.rs", "pub struct Slot<T>(T);", ["GcRef"]),
        ("rust/media/src/a.rs", "pub enum Slot<'a> {", []),
        ("rust/core/src/a.rs", "const TOGETHER: usize = 4;", ["OUTPUTS_PER_STEP"]),
        ("tests/a.py", 'Conversation(title="Look", slots=Slot)', []),
        ("python/gradio_webrtc/_session/a.py", "when the call ends", ["session"]),
        ("python/gradio_webrtc/_session/a.py", "a call under way, CALL_ID", ["a name", "session"]),
        ("python/gradio_webrtc/_session/a.py", "one call for each; the calls of a function", []),
        ("python/gradio_webrtc/_ui/a.py", "the id of a call", ["session"]),
        ("python/gradio_webrtc/_ui/a.py", "whoever calls a callable", []),
        ("python/gradio_webrtc/errors.py", "a web page, not the page", ["client"]),
    ],
)
def test_old_words_are_found_and_others_are_let_go(file: str, line: str, words: list[str]) -> None:
    mistakes = mistakes_in(Path(file), line)
    assert len(mistakes) == len(words)
    for mistake, word in zip(mistakes, words, strict=True):
        assert mistake.startswith(f"{file}:1: write {word}")

"""The programs, links and names of the documents are right."""

from __future__ import annotations

import re
import textwrap
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.repository import ROOT

import gradio_webrtc
from gradio_webrtc import (
    ReplyOnPause,
    Stream,
    StreamHandler,
    WebRTC,
    stream,
    text_to_speech,
    tracks,
    utils,
)

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = (ROOT / "docs" / "guide.md").read_text("utf-8")
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text("utf-8")
MIGRATING = (ROOT / "docs" / "migrating.md").read_text("utf-8")
REALTIME = (ROOT / "docs" / "realtime.md").read_text("utf-8")
TELEPHONE = (ROOT / "docs" / "telephone.md").read_text("utf-8")
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
TABLE = (ROOT / "demo" / "README.md").read_text("utf-8")
PAGE_TEXTS = (ROOT / "frontend" / "texts.ts").read_text("utf-8")
DOCUMENTS = [ROOT / "demo" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

EXAMPLES = {
    "reply_on_pause.py": "C01",
    "stop_words.py": "C02",
    "echo.py": "C03",
    "async_handler.py": "C04",
    "audio_to_client.py": "C05",
    "video_filter.py": "C06",
    "video_to_client.py": "C07",
    "additional_outputs.py": "C08",
}
"""The programs, and the examples of the guide of gradio_webrtc 0.0.31 whose places they take."""

SHOWN = dict(
    re.findall(r'^```python title="demo/(\S+)"\n(.*?)^```$', GUIDE, re.MULTILINE | re.DOTALL)
)
OTHERS = [
    textwrap.dedent(block)
    for text in (GUIDE, DEPLOYMENT, REALTIME, TELEPHONE, TROUBLESHOOTING)
    for _, block in re.findall(
        r'^( *)```python(?: title="\w+\.py")?\n(.*?)^\1```$', text, re.MULTILINE | re.DOTALL
    )
]
WITH_PAGE = [block for block in OTHERS if "WebRTC" in block or "Stream(" in block]
WITHOUT = [block for block in OTHERS if block not in WITH_PAGE]

MAX_IMAGE_BYTES = 60_000


class Link(NamedTuple):
    """A link of a document to a file of the repository, or to a heading in one."""

    file: Path
    anchor: str


def run(text: str, name: str = "__main__") -> dict[str, object]:
    names: dict[str, object] = {"__name__": name}
    exec(compile(text, "guide.md", "exec"), names)  # noqa: S102 - ours
    return names


def links_of(document: Path) -> list[Link]:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    parted = [target.partition("#") for target in targets if "://" not in target]
    return [
        Link((document.parent / file).resolve() if file else document, anchor)
        for file, _, anchor in parted
    ]


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_guide_shows_the_eight_in_order() -> None:
    assert list(SHOWN) == list(EXAMPLES)


@pytest.mark.parametrize("program", EXAMPLES)
def test_what_the_guide_shows_is_the_file(program: str) -> None:
    assert SHOWN[program] == (ROOT / "demo" / program).read_text("utf-8")


@pytest.mark.parametrize("program", EXAMPLES)
def test_it_names_its_command(program: str) -> None:
    assert f"\n    python demo/{program}\n" in SHOWN[program]


@pytest.mark.parametrize("program", [*EXAMPLES, "talk.py"])
def test_the_table_of_demos_has_a_row_and_an_image_for_it(program: str) -> None:
    (row,) = (line for line in TABLE.splitlines() if f"[`{program}`]({program})" in line)
    assert f"python demo/{program}" in row
    (image,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", row)
    assert (ROOT / "demo" / image).stat().st_size < MAX_IMAGE_BYTES


@pytest.mark.parametrize("program", EXAMPLES)
async def test_it_makes_a_page_and_launches_it_when_it_is_run(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Within a running loop, because outside of one Gradio makes loops that it does not close.
    launched: list[object] = []
    monkeypatch.setattr("gradio.Blocks.launch", lambda page, **_: launched.append(page))
    run(SHOWN[program], "an_import")
    assert launched == []
    names = run(SHOWN[program])
    assert launched == [names["demo"]]


@pytest.mark.parametrize("block", WITH_PAGE)
async def test_the_other_blocks_with_a_page_run(
    block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Gradio's login needs packages of gradio[oauth], which nothing else here does.
    monkeypatch.setattr("gradio.routes.attach_oauth", lambda _app: None)
    run(block, "an_import")


@pytest.mark.parametrize("block", WITHOUT)
def test_the_other_blocks_run(block: str) -> None:
    run(block)


@pytest.mark.parametrize(
    "quoted", re.findall(r"(?<!\*)\*(\w[^*\n]+)\*(?!\*)", DEPLOYMENT + TROUBLESHOOTING)
)
def test_a_text_of_the_page_that_is_quoted_is_one(quoted: str) -> None:
    assert quoted.replace("microphone", "${problem.medium}") in PAGE_TEXTS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for file, anchor in links_of(document):
        assert file.exists(), file
        assert not anchor or anchor in anchors_of(file), anchor


def test_every_document_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    assert set(DOCUMENTS) - {index} <= {link.file for link in links_of(index)}


def names_in(section: str) -> set[str]:
    """The names between backticks under a heading of migrating.md."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", MIGRATING, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`(\w+)`", text))


def is_here(name: str) -> bool:
    classes = (Stream, WebRTC, StreamHandler, ReplyOnPause, text_to_speech.TTSModel)
    places = (gradio_webrtc, stream, utils, tracks, *classes)
    found = [getattr(place, name, None) for place in places]
    return any(each is not None and not isinstance(each, ModuleType) for each in found)


def test_what_stays_the_same_is_here() -> None:
    attributes = {"latest_args", "args_set"}  # of objects, not of classes
    words = {"inputs", "outputs", "algo_options", "startup_fn", "tick", "ValueError"}
    words |= {"webrtc_component"}
    words |= {"state_change", "submit", "start_recording", "stop_recording"}
    names = names_in("Compatibility") - attributes - words
    assert len(names) > 40
    assert {name for name in names if not is_here(name)} == set()
    assert attributes <= set(vars(_a_handler()))


def test_what_is_said_not_to_be_here_is_not() -> None:
    rows = re.findall(
        r"^\| (.*?) \| ", MIGRATING[MIGRATING.index("## Removed names") :], re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"phone_mode"}
    assert len(named) > 10
    assert {name for name in named if is_here(name)} == set()


def _a_handler() -> StreamHandler:
    class Silent(StreamHandler):
        def receive(self, frame: object) -> None:
            del frame

        def emit(self) -> None:
            return None

        def copy(self) -> Silent:
            return Silent()

    return Silent()

"""llms.txt, in the form of llmstxt.org: its links exist, and it has all public names."""

import re

from support.repository import ROOT

import gradio_webrtc

TEXT = (ROOT / "llms.txt").read_text("utf-8")
LINKS = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", TEXT, re.MULTILINE)


def test_it_begins_with_a_title_and_a_summary() -> None:
    assert re.match(r"# gradio_webrtc\n\n> \S", TEXT)


def test_every_link_has_a_note_and_leads_to_a_file() -> None:
    assert len(LINKS) == TEXT.count("](")
    assert [link for link in LINKS if not (ROOT / link).is_file()] == []


def test_every_program_and_document_is_linked() -> None:
    documents = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {"docs/index.md"}
    helpers = {"demo/talk_replies.py", "demo/talk_speech.py"}
    programs = {f"demo/{path.name}" for path in (ROOT / "demo").glob("*.py")} - helpers
    assert documents | programs <= set(LINKS)


def test_it_names_exactly_the_public_names() -> None:
    (section,) = re.findall(r"^## API names$(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL)
    named = re.findall(r"`(\w+)`", section)
    assert len(named) == len(set(named))
    assert set(named) == set(gradio_webrtc.__all__)


async def test_its_program_runs() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    # Not launched: that is the last line.
    exec(program.replace("demo.launch()\n", ""), {})  # noqa: S102 - ours

"""Code, commands and links in README.md and CONTRIBUTING.md work."""

import re

import pytest
from support.repository import ROOT

DOCUMENTS = ["README.md", "CONTRIBUTING.md"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)


def commands_in(document: str) -> set[str]:
    """The words behind `make` at the start of a line of a code block, or between backticks."""
    return set(re.findall(r"(?:^|`)make ([a-z-]+)", text_of(document), re.MULTILINE))


EXAMPLES = [
    pytest.param(block, id=f"{document}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(blocks(document, "python"))
]


def test_the_readme_has_an_example() -> None:
    assert blocks("README.md", "python")


@pytest.mark.parametrize("example", EXAMPLES)
async def test_python_example_runs(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Within a running loop, because outside of one Gradio makes loops that it does not close.
    launched: list[object] = []
    monkeypatch.setattr("gradio.Blocks.launch", lambda blocks, **_: launched.append(blocks))
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - ours
    assert len(launched) == example.count(".launch(")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_command_named_is_in_the_makefile(document: str) -> None:
    assert commands_in(document)
    assert commands_in(document) <= TARGETS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_linked_to_is_there(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text_of(document))
    inside = [link for link in links if "://" not in link]
    assert not [link for link in inside if not (ROOT / link).exists()]


def test_the_readme_names_the_two_commands() -> None:
    assert {"demo", "test"} <= commands_in("README.md")

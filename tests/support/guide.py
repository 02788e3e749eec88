"""The user guide's programs as they stand, each with what its text leaves out."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from .programs import ROOT, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .programs import Programs

    Edits: TypeAlias = Sequence[tuple[str, str]]

PROGRAMS = ROOT / "tests" / "data" / "guide"
PRELUDES = ROOT / "tests" / "guide" / "preludes"

_PRELUDE = "from support.guide import names_for; globals().update(names_for(__file__))"


class Guide:
    """Programs of the guide that run in one process.

    Attributes:
        programs: That process.
    """

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    def url(self, name: str) -> str:
        """The address of a program's page."""
        return self.programs.url(f"{name}.py")

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The notes that a prelude has made under this name so far."""
        return self.programs.notes(name)


@contextmanager
def guide(
    *names: str,
    edits: Mapping[str, Edits] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Guide]:
    """Runs programs of the guide byte for byte, except for the pieces in `edits`.

    Args:
        names: Of "C01" to "C08". What the prelude of the same name makes are a program's globals.
        edits: For some of them, pieces of the text, each of which is there once, and what stands in
            their places.
        environment: Variables for their process, beside the usual ones.
    """
    edits = edits or {}
    with TemporaryDirectory() as folder:
        files = [
            _edited(name, edits[name], Path(folder)) if name in edits else PROGRAMS / f"{name}.py"
            for name in names
        ]
        with running(*files, prelude=_PRELUDE, environment=environment) as programs:
            yield Guide(programs)


def names_for(program: str) -> dict[str, Any]:
    """The names that the prelude of a program makes; called in the process that runs it."""
    prelude = PRELUDES / Path(program).name
    names: dict[str, Any] = {"__name__": prelude.stem, "__file__": str(prelude)}
    exec(compile(prelude.read_text("utf-8"), prelude, "exec"), names)  # noqa: S102 - ours
    return {name: names[name] for name in names["__all__"]}


def build(name: str) -> dict[str, Any]:
    """Runs a program in this process, where `gr.Blocks.launch` must do nothing; gives its names."""
    names = {"__name__": "__main__", **names_for(f"{name}.py")}
    program = PROGRAMS / f"{name}.py"
    exec(compile(program.read_text("utf-8"), program, "exec"), names)  # noqa: S102 - the guide's
    return names


def _edited(name: str, edits: Edits, folder: Path) -> Path:
    text = (PROGRAMS / f"{name}.py").read_text("utf-8")
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        text = text.replace(old, new)
    copy = folder / f"{name}.py"
    copy.write_text(text, "utf-8")
    return copy

"""Wheels that are compressed once more: the same files, in fewer bytes."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import smallest_wheel

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = " ".join(str(number**3) for number in range(20_000)).encode()
EXECUTABLE = 0o755 << 16


def make_wheel(folder: Path) -> Path:
    made = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("some/text.txt", TEXT)
        program = zipfile.ZipInfo("some/program", (2026, 1, 2, 3, 4, 6))
        program.external_attr = EXECUTABLE
        program.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(program, TEXT[::-1])
        archive.writestr("some/empty.py", b"")
    return made


def test_all_is_there_in_fewer_bytes(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    before = wheel.stat().st_size
    smallest_wheel.compress_again(wheel)
    assert wheel.stat().st_size < 0.99 * before
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["some/text.txt", "some/program", "some/empty.py"]
        assert [archive.read(name) for name in names] == [TEXT, TEXT[::-1], b""]
        program = archive.getinfo("some/program")
        assert program.date_time == (2026, 1, 2, 3, 4, 6)
        assert program.external_attr == EXECUTABLE
        assert program.compress_type == zipfile.ZIP_DEFLATED
    assert [each.name for each in tmp_path.iterdir()] == [wheel.name]


def test_zip_files_are_written_as_ever_afterwards(tmp_path: Path) -> None:
    first = make_wheel(tmp_path).read_bytes()
    smallest_wheel.compress_again(tmp_path / "some-1.0-py3-none-any.whl")
    assert make_wheel(tmp_path).stat().st_size == len(first)


def test_another_python_leaves_the_wheel_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path)
    before = wheel.read_bytes()
    monkeypatch.delattr(zipfile, "_get_compressor")
    smallest_wheel.compress_again(wheel)
    assert wheel.read_bytes() == before

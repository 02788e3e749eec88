"""The content of the packages: the built page and `_core/*.pyi`; no tests, no demos, nothing stale.

One source distribution is packed from this tree and unpacked elsewhere; wheels are built there,
where there is no Node.js, and nothing left over from earlier builds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.repository import ROOT, tracked_files, version

from gradio_webrtc._server import client_files

pytestmark = [pytest.mark.build, pytest.mark.timeout(900)]

NOT_FOR_USERS = {f"gradio_webrtc/_core/{name}.pyi" for name in ("media", "plane")}
"""Declarations of modules that no user can reach; 7 kB of the wheel."""

# Silero's two nets are 1.4 MB of it, the page and the client for pages of one's own 0.1 MB.
WHEEL_LIMIT_BYTES = 2_500_000
PAGE_FILES = {
    f"gradio_webrtc/templates/{part}/{name}"
    for part, others in (("component", ("link.js", "worklet.js")), ("example", ()))
    for name in ("index.js", "style.css", "svelte_runtime_entry.js", *others)
} | {f"gradio_webrtc/templates/client/{name}" for name in client_files.NAMES}


def build(kind: str, tree: Path, folder: Path, *, path: str = os.environ["PATH"]) -> Path:
    """Build a "wheel" or an "sdist" from a tree, as pip would in a prepared environment."""
    program = (
        "import sys, build_backend as backend;"
        f"print(backend.build_{kind}(sys.argv[1], {{}}), file=sys.stderr)"
    )
    environment = os.environ | {
        "PYTHONPATH": str(tree / "frontend"),
        # The crates that do not change between the trees are compiled once.
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), path]),
    }
    folder.mkdir()
    built = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=tree,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [package] = folder.iterdir()
    return package


def path_without_node(folder: Path) -> str:
    """A PATH that leads to all this one leads to, but for Node.js."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for tool in Path(place).iterdir() if Path(place).is_dir() else ():
            if tool.name not in {"node", "nodejs", "npm", "npx"}:
                (folder / tool.name).unlink(missing_ok=True)
                (folder / tool.name).symlink_to(tool)
    return str(folder)


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist") / "dist")


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"gradio_webrtc-{version()}"


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build("wheel", unpacked, folder / "dist", path=path_without_node(folder / "bin"))


def test_a_wheel_can_be_built_from_the_sdist_without_node(wheel: Path) -> None:
    assert wheel.name.startswith(f"gradio_webrtc-{version()}-cp311-abi3-")


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    sources = {
        f"gradio_webrtc/{file.relative_to('python/gradio_webrtc').as_posix()}"
        for file in tracked_files("python/gradio_webrtc")
    }
    names = {name for name in names_in(wheel) if ".dist-info/" not in name}
    page = {name for name in names if name.startswith("gradio_webrtc/templates/")}
    compiled = {name for name in names if name.startswith("gradio_webrtc/_core.abi3.")}
    assert page >= PAGE_FILES
    assert len(compiled) == 1
    assert names - page - compiled == sources - NOT_FOR_USERS
    assert {"gradio_webrtc/py.typed", "gradio_webrtc/_core/__init__.pyi"} <= sources


def test_the_page_in_the_wheel_is_flat_text(wheel: Path) -> None:
    # Gradio serves each file by one name below its folder, and reads it as UTF-8.
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("gradio_webrtc/templates/"):
                assert name.count("/") <= 3
                archive.read(name).decode("utf-8")


def test_the_wheel_carries_the_licences(wheel: Path) -> None:
    for ours in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f".dist-info/licenses/{ours}") for name in names_in(wheel))
    models = ROOT / "rust/core/models"
    carried = [name for name in names_in(wheel) if "/licenses/rust/core/models/" in name]
    assert len(carried) == len(list(models.glob("LICENSE*")))


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size <= WHEEL_LIMIT_BYTES


def test_a_second_build_holds_the_same_files(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    again = build("wheel", unpacked, tmp_path / "again")
    assert names_in(again) == names_in(wheel)


def test_a_build_of_the_checkout_holds_the_same_files(wheel: Path, tmp_path: Path) -> None:
    here = build("wheel", ROOT, tmp_path / "here")
    assert sorted(names_in(here)) == sorted(names_in(wheel))


def test_the_sdist_holds_what_a_build_needs_and_no_more(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"python/{name}" for name in PAGE_FILES} <= names
    assert {"Cargo.lock", "pyproject.toml", "frontend/build_backend.py"} <= names
    strange = {
        name
        for name in names
        if name.startswith(("tests/", "demo/", "benches/", "docs/", "frontend/node_modules/"))
        or name.endswith((".so", ".flac"))
    }
    assert strange == set()


def test_changed_sources_without_node_name_the_version_required(
    unpacked: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(unpacked, tree)
    with (tree / "frontend/index.ts").open("a") as source:
        source.write("// changed\n")
    with pytest.raises(AssertionError, match=r"Node\.js \^20\.19 .* is required to build the page"):
        build("wheel", tree, tmp_path / "dist", path=path_without_node(tmp_path / "bin"))

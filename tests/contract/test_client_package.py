"""The client package as npm would publish it: its files, its size, and its manifest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.repository import ROOT

from gradio_webrtc._server.client_files import NAMES

if TYPE_CHECKING:
    from pathlib import Path

NPM = shutil.which("npm") or "npm"

PACKAGE = ROOT / "frontend" / "client"

BUILD = """
import { argv } from "node:process";
const { buildClient } = await import(argv[1]);
const limits = argv[3] === undefined ? undefined : JSON.parse(argv[3]);
console.log(JSON.stringify(await buildClient(argv[2], limits)));
"""

IMPORTS = re.compile(r"""(?:\bfrom|\bimport\(|\bimport)\s*["'`]([^"'`]+)["'`]""")


def node(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "--input-type=module", "--eval", source, *arguments]
    return subprocess.run(command, cwd=PACKAGE, check=False, capture_output=True, text=True)


def build(folder: Path, limits: dict[str, int] | None = None) -> subprocess.CompletedProcess[str]:
    arguments = [(PACKAGE / "build.mjs").as_uri(), str(folder)]
    return node(BUILD, *arguments, *([json.dumps(limits)] if limits else []))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client") / "built"


@pytest.fixture(scope="module")
def sizes(folder: Path) -> dict[str, int]:
    """The gzipped sizes of the built files, by name."""
    built = build(folder)
    assert built.returncode == 0, built.stderr
    (folder / "package.json").write_text('{"type": "module"}')
    return {each["name"]: each["gzipped"] for each in json.loads(built.stdout)}


def test_the_package_is_what_a_page_needs_and_no_more() -> None:
    packed = subprocess.run(
        [NPM, "pack", "--dry-run", "--json"],
        cwd=PACKAGE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert packed.returncode == 0, packed.stderr
    # npm prints the names of the scripts that it runs, too.
    [package] = json.loads(packed.stdout[packed.stdout.index("[\n") :])
    assert package["name"] == "@gradio-webrtc/client"
    assert {each["path"] for each in package["files"]} == {
        "LICENSE",
        "README.md",
        "client.d.ts",
        "dist/client-link.js",
        "dist/client.js",
        "package.json",
    }


def test_the_manifest_names_what_is_there_and_depends_on_nothing() -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    entry = {"types": "./client.d.ts", "default": "./dist/client.js"}
    assert manifest["exports"] == {".": entry}
    assert manifest["types"] == entry["types"]
    assert manifest["type"] == "module"
    assert "dependencies" not in manifest


def test_the_build_has_these_files_and_stays_within_its_size(sizes: dict[str, int]) -> None:
    assert tuple(sorted(sizes)) == tuple(sorted(NAMES))
    assert sizes["client.js"] <= 12_000


@pytest.mark.parametrize("limit", ["client", "total"])
def test_a_build_beyond_its_size_fails(sizes: dict[str, int], limit: str, tmp_path: Path) -> None:
    limits = {"client": sizes["client.js"], "total": sum(sizes.values())}
    limits[limit] -= 1
    built = build(tmp_path / "built", limits)
    assert built.returncode != 0
    assert "client.js is too large" in built.stderr


@pytest.mark.usefixtures("sizes")
def test_it_can_be_imported_where_there_is_no_page(folder: Path) -> None:
    source = "import(process.argv[1]).then(({ connect }) => console.log(typeof connect))"
    printed = node(source, (folder / "client.js").as_uri())
    assert printed.stdout == "function\n", printed.stderr


@pytest.mark.usefixtures("sizes")
def test_it_imports_its_own_files_alone(folder: Path) -> None:
    imports = {name: IMPORTS.findall((folder / name).read_text("utf-8")) for name in NAMES}
    assert imports == {
        "client.js": ["./client-link.js"],
        "client-link.js": ["./client.js"],
        "client-worklet.js": [],
    }


def test_what_the_guide_shows_of_the_demo_in_react_is_the_file() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    [shown] = re.findall(r'^```jsx title="(\S+)"\n(.*?)^```$', guide, re.MULTILINE | re.DOTALL)
    assert shown[0] == "demo/react/useCall.js"
    assert shown[1] == (ROOT / shown[0]).read_text("utf-8")


def test_the_demo_in_react_has_the_versions_that_are_tested() -> None:
    demo = json.loads((ROOT / "demo" / "react" / "package.json").read_text("utf-8"))
    tested = json.loads((ROOT / "frontend" / "package.json").read_text("utf-8"))
    versions = tested["dependencies"] | tested["devDependencies"]
    named = demo["dependencies"] | demo["devDependencies"]
    assert named.pop("@gradio-webrtc/client") == "file:../../frontend/client"
    assert named == {name: versions[name] for name in ("react", "react-dom", "vite")}

"""The page is built when its sources have changed, and only then."""

import os
from pathlib import Path

import build_page
import pytest

FAKE_NODE = "#!/bin/sh\necho v22.12.0\n"
FAKE_NPM = """#!/bin/sh
echo "$1 $2" >> "$LOG"
test "$1" = ci && mkdir -p node_modules && touch node_modules/.package-lock.json
test "$1 $2" = "run build" || exit 0
test -f broken.ts && exit 1
for part in component example; do
  mkdir -p ../templates/$part
  touch ../templates/$part/index.js ../templates/$part/style.css
  touch ../templates/$part/svelte_runtime_entry.js
  touch ../templates/$part/link.js ../templates/$part/worklet.js
done
mkdir -p ../templates/client
for name in client client-link client-worklet; do touch ../templates/client/$name.js; done
"""


class Tree:
    """A front end in a folder of its own, and a Node.js that only writes down what it is asked."""

    def __init__(self, root: Path) -> None:
        self.frontend = root / "frontend"
        self.templates = root / "templates"
        self.tools = root / "bin"
        self.log = root / "log"
        (self.frontend / "tests").mkdir(parents=True)
        self.tools.mkdir()
        self.write("package.json", '{"engines": {"node": "^20.19 || >=22.12"}}')
        self.write("package-lock.json", "{}")
        self.write("index.ts", "a\nb\n")
        self.write("tests/peer.test.ts", "a test\n")
        self.tool("node", FAKE_NODE)
        self.tool("npm", FAKE_NPM)

    def write(self, name: str, text: str) -> None:
        (self.frontend / name).parent.mkdir(exist_ok=True)
        (self.frontend / name).write_bytes(text.encode())

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    made = Tree(tmp_path)
    built = tuple(
        made.templates / path.relative_to(build_page.TEMPLATES) for path in build_page.BUILT
    )
    monkeypatch.setattr(build_page, "ROOT", tmp_path)
    monkeypatch.setattr(build_page, "FRONTEND", made.frontend)
    monkeypatch.setattr(build_page, "STAMP", made.templates / "SOURCES.sha256")
    monkeypatch.setattr(build_page, "BUILT", built)
    monkeypatch.setenv("PATH", os.pathsep.join([str(made.tools), "/usr/bin", "/bin"]))
    monkeypatch.setenv("LOG", str(made.log))
    return made


def test_the_page_is_built_once(tree: Tree) -> None:
    build_page.ensure_page()
    build_page.ensure_page()
    assert tree.asked() == ["ci --omit=dev", "run build"]


@pytest.mark.parametrize("name", ["index.ts", "new.svelte", "package-lock.json"])
def test_a_changed_source_builds_it_again(tree: Tree, name: str) -> None:
    build_page.ensure_page()
    tree.write(name, "changed")
    assert not build_page.is_built()
    build_page.ensure_page()
    assert tree.asked()[-1] == "run build"
    assert build_page.is_built()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tests/peer.test.ts", "changed"),
        ("build_page.py", "changed"),
        ("dist/client.js", "changed"),
        ("index.ts", "a\r\nb\r\n"),
    ],
)
def test_what_does_not_reach_the_page_builds_nothing(tree: Tree, name: str, text: str) -> None:
    build_page.ensure_page()
    tree.write(name, text)
    assert build_page.is_built()


def test_a_lost_file_builds_it_again(tree: Tree) -> None:
    build_page.ensure_page()
    for lost in ("example/style.css", "client/client-link.js"):
        (tree.templates / lost).unlink()
        build_page.ensure_page()
        assert (tree.templates / lost).exists()


def test_text_that_moves_between_two_files_is_a_change(tree: Tree) -> None:
    tree.write("a.ts", "one")
    tree.write("b.ts", "two")
    before = build_page.source_hash()
    tree.write("a.ts", "onetwo")
    tree.write("b.ts", "")
    assert build_page.source_hash() != before


def test_a_failed_build_is_named_and_not_taken_for_built(tree: Tree) -> None:
    build_page.ensure_page()
    tree.write("broken.ts", "")
    with pytest.raises(build_page.BuildError, match="`npm run build` failed with code 1"):
        build_page.ensure_page()
    assert not build_page.is_built()


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.9", "v21.7.3", "v22.11.0"])
def test_a_node_that_the_page_does_not_admit_is_refused(tree: Tree, version: str) -> None:
    tree.tool("node", f"#!/bin/sh\necho {version}\n")
    with pytest.raises(build_page.BuildError, match=f"is {version[1:]} here"):
        build_page.ensure_page()
    assert tree.asked() == []


@pytest.mark.parametrize("version", ["v20.19.0", "v20.20.2", "v22.12.0", "v24.1.0"])
def test_a_node_that_the_page_admits_is_used(tree: Tree, version: str) -> None:
    tree.tool("node", f"#!/bin/sh\necho {version}\n")
    build_page.ensure_page()
    assert build_page.is_built()


@pytest.mark.parametrize("version", ["0.0.1", "1.63.0"])
def test_an_old_rust_is_refused(tree: Tree, version: str) -> None:
    (tree.frontend.parent / "Cargo.toml").write_text('rust-version = "1.88"\n')
    tree.tool("cargo", f"#!/bin/sh\necho cargo {version}\n")
    with pytest.raises(build_page.BuildError, match=f"Rust >=1.88 is required .*{version} here"):
        build_page.require_rust()

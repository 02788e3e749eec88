"""The files of the web site, for mkdocs: those of the repository, at their own paths.

Documents link to each other, to programs and to tests by relative paths, which work in the
repository. The site therefore has the layout of the repository, not of the folder `docs` alone: all
documents are pages, and every other file that a document links to is copied beside them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT: Final = Path(__file__).resolve().parent.parent

DOCUMENTS: Final = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/README.md",
    "demo/README.md",
    "frontend/client/README.md",
    "docs/**/*.md",
)

STYLE: Final = "docs/reference/site.css"

LINK: Final = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
"""The target of a link or of an image, without its anchor, unless it has a scheme."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces the files that mkdocs has found in `docs`; mkdocs calls it once a build."""
    pages = sorted(path for pattern in DOCUMENTS for path in ROOT.glob(pattern))
    linked = {target for page in pages for target in _targets(page)}
    paths = [*pages, *sorted((linked | {ROOT / STYLE}) - set(pages))]
    of_the_theme = [file for file in files if file.src_dir != config.docs_dir]
    return Files([*(_file(path, config) for path in paths), *of_the_theme])


def _targets(page: Path) -> list[Path]:
    targets = LINK.findall(page.read_text("utf-8"))
    paths = [(page.parent / target).resolve() for target in targets]
    return [path for path in paths if path.is_file()]


def _file(path: Path, config: MkDocsConfig) -> File:
    return File(
        path.relative_to(ROOT).as_posix(),
        src_dir=str(ROOT),
        dest_dir=config.site_dir,
        use_directory_urls=config.use_directory_urls,
    )

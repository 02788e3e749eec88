"""The version is written in Cargo.toml alone."""

from importlib.metadata import version as installed_version

from support.repository import ROOT, tracked_files, version


def test_python_and_rust_have_the_same_version() -> None:
    assert installed_version("gradio_webrtc") == version()


def test_the_version_is_written_once() -> None:
    # Cargo.lock repeats it by itself; CHANGELOG.md and the page mention versions, they set none.
    mentions = {"Cargo.toml", "Cargo.lock", "CHANGELOG.md", "README.md"}
    spellings = {version(), version().replace(".dev", "-dev")}
    config = tracked_files("*.toml", "*.json", "python/*.py", "rust/*.rs", "Makefile", ".ci/run")
    written = {
        str(file)
        for file in config
        if file.name not in mentions
        and any(spelling in (ROOT / file).read_text("utf-8") for spelling in spellings)
    }
    assert not written

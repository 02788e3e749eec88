"""The committed weights are those of the PyPI wheel, and the golden data are onnxruntime's."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "rust/core/models"
GOLDEN = ROOT / "rust/core/tests/data"
RECORDINGS = ROOT / "tests/data"

# The largest difference of a probability: processors and versions of onnxruntime add up in
# different orders.
GOLDEN_TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel from which the weights were taken."""
    folder = tmp_path_factory.mktemp("wheel")
    download = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder)
    subprocess.run([*download, "silero-vad==6.2.3"], check=True)
    (found,) = folder.glob("*.whl")
    return found


def run_script(script: Path, *arguments: Path) -> None:
    subprocess.run([sys.executable, script, *arguments], check=True)


@pytest.mark.registry
def test_the_weights_are_those_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    run_script(MODELS / "extract.py", wheel, tmp_path)
    extracted = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    committed = {file.name: file.read_bytes() for file in MODELS.glob("*.f32packed")}
    assert len(extracted) == 2
    assert extracted == committed


@pytest.mark.registry
def test_the_golden_probabilities_are_those_of_onnxruntime(wheel: Path, tmp_path: Path) -> None:
    run_script(GOLDEN / "make_golden.py", wheel, RECORDINGS, tmp_path)
    for made in tmp_path.iterdir():
        golden = np.fromfile(GOLDEN / made.name, "<f4")
        np.testing.assert_allclose(np.fromfile(made, "<f4"), golden, atol=GOLDEN_TOLERANCE, rtol=0)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("folder", [MODELS, GOLDEN])
def test_the_provenance_names_each_file_with_its_hash(folder: Path) -> None:
    table = (folder / "PROVENANCE.md").read_text(encoding="utf-8")
    files = [*folder.glob("*.f32packed"), *folder.glob("*.f32")]
    assert len(files) == 2
    for file in files:
        (row,) = (line for line in table.splitlines() if line.startswith(f"| `{file.name}`"))
        assert hashlib.sha256(file.read_bytes()).hexdigest() in row

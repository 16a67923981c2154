"""Oracles: DESIGN.md's rules, as import-linter, mypy, ruff, git and setuptools see them; in a folder of any name."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ("analysis", "bioplausible", "datasets", "decoding")
ROOT_MODULES = ("cli.py", "page_figure.py", "page_html.py", "page_style.py", "page_text.py", "provenance.py")
LONGEST = 400  # lines
DATA = {".bin", ".ckpt", ".gz", ".h5", ".hf5", ".hdf5", ".mat", ".nii", ".npy", ".npz", ".pkl", ".pt", ".safetensors"}
DATA |= {".fif", ".TextGrid", ".tar", ".tsv", ".wav", ".xz", ".zip"}


def program(name: str, *arguments: str, cwd: Path = ROOT) -> None:
    """Run a tool of this environment; its output is the failure's message."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def tracked() -> list[Path]:
    """Files that git has or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout, so there is nothing that says which files belong to the repository")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [
        *(ROOT / name for name in ROOT_MODULES),
        *(path for part in SOURCE for path in sorted((ROOT / part).rglob("*.py"))),
    ]


def test_imports_keep_the_contracts_of_the_design() -> None:
    program("lint-imports")


def test_only_plotting_is_taken_from_nilearn_where_figures_are_drawn() -> None:
    found = [
        node.module
        for node in ast.walk(ast.parse((ROOT / "decoding" / "figures.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nilearn")
    ]
    assert found == ["nilearn.plotting"]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_inside_the_package_imports_are_relative_and_files_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    absolute = [
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name and name.split(".")[0] in {"plasticode", *SOURCE}
    ]
    assert absolute == []
    assert len(text.splitlines()) <= LONGEST


def test_types_are_right_under_mypy_strict(tmp_path: Path) -> None:
    # mypy names a package after its folder, which a clone is free to choose: here it sees the folder as `plasticode`.
    (tmp_path / "plasticode").symlink_to(ROOT, target_is_directory=True)
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    program("mypy", *settings, *(f"plasticode/{part}" for part in (*SOURCE, *ROOT_MODULES)), cwd=tmp_path)


def test_ruff_finds_nothing() -> None:
    program("ruff", "check", ".")


def test_ruff_would_change_nothing() -> None:
    program("ruff", "format", "--check", ".")


def test_torchvision_is_absent() -> None:
    # From the package index it breaks `import lightning`, while `pip check` is clean.
    assert importlib.util.find_spec("torchvision") is None


def test_hugging_face_datasets_is_not_shadowed(tmp_path: Path) -> None:
    find = "import importlib.util as u; spec = u.find_spec('datasets'); print(spec and spec.origin)"
    done = subprocess.run([sys.executable, "-c", find], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = done.stdout.strip()
    assert found == "None" or "site-packages" in found
    assert not found.startswith(str(ROOT / "datasets"))


def test_the_repository_holds_no_data() -> None:
    files = tracked()
    assert [path for path in files if path.stat().st_size >= 1_000_000] == []
    assert [path for path in files if path.suffix in DATA] == []


def test_the_wheel_holds_every_package_and_every_config(tmp_path: Path) -> None:
    """Built in a copy, in a folder whose name is no identifier."""
    copy = tmp_path / "x-1.2 y"
    for path in tracked():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    held = {name.removeprefix("plasticode/") for name in zipfile.ZipFile(wheel).namelist()}
    wanted = [*sources(), *(ROOT / part / "__init__.py" for part in SOURCE), *(ROOT / "configs").rglob("*.yaml")]
    assert {path.relative_to(ROOT).as_posix() for path in wanted} - held == set()
    assert [name for name in held if name.startswith(("tests", "benchmarks", ".venv"))] == []

"""Oracles: files that scipy and h5py wrote, as MATLAB writes char matrices, cells and version 7.3."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.mat_strings import mat_strings
from scipy.io import savemat

TEXTS = ["山", "河流", ",", "ab"]


def saved(path: Path, value: object) -> Path:
    savemat(path, {"word": value, "start": np.arange(4.0)[None]})
    return path


def cells(values: list[object], shape: tuple[int, ...]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made.reshape(shape)


@pytest.mark.parametrize(
    "value", [np.array(TEXTS), np.array([TEXTS]), cells(list(TEXTS), (1, 4)), cells(list(TEXTS), (4, 1))]
)
def test_char_matrices_and_cells_are_strings_without_padding(tmp_path: Path, value: np.ndarray) -> None:
    assert mat_strings(saved(tmp_path / "a.mat", value), "word") == TEXTS


def test_an_empty_cell_is_an_empty_string(tmp_path: Path) -> None:
    assert mat_strings(saved(tmp_path / "a.mat", cells(["山", ""], (1, 2))), "word") == ["山", ""]


@pytest.mark.parametrize(
    "value", [np.arange(3.0), cells([1.0, "山"], (1, 2)), cells([np.array(["a", "b"])], (1, 1)), {"a": "b"}]
)
def test_what_is_not_text_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(BrokenData, match=r"'word' is not text .*Take the file as it was published"):
        mat_strings(saved(tmp_path / "a.mat", value), "word")


def test_a_missing_variable_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no text 'char'"):
        mat_strings(saved(tmp_path / "a.mat", np.array(TEXTS)), "char")
    with pytest.raises(MissingData, match="no such file"):
        mat_strings(tmp_path / "b.mat", "char")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", np.array(TEXTS))
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(BrokenData, match="not a readable MATLAB file"):
        mat_strings(path, "word")


def test_text_behind_references_is_refused_and_no_link_is_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.mat", "w") as file:
        file["word"] = np.array([23665], np.uint16)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["word"] = h5py.ExternalLink("secret.mat", "word")
    with pytest.raises(BrokenData, match=r"text in a MATLAB 7\.3 file is not read .*Save the file as version 7 or old"):
        mat_strings(tmp_path / "a.mat", "word")

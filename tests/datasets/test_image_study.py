"""Oracles: the contract of studies of images, held against every one of the package and against broken ones."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from PIL import Image
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.fetch import estimate, plan
from plasticode.datasets.hdf5_arrays import own_array
from plasticode.datasets.image_study import (
    FACTS,
    ImageStudy,
    Stimuli,
    image_study_class,
    image_study_names,
    open_image_study,
)
from plasticode.datasets.labelled_images import image_names
from plasticode.datasets.mat_arrays import mat_array
from plasticode.datasets.photographs import read_photographs
from plasticode.datasets.square_rdms import subject_rdms
from plasticode.datasets.study import study_names
from rsatoolbox.data.dataset import Dataset
from rsatoolbox.rdm.rdms import RDMs
from scipy.io import savemat
from scipy.spatial.distance import squareform

IDS = ("a", "b", "c", "d")
SQUARES = np.array([[squareform(np.arange(6.0) + 10 * s + t) for t in (0, 1)] for s in range(3)])
REAL = {"kriegeskorte2008": "rsa_92images"}  # below $PLASTICODE_DATA


class Tiny(ImageStudy):
    """Two people, one region, RDMs only."""

    study, url, doi, licence, citation = "tiny", "https://x", "x", "x", "x"
    info: ClassVar[dict[str, Any]] = {"stimuli": 4}
    subjects, regions = ("s1", "s2"), ("V1",)  # type: ignore[assignment] # as properties would give them

    def stimuli(self) -> Stimuli:
        return Stimuli(IDS, np.zeros((4, 3, 2, 2), np.uint8))

    def rdms(self, region: str, averaged: bool = True) -> RDMs:
        return made(SQUARES[:2], self.subjects, averaged=averaged)


class Responding(ImageStudy):
    """Patterns only."""

    study, url, doi, licence, citation = "responding", "https://x", "x", "x", "x"
    info: ClassVar[dict[str, Any]] = {"stimuli": 4}
    stimuli, subjects, regions = Tiny.stimuli, Tiny.subjects, Tiny.regions  # type: ignore[assignment]

    def patterns(self, subject: str, region: str) -> Dataset:
        return Dataset(np.eye(4))


def made(squares: np.ndarray, subjects: Any = ("s1", "s2", "s3"), ids: Any = IDS, averaged: bool = True) -> RDMs:
    sessions = [f"session {number}" for number in range(1, squares.shape[1] + 1)]
    return subject_rdms(squares, ids, subjects, sessions, region="V1", averaged=averaged, where=Path("file"))


# --- every study of the package


@pytest.mark.parametrize("name", image_study_names())
def test_every_study_states_its_facts_and_is_found_by_the_name_of_its_file(name: str) -> None:
    cls = image_study_class(name)
    assert cls.__module__ == f"plasticode.datasets.{name}"
    assert [fact for fact in FACTS if not getattr(cls, fact)] == []
    assert cls.url.startswith(("https://", "http://"))
    assert inspect.getdoc(cls) != inspect.getdoc(ImageStudy)
    assert cls.gives()


def test_the_three_studies_are_there_and_no_other_kind_of_data_set_has_their_name() -> None:
    assert {"kriegeskorte2008", "things_fmri", "algonauts2019"} <= set(image_study_names())
    assert set(image_study_names()).isdisjoint([*study_names(), *image_names()])


@pytest.mark.parametrize("name", image_study_names())
def test_absent_and_empty_folders_say_where_and_how_to_get_the_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=rf"no folder for study {name} \({tmp_path}/nowhere\).*`plasticode fetch"):
        open_image_study(name, tmp_path / "nowhere")
    with pytest.raises(MissingData, match=str(tmp_path)):
        open_image_study(name, tmp_path).stimuli()


@pytest.mark.parametrize("name", image_study_names())
def test_fetch_knows_every_study_and_plans_only_what_can_be_verified(name: str) -> None:
    if name == "things_fmri":
        with pytest.raises(WrongArgument, match=r"no subject named \(--subject\)\. Name one or more of 01, 02, 03"):
            plan(name)
        assert [about.size for about in estimate(name, ["01"])] == [211_339 * 9_840 * 8]
    else:
        with pytest.raises(MissingData, match=rf"study {name} cannot be fetched \(http"):
            plan(name)
        assert estimate(name) == []


@pytest.mark.parametrize("name", sorted(REAL))
def test_a_complete_copy_keeps_the_contract(name: str, real_data: Path) -> None:
    study = open_image_study(name, real_data / REAL[name])
    ids = list(study.stimuli().ids)
    assert len(ids) == len(set(ids)) == study.info["stimuli"]
    for region in study.regions:
        rdms = study.rdms(region)
        assert list(rdms.pattern_descriptors["stimulus"]) == ids
        labels = rdms.rdm_descriptors
        assert len(set(labels["name"])) == rdms.n_rdm == len(set(labels["subject"])) == study.info["subjects"][region]
        assert set(labels["subject"]) <= set(study.subjects)
        assert set(labels["region"]) == {region}
        assert np.isfinite(rdms.dissimilarities).all()


def test_listing_data_sets_does_not_wait_for_rsatoolbox() -> None:
    code = "import sys, plasticode.datasets.fetch_command; print('rsatoolbox' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"


# --- the contract itself


@pytest.mark.parametrize("absent", FACTS)
def test_a_study_without_a_fact_is_a_type_error_that_names_it(absent: str) -> None:
    body = {name: value for name, value in vars(Tiny).items() if name != absent and not name.startswith("__")}
    with pytest.raises(TypeError, match=f"without {absent}: state them"):
        type("Nameless", (ImageStudy,), body)


def test_a_study_with_neither_rdms_nor_patterns_is_a_type_error() -> None:
    body = {name: value for name, value in vars(Tiny).items() if name != "rdms" and not name.startswith("__")}
    with pytest.raises(TypeError, match="gives neither rdms nor patterns"):
        type("Silent", (ImageStudy,), body)


def test_a_study_of_one_kind_says_so_when_asked_for_the_other(tmp_path: Path) -> None:
    assert (Tiny.gives(), Responding.gives()) == (("rdms",), ("patterns",))
    with pytest.raises(MissingData, match=r"tiny has RDMs and no patterns.*\(patterns\('s1', 'V1'\)\)\. Take rdms"):
        Tiny(tmp_path).patterns("s1", "V1")
    with pytest.raises(MissingData, match=r"responding has patterns of responses and no RDMs.*make RDMs of them"):
        Responding(tmp_path).rdms("V1")


def test_the_mean_rdm_is_the_mean_over_subjects(tmp_path: Path) -> None:
    mean = Tiny(tmp_path).mean_rdm("V1")
    np.testing.assert_allclose(mean.get_matrices()[0], SQUARES[:2].mean((0, 1)))
    assert mean.rdm_descriptors["subject"] == ["mean"]
    assert list(mean.pattern_descriptors["stimulus"]) == list(IDS)


def test_unknown_names_and_options_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no study of images named 'lebel'.*algonauts2019.*kriegeskorte2008"):
        open_image_study("lebel", tmp_path)
    with pytest.raises(WrongArgument, match=r"no option colour \(study kriegeskorte2008\)"):
        open_image_study("kriegeskorte2008", tmp_path, {"colour": 1})


@pytest.mark.parametrize(
    ("ids", "descriptors", "message"),
    [
        (("a", "b", "a"), {}, "repeated ids: a"),
        (("a", "b"), {}, "2 ids but 3 images"),
        (("a", "b", "c"), {"category": np.array(["x"])}, "3 ids but 1 category"),
    ],
)
def test_stimuli_that_do_not_fit_together_are_refused(ids: Any, descriptors: Any, message: str) -> None:
    with pytest.raises(BrokenData, match=message):
        Stimuli(ids, np.zeros((3, 1, 2, 2), np.uint8), descriptors)


def test_the_content_hash_changes_with_a_pixel_an_id_and_nothing_else() -> None:
    images = np.zeros((2, 3, 4, 4), np.uint8)
    base = Stimuli(("a", "b"), images).content_hash
    assert Stimuli(("a", "b"), images.copy(order="F"), {"category": np.arange(2)}).content_hash == base
    assert Stimuli(("b", "a"), images).content_hash != base
    images[0, 0, 0, 0] = 1
    assert Stimuli(("a", "b"), images).content_hash != base


# --- square matrices


def test_an_rdm_is_the_upper_triangle_by_row_and_subjects_are_averaged_over_sessions() -> None:
    rdms, each = made(SQUARES), made(SQUARES, averaged=False)
    np.testing.assert_allclose(rdms.get_matrices(), SQUARES.mean(1))
    np.testing.assert_allclose(each.get_matrices(), SQUARES.reshape(6, 4, 4))
    np.testing.assert_allclose(each.dissimilarities[3], squareform(SQUARES[1, 1]))
    assert rdms.rdm_descriptors["name"] == ["V1, s1, mean", "V1, s2, mean", "V1, s3, mean"]
    assert each.rdm_descriptors["subject"] == ["s1", "s1", "s2", "s2", "s3", "s3"]
    assert each.rdm_descriptors["name"][3] == "V1, s2, session 2"


def changed(place: tuple[int, ...], value: float) -> np.ndarray:
    squares = SQUARES.copy()
    squares[place] = value
    return squares


@pytest.mark.parametrize(
    ("squares", "message"),
    [
        (changed((0, 0, 1, 2), np.nan), "values that are not finite"),
        (changed((0, 0, 1, 2), 99.0), "is not symmetric"),
        (changed((2, 1, 3, 3), 1.0), "is not 0 between a condition and itself"),
        (SQUARES[:, :, :3], r"have shape \(3, 2, 3, 4\) instead of \(3, 2, 4, 4\)"),
        (SQUARES[:2], r"have shape \(2, 2, 4, 4\) instead of \(3, 2, 4, 4\)"),
    ],
)
def test_matrices_that_are_no_dissimilarities_are_refused(squares: np.ndarray, message: str) -> None:
    with pytest.raises(BrokenData, match=rf"{message} \(file\)\. Take the file as it was published"):
        made(squares)


def test_an_undefined_diagonal_and_the_last_bits_of_single_precision_are_no_fault() -> None:
    squares = changed((0, 0, 1, 1), np.nan).astype(np.float32)
    squares[0, 0, 1, 2] *= 1 + 2e-7
    np.testing.assert_allclose(made(squares).dissimilarities[0], squareform(SQUARES[0].mean(0)), rtol=1e-6)


# --- files


def hard(file: h5py.File, secret: Path) -> None:
    file.create_group("group")["key"] = np.arange(6.0).reshape(2, 3)


def external_link(file: h5py.File, secret: Path) -> None:
    file.create_group("group")["key"] = h5py.ExternalLink(str(secret), "/key")


def external_group(file: h5py.File, secret: Path) -> None:
    file["group"] = h5py.ExternalLink(str(secret), "/")


def soft_group(file: h5py.File, secret: Path) -> None:
    file.create_group("elsewhere")["key"] = np.zeros(2)
    file["group"] = h5py.SoftLink("/elsewhere")


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_group("group").create_dataset("key", (2,), "f8", external=[(str(secret), 0, 16)])


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret), "key", shape=(2,))
    file.create_group("group").create_virtual_dataset("key", layout)


def words(file: h5py.File, secret: Path) -> None:
    file.create_group("group")["key"] = ["one", "two"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (external_link, "is reached through a link to another place"),
        (external_group, "is reached through a link to another place"),
        (soft_group, "is reached through a link to another place"),
        (external_storage, "keeps its values in another file"),
        (virtual, "keeps its values in another file"),
        (words, "is not an array of numbers"),
    ],
)
def test_an_hdf5_file_never_leads_to_another_file(
    tmp_path: Path, write: Callable[[h5py.File, Path], None], message: str
) -> None:
    secret, path = tmp_path / "secret.h5", tmp_path / "given.h5"
    with h5py.File(secret, "w") as file:
        file["key"] = np.ones(2)
    with h5py.File(path, "w") as file:
        write(file, secret)
    with pytest.raises(BrokenData, match=rf"'group/key' {message} \({path}\)"), own_array(path, "group/key"):
        pass


def test_an_own_array_is_read_and_an_absent_one_lists_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "given.h5"
    with h5py.File(path, "w") as file:
        hard(file, path)
    with own_array(path, "group/key") as array:
        np.testing.assert_array_equal(array[1:], [[3, 4, 5]])
    with pytest.raises(MissingData, match=r"no array 'group/other'; there are: group"), own_array(path, "group/other"):
        pass
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(BrokenData, match="the HDF5 file cannot be read"), own_array(path, "group/key"):
        pass


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_both_versions_of_matlab_files_give_the_axes_of_matlab(tmp_path: Path, version: str) -> None:
    values, path = np.arange(24.0).reshape(2, 3, 4), tmp_path / "x.mat"
    write_mat(path, {"x": values}, version)
    np.testing.assert_array_equal(mat_array(path, "x"), values)
    with pytest.raises(MissingData, match="no array 'y'"):
        mat_array(path, "y")


def write_mat(path: Path, arrays: dict[str, np.ndarray], version: str) -> None:
    """As MATLAB writes it: 7.3 has a block of its own before the HDF5 file, and its axes reversed."""
    if version == "5":
        savemat(path, arrays)
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = values.T
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512))


def test_what_is_no_matlab_file_or_no_array_of_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(BrokenData, match="not a readable MATLAB file"):
        mat_array(path, "x")
    savemat(path, {"x": np.array(["words"], dtype=object)})
    with pytest.raises(BrokenData, match="'x' is not an array of numbers"):
        mat_array(path, "x")


def test_photographs_come_as_their_pixels_or_at_the_side_that_is_asked_for(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    paths = [tmp_path / f"{number}.png" for number in (1, 2)]
    for path, one in zip(paths, pixels, strict=True):
        Image.fromarray(one).save(path)
    np.testing.assert_array_equal(read_photographs(paths), pixels.transpose(0, 3, 1, 2))
    small = read_photographs(paths, side=1)
    assert small.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(small.squeeze(), pixels.mean((1, 2)), atol=16)  # one pixel is a weighted mean of all


def test_what_is_no_photograph_of_the_common_size_is_refused(tmp_path: Path) -> None:
    for name, shape in {"a.png": (8, 8, 3), "b.png": (8, 9, 3)}.items():
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
    with pytest.raises(BrokenData, match=r"\(8, 9\) pixels instead of \(8, 8\)"):
        read_photographs([tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(BrokenData, match=r"a picture of \(9, 8\) pixels .*Squares up to 8000"):
        read_photographs([tmp_path / "b.png"], side=4)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "c.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:5000])
    with pytest.raises(BrokenData, match="not a readable photograph"):
        read_photographs([tmp_path / "c.png"])
    with pytest.raises(WrongArgument, match="0 photographs of side None"):
        read_photographs([])

"""Oracles: the events that the test wrote; the published design; the visual response to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.localizer import IMAGES, STORY, Localizer


def small(tree: Any, events: str) -> Localizer:
    tree.image(tree.root / IMAGES["6mm"], tree.bold(60))
    (tree.root / "events.tsv").write_text("onset\tduration\ttrial_type\n" + events)
    return Localizer(tree.root)


def test_a_block_ends_with_its_category_or_with_a_pause(tree: Any) -> None:
    events = "12\t.9\tface\n13\t.9\tface\n36\t.9\tface\n37\t.9\tface\n38\t.9\tbody\n"
    words = small(tree, events).run("02", STORY).words
    assert [(word.text, word.onset, word.offset) for word in words] == [
        ("face", 12.0, 13.9),
        ("face", 36.0, 37.9),
        ("body", 38.0, 38.9),
    ]


def test_responses_unfold_into_the_brain(tree: Any) -> None:
    run = small(tree, "12\t.9\tface\n").run("02", STORY)
    mask = run.responses.mask
    assert mask is not None
    assert mask.volume.shape == (12, 12, 10)
    rows = run.responses[:]
    assert rows.shape == (60, mask.n_voxels)
    np.testing.assert_allclose(rows.std(axis=0, ddof=1), 1, atol=1e-3)
    assert mask.unfold(rows[:2]).shape == (2, 12, 12, 10)


def test_wrong_input_is_named(tree: Any) -> None:
    study = small(tree, "soon\t.9\tface\n")
    with pytest.raises(BrokenData, match=r"an onset or duration is not a number .*events\.tsv"):
        study.run("02", STORY)
    with pytest.raises(WrongArgument, match=r"no resolution '1mm'.*Choose one of: 6mm, 3mm"):
        Localizer(tree.root, "1mm")  # type: ignore[arg-type]
    with pytest.raises(MissingData, match=r"no subject 01 .*There are: 02"):
        study.stories("01")
    assert Localizer(tree.root, "3mm").subjects() == []
    (tree.root / "events.tsv").unlink()
    with pytest.raises(MissingData, match="no events of the localizer"):
        Localizer(tree.root).run("02", STORY)


def test_the_real_run_has_twelve_blocks_and_a_visual_response(real_data: Path) -> None:
    study = Localizer(real_data / "bold4d_studyforrest_localizer")
    run = study.run("02", STORY)
    assert run.responses.n_rows == Localizer.info["rows"]
    assert sorted(word.text for word in run.words) == sorted(2 * Localizer.info["categories"])
    onsets = np.array([word.onset for word in run.words])
    np.testing.assert_allclose(np.diff(onsets), 24, atol=0.1)
    durations = np.array([word.offset - word.onset for word in run.words])
    stimulation = compute_regressor((onsets, durations, np.ones(12)), "spm", np.arange(156) * 2.0)[0][:, 0]
    rows, mask = run.responses[:], run.responses.mask
    assert mask is not None
    correlation = (stimulation - stimulation.mean()) / stimulation.std() @ rows / len(rows)
    assert correlation.max() > 0.7
    best = np.argwhere(mask.volume)[np.argsort(correlation)[-50:]]
    centre = mask.affine[:3, :3] @ best.mean(axis=0) + mask.affine[:3, 3]
    brain = mask.affine[:3, :3] @ np.argwhere(mask.volume).mean(axis=0) + mask.affine[:3, 3]
    assert centre[1] < brain[1] - 20  # mm: behind the middle of the brain, where visual cortex lies

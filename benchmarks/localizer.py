"""Six image categories from the real 4D BOLD run, and the voxel map against nilearn's GLM.

    python benchmarks/localizer.py --root "$PLASTICODE_DATA/bold4d_studyforrest_localizer"
    python benchmarks/localizer.py --root ... --resolution 3mm --seeds 2

One run of one person: six categories, one block of each per repetition, two repetitions. One repetition is held out,
the network is trained on the six blocks of the other, and the other way round; evidence is averaged over windows of
a block and over seeds. The network, the baselines and the ANOVA map see the same windows. The baselines average the
rows of a window that the haemodynamic lag leaves to its stimuli. The map is compared with two GLM maps (nilearn's
`FirstLevelModel`, AR(1), on the same voxels): the F test of differences between the categories, which is what a map
learned by telling categories apart should match, and all stimuli against rest (absolute z), which it should match
less, because a voxel that responds to every category alike tells none apart.

With one training block per category no block is left for choosing settings, so they were chosen by looking at held-out
scores. `N_SETTINGS` were looked at, and the network's p is also given times this number (Bonferroni).
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from nilearn.glm.first_level import FirstLevelModel
from nilearn.image import index_img
from plasticode.datasets.brain_map import BrainMap
from plasticode.datasets.localizer import HIGH_PASS, IMAGES, REPETITION_TIME, STORY, SUBJECT, Localizer
from plasticode.datasets.study import VoxelMask
from plasticode.datasets.whole_file import whole_file, write_text
from plasticode.decoding.block_scores import BlockScore, block_scores
from plasticode.decoding.categories import (
    Block,
    BlockWindows,
    CategorySettings,
    HeldOutBlocks,
    blocks_of,
    cross_validate,
    folds_of,
    patterns,
)
from plasticode.decoding.figures import glass_brain
from plasticode.decoding.map_agreement import TOP, agreements
from plasticode.page_figure import png
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

N_SETTINGS = 32
N_DRAWS = 100_000
MIN_SHIFT_MM = 30.0  # two maps of one brain are smooth over less than this
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def correlation(samples: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Correlation with the mean pattern of each category, after the mean of training is taken off (Haxby 2001)."""
    centre = samples.mean(axis=0)
    means = np.stack([samples[labels == label].mean(axis=0) for label in np.unique(labels)]) - centre
    return lambda x: np.corrcoef(means, x - centre)[len(means) :, : len(means)]


def logistic(samples: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return LogisticRegression(C=0.01, max_iter=1000).fit(samples, labels).predict_log_proba


def ridge(samples: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return RidgeClassifier(alpha=samples.shape[1]).fit(samples, labels).decision_function


def selected(fit: Fit) -> Fit:
    """The same on the 5% of the voxels with the largest ANOVA F in training."""

    def fit_selected(samples: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        choose = make_pipeline(SelectKBest(f_classif, k=round(TOP * samples.shape[1]))).fit(samples, labels)
        score = fit(choose.transform(samples), labels)
        return lambda x: score(choose.transform(x))

    return fit_selected


BASELINES: dict[str, Fit] = {
    "pattern correlation, all voxels": correlation,
    "pattern correlation, top 5% ANOVA": selected(correlation),
    "logistic regression, all voxels": logistic,
    "logistic regression, top 5% ANOVA": selected(logistic),
    "ridge, all voxels": ridge,
    "ridge, top 5% ANOVA": selected(ridge),
}


def window_means(rows: np.ndarray, starts: Sequence[int], windows: BlockWindows) -> np.ndarray:
    """(window, voxel): mean of the rows that lag the window's stimuli by the reach."""
    return np.stack([rows[start + windows.reach : start + windows.length].mean(axis=0) for start in starts])


def training_samples(
    rows: np.ndarray, blocks: Sequence[Block], training: Sequence[int], held_out: Sequence[int], windows: BlockWindows
) -> tuple[np.ndarray, np.ndarray]:
    left = [blocks[i] for i in held_out]
    starts = {i: windows.training_starts(blocks[i], left) for i in training}
    samples = np.concatenate([window_means(rows, starts[i], windows) for i in training])
    return samples, np.concatenate([[blocks[i].category] * len(starts[i]) for i in training])


def baseline_evidence(fit: Fit, rows: np.ndarray, blocks: Sequence[Block], windows: BlockWindows) -> np.ndarray:
    """(block, category), in the folds and windows of the network."""
    categories, folds = folds_of(blocks)
    evidence = np.zeros((len(blocks), len(categories)))
    for training, held_out in folds:
        score = fit(*training_samples(rows, blocks, training, held_out, windows))
        for i in held_out:
            evidence[i] = score(window_means(rows, windows.starts(blocks[i]), windows)).mean(axis=0)
    return evidence


def anova_maps(rows: np.ndarray, blocks: Sequence[Block], windows: BlockWindows) -> np.ndarray:
    """(fold, voxel): ANOVA F over the training windows, the simple method's map."""
    _, folds = folds_of(blocks)
    return np.stack([f_classif(*training_samples(rows, blocks, *fold, windows))[0] for fold in folds])


def glm_maps(study: Localizer, mask: VoxelMask, rows: slice | None = None) -> dict[str, np.ndarray]:
    """z maps (x, y, z) of a run or of some of its rows: F over the categories, and all stimuli against rest."""
    image = nib.load(study.image)
    events = pd.read_csv(study.events, sep="\t")[["onset", "duration", "trial_type"]]
    if rows is not None:
        first, last = rows.start * REPETITION_TIME, rows.stop * REPETITION_TIME
        image = index_img(image, rows)
        events = events[(events["onset"] > first - 1) & (events["onset"] < last - 1)]
        events = events.assign(onset=(events["onset"] - first).clip(lower=0))
    inside = nib.Nifti1Image(mask.volume.astype(np.uint8), mask.affine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn says that it takes the mask it was given
        model = FirstLevelModel(t_r=REPETITION_TIME, hrf_model="spm", high_pass=HIGH_PASS, mask_img=inside)
        model.fit(image, events)
    columns = list(model.design_matrices_[0].columns)
    each = np.stack([np.eye(len(columns))[columns.index(name)] for name in sorted(set(events["trial_type"]))])
    differences = model.compute_contrast(each[1:] - each[:1], stat_type="F", output_type="z_score")
    stimuli = model.compute_contrast(each.mean(axis=0), stat_type="t", output_type="z_score")
    return {"categories (F)": differences.get_fdata(), "all stimuli (|z|)": np.abs(stimuli.get_fdata())}


def map_rows(name: str, values: np.ndarray, maps: dict[str, np.ndarray], mask: VoxelMask) -> list[dict[str, Any]]:
    edge = float(np.abs(np.linalg.det(mask.affine[:3, :3])) ** (1 / 3))
    return [
        {"map": name, "glm": glm, **asdict(found)}
        for glm, reference in maps.items()
        for found in agreements(values, reference, mask.volume, MIN_SHIFT_MM / edge)
    ]


def compare_maps(
    study: Localizer, mask: VoxelMask, held: HeldOutBlocks, anova: np.ndarray, boundary: int
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Maps against the GLM of the whole run, and of the repetition that a fold did not see."""
    whole = glm_maps(study, mask)
    n_rows = nib.load(study.image).shape[3]
    parts = [glm_maps(study, mask, slice(0, boundary)), glm_maps(study, mask, slice(boundary, n_rows))]
    simple = mask.unfold(anova)
    rows = map_rows("rate, mean of folds", held.rates.mean(axis=0), whole, mask)
    rows += map_rows("ANOVA, mean of folds", simple.mean(axis=0), whole, mask)
    for fold, part in enumerate(parts):
        label = f"against GLM of held-out repetition {fold + 1}"
        rows += map_rows(f"rate, {label}", held.rates[fold], part, mask)
        rows += map_rows(f"ANOVA, {label}", simple[fold], part, mask)
        # What another half of the data gives with the GLM itself: the reference for the two lines above.
        for glm, values in parts[1 - fold].items():
            rows += map_rows(f"GLM of the other repetition, {label}", values, {glm: part[glm]}, mask)
    return rows, whole


def without(held_blocks: Sequence[Block], evidence: np.ndarray, categories: Sequence[str], left_out: str) -> Any:
    """Blocks and evidence without a category."""
    rows = [i for i, block in enumerate(held_blocks) if block.category != left_out]
    return evidence[rows], [held_blocks[i] for i in rows], categories


def print_scores(scores: dict[str, list[BlockScore]]) -> None:
    print("| system | metric | value | 95% interval | null mean ± sd | p | chance | blocks |")
    print("|---|---|---|---|---|---|---|---|")
    for system, found in scores.items():
        for s in found:
            null = f"{s.null.mean:.3f} ± {s.null.sd:.3f} | {s.null.p:.2g}"
            interval = f"[{s.ci_low:.2f}, {s.ci_high:.2f}]"
            print(f"| {system} | {s.metric} | {s.value:.3f} | {interval} | {null} | {s.chance:.3f} | {s.n_blocks} |")


def print_maps(rows: Sequence[dict[str, Any]]) -> None:
    print("\n| map | GLM map | measure | value | null mean ± sd (translations) | p | chance |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        null = row["null"]
        shown = f"{null['mean']:.3f} ± {null['sd']:.3f} | {null['p']:.2g}"
        print(
            f"| {row['map']} | {row['glm']} | {row['measure']} | {row['value']:.3f} | {shown} | {row['chance']:.2f} |"
        )


def picture(rate: np.ndarray, glm: np.ndarray, mask: VoxelMask, path: Path) -> None:
    """Glass brains of both maps, above each other, each from the value that 90% of the voxels stay below."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    figure = Figure(figsize=(5.5, 4.2))
    titles = ("Rate of the voxel gates, nats per row", "nilearn GLM, F over the categories, z")
    for i, (title, values) in enumerate(zip(titles, (rate, glm), strict=True)):
        shown = np.where(mask.volume & (values > np.quantile(values[mask.volume], 0.9)), values, 0.0)
        # One person's own space: moved over the template's middle, not warped to it.
        image = BrainMap(shown, np.asarray(mask.affine, dtype=float))
        axes = figure.add_axes((0, 0.5 * (1 - i), 1, 0.44))
        axes.imshow(imread(BytesIO(png(glass_brain(image.centred().image())).data)))
        axes.set_axis_off()
        axes.set_title(title, fontsize=9, loc="left", x=0.02)
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=200, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--resolution", choices=list(IMAGES), default="6mm")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("localizer.json"))
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = Localizer(options.root, options.resolution)
    run, windows, settings = study.run(SUBJECT, STORY), BlockWindows(), CategorySettings()
    mask, rows = run.responses.mask, patterns(run.responses[:])
    blocks = blocks_of(run.words, run.repetition_time)
    held = cross_validate(mask.unfold(rows), mask.volume, blocks, windows, settings, range(options.seeds))
    evidence = {"network": held.evidence}
    evidence |= {name: baseline_evidence(fit, rows, blocks, windows) for name, fit in BASELINES.items()}
    scores = {name: block_scores(values, blocks, held.categories, n_draws=N_DRAWS) for name, values in evidence.items()}
    # The two scramble blocks follow each other across the boundary of the folds: what remains without them?
    others = without(blocks, held.evidence, held.categories, "scramble")
    scores["network, without scramble"] = block_scores(*others, n_draws=N_DRAWS)
    print_scores(scores)
    corrected = {score.metric: min(1.0, N_SETTINGS * score.null.p) for score in scores["network"]}
    print(f"\nnetwork, p times the {N_SETTINGS} settings looked at:", corrected)
    boundary = min(block.start for block in blocks if block.repetition == 1)
    found, whole = compare_maps(study, mask, held, anova_maps(rows, blocks, windows), boundary)
    print_maps(found)
    record = {
        "resolution": options.resolution,
        "seeds": options.seeds,
        "windows": asdict(windows),
        "settings": asdict(settings),
        "blocks": [asdict(block) for block in blocks],
        "evidence": {name: values.tolist() for name, values in evidence.items()},
        "p_bonferroni": corrected,
        "scores": {name: [asdict(score) for score in found] for name, found in scores.items()},
        "maps": found,
    }
    write_text(options.out, json.dumps(record, indent=1) + "\n")
    if options.picture:
        picture(held.rates.mean(axis=0), whole["categories (F)"], mask, options.picture)


if __name__ == "__main__":
    main()

# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When is a geometry in the brain? Time-resolved RSA of MEG
#
# An RDM at every time point, held against model RDMs, with a test that is corrected over time. The recordings are
# simulated with mne, so that the truth is known: one geometry is planted at 120 ms, another at 280 ms, a third nowhere.
# What has to come out: the first two in clusters around their times, the third in none, and nothing before the
# stimulus.
#
# With files of your own, begin at "Reading": `read_epochs` takes any `-epo.fif`.

# %%
# %matplotlib inline
from pathlib import Path

import mne
import numpy as np
import pandas as pd
from plasticode.analysis.figures_time import time_curves
from plasticode.analysis.time_ceiling import ceiling_over_time
from plasticode.analysis.time_clusters import label_test, sign_flip_test
from plasticode.analysis.time_resolved import rdms_over_time, similarity_over_time
from plasticode.analysis.time_table import time_table
from plasticode.datasets.epochs import read_epochs
from rsatoolbox.rdm import RDMs

FOLDER = Path("epochs")
FOLDER.mkdir(exist_ok=True)
IDS = [f"image_{number:02d}" for number in range(12)]
RATE, N_TRIALS, N_SUBJECTS = 50.0, 8, 8  # Hz; of each image
EARLY, LATE, SPREAD = 0.12, 0.28, 0.03  # s
TIME = np.arange(-10, 25) / RATE

# %% [markdown]
# ## A head
#
# 64 magnetometers on a sphere around a spherical conductor, and dipoles inside it.

# %%
step = np.arange(64) + 0.5
height, turn = 1 - 0.9 * step / 64, np.pi * (1 + 5**0.5) * step
radial = np.stack([np.sqrt(1 - height**2) * np.cos(turn), np.sqrt(1 - height**2) * np.sin(turn), height], axis=1)
info = mne.create_info([f"MEG{number:03d}" for number in range(64)], RATE, "mag")
for sensor, normal in zip(info["chs"], radial, strict=True):
    first = np.cross(normal, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    sensor["loc"] = np.concatenate([0.12 * normal, first, np.cross(normal, first), normal])  # m
    sensor["coil_type"] = mne.io.constants.FIFF.FIFFV_COIL_POINT_MAGNETOMETER
info = mne.Info({**info, "dev_head_t": mne.Transform("meg", "head")})

with mne.use_log_level("ERROR"):
    sphere = mne.make_sphere_model((0, 0, 0), 0.09)
    sources = mne.setup_volume_source_space(sphere=sphere, pos=40.0)
    head = mne.make_forward_solution(info, None, sources, sphere, meg=True, eeg=False)
print(f"{head['nsource']} places with three dipoles each, {head['nchan']} sensors")

# %% [markdown]
# ## Three geometries, two of them planted
#
# Each is a set of 12 patterns in the space of the fields that dipoles can make. Their squared distances are the models.
# These three hardly correlate. Where models do (r .27 is enough for a false cluster of the early model at the late
# time), hold the others constant: `similarity_over_time(..., partial=others)`.


# %%
def patterns(seed):
    """Patterns (image sensor) in the eight strongest directions of the fields, in T."""
    axes = np.linalg.svd(head["sol"]["data"], full_matrices=False)[0][:, :8]
    return 4e-14 * np.random.default_rng(seed).normal(size=(len(IDS), 8)) @ axes.T


def distances(values):
    """Squared distances of all pairs of patterns."""
    i, j = np.triu_indices(len(values), 1)
    return ((values[i] - values[j]) ** 2).sum(axis=1) * 1e26


planted = {"early": patterns(4), "late": patterns(21), "nowhere": patterns(32)}
models = RDMs(
    np.stack([distances(one) for one in planted.values()]),
    pattern_descriptors={"stimulus": IDS},
    rdm_descriptors={"name": list(planted)},
)
course = {"early": EARLY, "late": LATE}
course = {name: np.exp(-0.5 * ((TIME - peak) / SPREAD) ** 2) * (TIME > 0) for name, peak in course.items()}
print(pd.DataFrame(np.corrcoef(models.dissimilarities), list(planted), list(planted)).round(2).to_string())

assert np.abs(np.corrcoef(models.dissimilarities) - np.eye(3)).max() < 0.02


# %%
def record(subject):
    """Simulate one person with mne: dipoles, their fields, sensor noise, epochs in random order; writes the file."""
    random, vertices = np.random.default_rng(subject), [one["vertno"] for one in head["src"]]
    own = 1 + 0.2 * random.normal(size=(2, len(IDS), 1, 1))  # people differ
    fields = sum(
        strength * planted[name][:, :, None] * course[name]
        for strength, name in zip(own, ("early", "late"), strict=True)
    )
    codes = random.permutation(np.repeat(np.arange(len(IDS)), N_TRIALS))
    dipoles = np.linalg.pinv(head["sol"]["data"]) @ np.hstack(fields[codes])
    with mne.use_log_level("ERROR"):
        noise = mne.make_ad_hoc_cov(info, {"mag": 2e-14})
        active = mne.VolVectorSourceEstimate(dipoles.reshape(-1, 3, dipoles.shape[1]), vertices, 0, 1 / RATE)
        clean = mne.simulation.simulate_evoked(head, active, info, noise, nave=np.inf)
        raw = mne.io.RawArray(clean.data, info)
        mne.simulation.add_noise(raw, noise, iir_filter=None, rng=subject)
        onsets = len(TIME) * np.arange(len(codes)) + np.argmin(np.abs(TIME))
        events = np.column_stack([onsets, np.zeros(len(codes), int), codes + 1])
        names = {name: place + 1 for place, name in enumerate(IDS)}
        epochs = mne.Epochs(raw, events, names, TIME[0], TIME[-1], baseline=(None, 0), preload=True)
        epochs.save(FOLDER / f"sub-{subject:02d}-epo.fif", overwrite=True)
    return FOLDER / f"sub-{subject:02d}-epo.fif"


files = [record(subject) for subject in range(1, N_SUBJECTS + 1)]

# %% [markdown]
# ## Reading, and an RDM at every time
#
# Sensors are whitened with the noise covariance before the stimulus. The distance is crossnobis over four folds: it is
# 0 on average where there is nothing, so that the height of a curve means something.

# %%
subjects = [rdms_over_time(read_epochs(path, folds=4, subject=path.name[:6])) for path in files]
curves = similarity_over_time(models, subjects, "pearson")
before = np.mean([one.dissimilarities[TIME < 0] for one in subjects])
peak = np.mean([one.dissimilarities[np.argmin(np.abs(TIME - EARLY))] for one in subjects])
print(f"mean crossnobis distance: {before:.4f} before the stimulus, {peak:.2f} at {EARLY} s")

assert np.allclose(curves.time, TIME)
assert abs(before) < 0.02 * peak

# %% [markdown]
# ## Which stretches of time are above chance?
#
# Signs of whole curves are flipped, all 2^8 ways; the mass of a cluster is held against the largest of every flip
# (Maris & Oostenveld 2007). That corrects over time. Three models are three tests, so a p is called significant here
# below .05 / 3. A cluster's p belongs to the whole of it: its edges say roughly, not exactly, when.

# %%
tests = {name: sign_flip_test(curves.of(name), curves.time) for name in curves.models}
for name, test in tests.items():
    for one in test.clusters:
        least = 1 / test.permutations
        print(f"{name:8} {one.start:+.2f} to {one.stop:+.2f} s, p {one.p:.3f} (smallest possible {least:.3f})")

LEVEL = 0.05 / len(tests)
significant = {name: [one for one in test.clusters if one.p < LEVEL] for name, test in tests.items()}
for name, when in (("early", EARLY), ("late", LATE)):
    (cluster,) = significant[name]
    assert cluster.start <= when <= cluster.stop
    assert cluster.start > 0  # nothing before the stimulus
    assert abs(curves.time[curves.of(name).mean(axis=0).argmax()] - when) <= 0.021
assert significant["nowhere"] == []

# %% [markdown]
# ## Beside the ceiling
#
# Where people do not agree, no model can do better. The band is the noise ceiling at each time. Before the stimulus its
# lower bound is around 0 (the upper one is not: with eight people the mean holds an eighth of each); at the two peaks
# the right model reaches it. No model reaches 1, because these people were made to differ.

# %%
ceiling = ceiling_over_time(subjects, "pearson")
table = time_table(curves, tests, ceiling)
shown = table[table["time"].isin([TIME[4], TIME[16], TIME[24]])]
print(shown[["time", "model", "value", "error", "p", "ceiling_low", "ceiling_high"]].round(3).to_string(index=False))
figure = time_curves(table)
figure  # noqa: B018  # drawn below the cell

# %%
at = {name: np.argmin(np.abs(TIME - when)) for name, when in (("early", EARLY), ("late", LATE))}
for name, place in at.items():
    assert ceiling[0][place] - 0.03 < curves.of(name).mean(axis=0)[place] < ceiling[1][place] + 0.03
    assert ceiling[0][place] > 0.6
assert abs(ceiling[0][TIME < 0].mean()) < 0.1

# %% [markdown]
# ## One person alone
#
# Without a group there are no signs to flip: the model's conditions are permuted, at all times alike.

# %%
early = models.subset("name", "early")
alone = label_test(early, subjects[0], "pearson", permutations=500)
print(f"{files[0].name}: p {alone.p[at['early']]:.3f} at {EARLY} s; before 0 s at least {alone.p[TIME < 0].min():.2f}")

assert alone.p[at["early"]] < 0.05
assert alone.p[TIME < 0].min() > 0.05

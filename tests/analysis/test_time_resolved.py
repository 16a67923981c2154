"""Oracles: rsatoolbox's RDM movie, mne's cluster test, scipy, uniform p under the null, and a planted geometry.

The geometry is planted in sources of a spherical head, whose fields and noise mne simulates and writes to a file.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import mne
import numpy as np
import pytest
from plasticode.analysis.joined import join
from plasticode.analysis.noise_ceiling import noise_ceiling
from plasticode.analysis.time_ceiling import ceiling_over_time
from plasticode.analysis.time_clusters import label_test, sign_flip_test
from plasticode.analysis.time_resolved import rdms_over_time, similarity_over_time
from plasticode.analysis.time_table import time_table
from plasticode.datasets.epochs import at_times, read_epochs
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rsatoolbox.data import TemporalDataset
from rsatoolbox.rdm import RDMs, calc_rdm, calc_rdm_movie
from scipy import stats

IDS = [f"image_{number}" for number in range(7)]
N_TRIALS, RATE, PEAK, SPREAD = 12, 50.0, 0.2, 0.03  # trials of each, Hz, s, s
TIME = np.arange(-10, 25) / RATE
COURSE = np.where(TIME > 0, np.exp(-0.5 * ((TIME - PEAK) / SPREAD) ** 2), 0)


def noise_only(seed: int = 0, n_times: int = 6, runs: tuple[int, ...] = (3, 2, 4)) -> TemporalDataset:
    """Trials in random order, not equally many in each fold."""
    random = np.random.default_rng(seed)
    trials = random.permutation([(name, run) for run, many in enumerate(runs) for name in IDS for _ in range(many)])
    values = random.normal(size=(len(trials), 11, n_times)) + 3
    observed = {"stimulus": trials[:, 0].tolist(), "run": trials[:, 1].tolist()}
    return TemporalDataset(values, {"subject": "1", "name": "one"}, observed, None, {"time": np.arange(n_times) / 100})


def model(square: np.ndarray, name: str = "model") -> RDMs:
    return RDMs(square[None], pattern_descriptors={"stimulus": IDS}, rdm_descriptors={"name": [name]})


def squared_distances(patterns: np.ndarray) -> np.ndarray:
    return ((patterns[:, None] - patterns[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize("method", ["euclidean", "correlation"])
def test_rdms_over_time_are_rsatoolboxs_movie(method: str) -> None:
    data = noise_only()
    theirs = calc_rdm_movie(data, method, "stimulus")
    ours = rdms_over_time(data, method)
    order = [ours.pattern_descriptors["stimulus"].index(name) for name in theirs.pattern_descriptors["stimulus"]]
    ours.reorder(order)
    np.testing.assert_allclose(ours.dissimilarities, theirs.dissimilarities, rtol=1e-9, atol=1e-12)
    assert ours.dissimilarity_measure == calc_rdm(at_times(data)[0], method, "stimulus").dissimilarity_measure
    assert ours.rdm_descriptors["time"] == [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]
    assert ours.rdm_descriptors["name"][2] == "one, 0.02 s"
    assert ours.rdm_descriptors["subject"] == ["1"] * 6


def test_crossnobis_of_unequal_folds_is_rsatoolboxs_at_every_time_whatever_the_chunk() -> None:
    data, random = noise_only(), np.random.default_rng(1)
    half = random.normal(size=(11, 11))
    noise = half @ half.T + np.eye(11)
    ours = rdms_over_time(data, noise=noise)
    ours.reorder([ours.pattern_descriptors["stimulus"].index(name) for name in IDS])
    for place, one in enumerate(at_times(data)):
        theirs = calc_rdm(one, "crossnobis", "stimulus", noise=noise, cv_descriptor="run")
        assert theirs.pattern_descriptors["stimulus"] == IDS
        np.testing.assert_allclose(ours.dissimilarities[place], theirs.dissimilarities[0], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(
        rdms_over_time(data, noise=noise, chunk=1).dissimilarities,
        rdms_over_time(data, noise=noise).dissimilarities,
        rtol=1e-12,
    )


def test_trials_in_another_order_give_the_same_similarities() -> None:
    data, models = noise_only(), model(squared_distances(np.random.default_rng(2).normal(size=(7, 3))))
    order = np.random.default_rng(3).permutation(data.n_obs)
    observed = {name: [values[place] for place in order] for name, values in data.obs_descriptors.items()}
    shuffled = TemporalDataset(data.measurements[order], data.descriptors, observed, None, data.time_descriptors)
    first, second = (similarity_over_time(models, [rdms_over_time(one)]) for one in (data, shuffled))
    np.testing.assert_allclose(first.similarity, second.similarity, atol=1e-12)


@pytest.fixture(scope="module")
def head() -> mne.Forward:
    """Fields of dipoles in a sphere at 32 electrodes."""
    montage = mne.channels.make_standard_montage("biosemi32")
    info = mne.create_info(montage.ch_names, RATE, "eeg")
    info.set_montage(montage)
    with mne.use_log_level("ERROR"):
        sphere = mne.make_sphere_model("auto", "auto", info)
        sources = mne.setup_volume_source_space(sphere=sphere, pos=50.0)
        return mne.make_forward_solution(info, None, sources, sphere, meg=False, eeg=True)


def simulated(head: mne.Forward, path: Path, seed: int, strength: float = 1.0) -> tuple[Path, np.ndarray]:
    """A file of epochs, and the planted squared distances of the fields at their peak, in units of noise."""
    random = np.random.default_rng(seed)
    fields = head["sol"]["data"]
    axes = np.linalg.svd(fields, full_matrices=False)[0][:, :8]
    patterns = strength * 2e-6 * np.random.default_rng(99).normal(size=(len(IDS), 8)) @ axes.T  # V
    info = mne.create_info(head["info"]["ch_names"], RATE, "eeg")
    info.set_montage(mne.channels.make_standard_montage("biosemi32"))
    dipoles = (patterns @ np.linalg.pinv(fields).T).reshape(len(IDS), -1, 3, 1) * COURSE
    vertices = [one["vertno"] for one in head["src"]]
    with mne.use_log_level("ERROR"):
        noise = mne.make_ad_hoc_cov(info, {"eeg": 1e-6})
        sources = [mne.VolVectorSourceEstimate(one, vertices, TIME[0], 1 / RATE) for one in dipoles]
        evoked = [mne.simulation.simulate_evoked(head, one, info, noise, nave=np.inf) for one in sources]
        codes = random.permutation(np.repeat(np.arange(len(IDS)), N_TRIALS))
        raw = mne.io.RawArray(np.hstack([evoked[code].data for code in codes]), info)
        raw.set_eeg_reference(projection=True)
        mne.simulation.add_noise(raw, noise, iir_filter=None, rng=seed)
        onsets = TIME.size * np.arange(codes.size) + np.argmin(np.abs(TIME))
        events = np.column_stack([onsets, np.zeros(codes.size, int), codes + 1])
        names = {name: place + 1 for place, name in enumerate(IDS)}
        epochs = mne.Epochs(raw, events, names, TIME[0], TIME[-1], baseline=(None, 0), preload=True)
        epochs.save(path / f"sub-{seed:02d}-epo.fif")
    peak = np.stack([one.data[:, np.argmax(COURSE)] for one in evoked])
    return path / f"sub-{seed:02d}-epo.fif", squared_distances(peak) / 1e-6**2


def test_a_planted_geometry_appears_when_it_was_planted_and_not_before(head: mne.Forward, tmp_path: Path) -> None:
    written = [simulated(head, tmp_path, seed) for seed in range(1, 7)]
    truth = model(written[0][1], "true")
    data = [rdms_over_time(read_epochs(path, folds=3, subject=f"{place}")) for place, (path, _) in enumerate(written)]
    np.testing.assert_allclose(data[0].rdm_descriptors["time"], TIME)
    curves = similarity_over_time(truth, data, "pearson")
    found = sign_flip_test(curves.of("true"), curves.time)
    best = min(found.clusters, key=lambda one: one.p)
    assert best.p == 1 / 2**6
    assert best.start <= PEAK <= best.stop
    assert curves.time[curves.of("true").mean(axis=0).argmax()] == pytest.approx(PEAK, abs=0.021)
    assert curves.of("true").mean(axis=0).max() > 0.9
    assert found.p[curves.time <= 0.05].min() > 0.05
    one = label_test(truth, data[0], "pearson", permutations=500)
    assert one.p[np.argmin(np.abs(TIME - PEAK))] < 0.01
    assert one.p[TIME <= 0.05].min() > 0.05
    # The size, not only the order: mean squared distances by channel are recovered at the peak.
    size = np.mean([rdms.dissimilarities[np.argmin(np.abs(TIME - PEAK))] for rdms in data], axis=0)
    planted = truth.dissimilarities[0] / 32
    assert size.mean() == pytest.approx(planted.mean(), rel=0.15)


def test_without_a_planted_geometry_nothing_appears(head: mne.Forward, tmp_path: Path) -> None:
    written = [simulated(head, tmp_path, seed, strength=0.0)[0] for seed in range(3, 8)]
    truth = model(squared_distances(np.random.default_rng(0).normal(size=(7, 3))), "true")
    data = [rdms_over_time(read_epochs(path, folds=3, subject=path.stem)) for path in written]
    alarms = [label_test(truth, one, permutations=300).p.min() <= 0.05 for one in data]
    assert sum(alarms) <= 1  # of 5, at 5% each: two or more in 2.3% of cases
    curves = similarity_over_time(truth, data)
    assert sign_flip_test(curves.of("true"), curves.time).p.min() > 0.05


@pytest.mark.parametrize("two_sided", [False, True])
def test_clusters_and_p_of_all_sign_flips_are_mnes(two_sided: bool) -> None:
    random = np.random.default_rng(4)
    curves = random.normal(size=(8, 40))
    curves[:, 10:18] += 0.9
    curves[:, 30:34] -= 1.2
    ours = sign_flip_test(curves, np.arange(40.0), two_sided=two_sided)
    assert (ours.exact, ours.permutations) == (True, 256)
    t, clusters, p, _ = mne.stats.permutation_cluster_1samp_test(
        curves,
        threshold=ours.threshold,
        tail=0 if two_sided else 1,
        n_permutations=1000,  # more than there are: all of them
        adjacency=None,
        out_type="indices",
        verbose="ERROR",
    )
    np.testing.assert_allclose(ours.statistic, t, rtol=1e-9)
    theirs = sorted((int(one[0][0]), int(one[0][-1]), float(share)) for one, share in zip(clusters, p, strict=True))
    assert [(int(one.start), int(one.stop)) for one in ours.clusters] == [one[:2] for one in theirs]
    # One-sided, mne has the true order twice among its permutations and leaves out the flip of all signs.
    quirk = 0 if two_sided else 1 / 256
    np.testing.assert_allclose([one.p for one in ours.clusters], [one[2] for one in theirs], atol=quirk + 1e-12)
    np.testing.assert_allclose(
        ours.clusters[0].mass, t[int(ours.clusters[0].start) : int(ours.clusters[0].stop) + 1].sum()
    )
    assert {one.mass < 0 for one in ours.clusters} == ({False, True} if two_sided else {False})


def test_random_flips_tend_to_all_flips() -> None:
    curves = np.random.default_rng(5).normal(0.3, 1, size=(12, 30))
    every = sign_flip_test(curves, np.arange(30.0), permutations=4096)
    some = sign_flip_test(curves, np.arange(30.0), permutations=4000)
    assert (every.exact, some.exact) == (True, False)
    np.testing.assert_allclose(some.p, every.p, atol=0.03)


def test_one_time_point_is_a_plain_permutation_of_t() -> None:
    curves = np.random.default_rng(6).normal(0.5, 1, size=(7, 1))
    ours = sign_flip_test(curves, np.zeros(1), threshold=0.0)
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    t = np.array([stats.ttest_1samp(curves[:, 0] * one, 0).statistic for one in signs])
    assert ours.p[0] == pytest.approx((t >= t[0] - 1e-12).mean())


def test_false_alarms_are_no_more_than_one_in_twenty() -> None:
    random = np.random.default_rng(7)
    curves = random.normal(size=(200, 8, 20))
    curves = (curves[..., 1:] + curves[..., :-1]) / 2  # neighbours are alike
    alarms = [sign_flip_test(one, np.arange(19.0)).p.min() <= 0.05 for one in curves]
    assert sum(alarms) <= stats.binom.isf(0.001, 200, 0.05)


def test_permuted_labels_raise_false_alarms_in_one_of_twenty() -> None:
    random = np.random.default_rng(8)
    alarms = []
    for _ in range(100):
        distances = random.random((10, 21)).cumsum(axis=0)
        data = RDMs(
            distances, pattern_descriptors={"stimulus": IDS}, rdm_descriptors={"time": np.arange(10.0).tolist()}
        )
        truth = model(squared_distances(random.normal(size=(7, 2))))
        alarms.append(label_test(truth, data, permutations=200).p.min() <= 0.05)
    assert sum(alarms) <= stats.binom.isf(0.001, 100, 0.05)


def over_subjects() -> list[RDMs]:
    """Noise of five subjects."""
    data = [rdms_over_time(noise_only(seed)) for seed in range(5)]
    for place, one in enumerate(data):
        one.rdm_descriptors["subject"] = [f"s{place}"] * 6
    return data


def test_the_table_has_means_standard_errors_p_and_the_ceiling() -> None:
    two = RDMs(
        np.random.default_rng(9).random((2, 21)),
        pattern_descriptors={"stimulus": IDS},
        rdm_descriptors={"name": ["a", "b"]},
    )
    curves = similarity_over_time(two, over_subjects())
    assert (curves.models, curves.subjects) == (("a", "b"), ("s0", "s1", "s2", "s3", "s4"))
    test = sign_flip_test(curves.of("b"), curves.time)
    low, high = ceiling_over_time(over_subjects())
    table = time_table(curves, {"b": test}, (low, high))
    rows = table[table["model"] == "b"]
    np.testing.assert_allclose(rows["value"], curves.of("b").mean(axis=0))
    np.testing.assert_allclose(rows["error"], stats.sem(curves.of("b"), axis=0))
    np.testing.assert_allclose(rows["p"], test.p)
    np.testing.assert_allclose(rows["ceiling_high"], high)
    assert table[table["model"] == "a"]["p"].isna().all()
    assert set(table["n_subjects"]) == {5}
    assert set(table["n_conditions"]) == {7}


def test_the_ceiling_at_a_time_is_that_of_its_rdms() -> None:
    data = over_subjects()
    low, high = ceiling_over_time(data, "pearson")
    assert np.all(low <= high)
    at = RDMs(np.stack([one.dissimilarities[4] for one in join(*data)]), pattern_descriptors={"stimulus": IDS})
    alone = noise_ceiling(at, "pearson")
    np.testing.assert_allclose((low[4], high[4]), (alone.lower, alone.upper))
    assert np.isnan(ceiling_over_time(data[:1])).all()
    with pytest.raises(BrokenData, match="there are no subjects, or their times differ"):
        ceiling_over_time([data[0], rdms_over_time(noise_only(n_times=5))])


def test_few_subjects_are_told_that_no_p_can_be_small() -> None:
    with pytest.warns(UserWarning, match="with 4 subjects no p can be below 0.0625"):
        sign_flip_test(np.random.default_rng(0).normal(size=(4, 6)), np.arange(6.0))


def test_what_is_wrong_is_said() -> None:
    data, truth = noise_only(), model(squared_distances(np.eye(7)))
    with pytest.raises(WrongArgument, match=r"no method 'poisson' over time.*crossnobis, euclidean, correlation"):
        rdms_over_time(data, "poisson")
    with pytest.raises(WrongArgument, match="noise does not apply to correlation"):
        rdms_over_time(data, "correlation", noise=np.eye(11))
    with pytest.raises(BrokenData, match=r"the trials have no run.*folds=4"):
        rdms_over_time(without_run(data))
    broken = noise_only()
    broken.measurements[5, 3, 2] = np.nan
    with pytest.raises(BrokenData, match="channel 3 of observation 5 is not finite"):
        rdms_over_time(broken)
    with pytest.raises(BrokenData, match="values are of type complex128"):
        rdms_over_time(TemporalDataset(data.measurements + 1j, {}, data.obs_descriptors))
    with pytest.raises(BrokenData, match="fold 1 has no 'image_2'"):
        rdms_over_time(lacking(data))
    with pytest.raises(BrokenData, match="there is one"):
        rdms_over_time(data.subset_obs("run", "0"))
    with pytest.raises(BrokenData, match="there are 3 conditions"):
        rdms_over_time(data.subset_obs("stimulus", IDS[:3]))
    flat = TemporalDataset(np.ones_like(data.measurements), {}, data.obs_descriptors)
    with pytest.raises(BrokenData, match="pattern is constant over the channels"):
        rdms_over_time(flat, "correlation")
    each = rdms_over_time(data)
    with pytest.raises(BrokenData, match="there are no subjects"):
        similarity_over_time(truth, [])
    with pytest.raises(BrokenData, match="subjects share a name: 1, 1"):
        similarity_over_time(truth, [each, each])
    with pytest.raises(BrokenData, match="has other times than the first"):
        similarity_over_time(truth, [each, rdms_over_time(noise_only(n_times=5))])
    with pytest.raises(BrokenData, match="the RDMs have no time"):
        similarity_over_time(truth, [truth])
    with pytest.raises(MissingData, match="image_6"):
        similarity_over_time(truth, [each.subset_pattern("stimulus", IDS[:6])])
    with pytest.raises(WrongArgument, match=r"no model 'b'.*model"):
        similarity_over_time(model(squared_distances(np.diag(range(7)))), [each]).of("b")
    with pytest.raises(BrokenData, match=r"there is one subject.*label_test"):
        sign_flip_test(np.zeros((1, 4)), np.zeros(4))
    with pytest.raises(BrokenData, match="4 values for 3 times"):
        sign_flip_test(np.zeros((9, 4)), np.zeros(3))
    with pytest.raises(BrokenData, match="a similarity is not finite"):
        sign_flip_test(np.full((9, 4), np.nan), np.zeros(4))
    with pytest.raises(WrongArgument, match="there are 6 models"):
        label_test(each, each)


def without_run(data: TemporalDataset) -> TemporalDataset:
    return TemporalDataset(data.measurements, {}, {"stimulus": data.obs_descriptors["stimulus"]})


def lacking(data: TemporalDataset) -> TemporalDataset:
    """Without image_2 in fold 1."""
    pairs = zip(data.obs_descriptors["stimulus"], data.obs_descriptors["run"], strict=True)
    keep = [place for place, pair in enumerate(pairs) if pair != ("image_2", "1")]
    observed = {name: [values[place] for place in keep] for name, values in data.obs_descriptors.items()}
    return TemporalDataset(data.measurements[keep], {}, observed)

"""Oracles: planted geometry, `infer` for each model alone, brute force, figures known of the real data; refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plasticode.analysis.comparison import compare
from plasticode.analysis.inference import infer
from plasticode.analysis.rsa import Rsa, rsa
from plasticode.analysis.rsa_brain import brain_regions, group_mean
from plasticode.analysis.rsa_config import RsaConfig, made, read_config
from plasticode.analysis.rsa_contrasts import estimates, evidence
from plasticode.analysis.rsa_groups import chosen_layers
from plasticode.analysis.rsa_models import model_rdms
from plasticode.analysis.rsa_sources import compared
from plasticode.cli import main
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.kriegeskorte2008 import FILE, N_STIMULI
from plasticode.page_figure import STYLE
from torch import nn

EDGES = "plasticode.analysis.edge_energy.EdgeEnergy"
NO_SOURCE = "plasticode.analysis.hooks.Record"


@pytest.fixture
def config(tmp_path: Path) -> RsaConfig:
    """Small, without what most tests do not need."""
    cache = str(tmp_path / "cache")
    return RsaConfig("planted", samples=40, permutations=40, baselines=False, untrained=False, cache=cache)


def chosen(found: Rsa, region: str = "A", own: bool = True) -> pd.DataFrame:
    """Rules in their chosen layers, by label."""
    rules = found.rules
    here = (rules["region"] == region) & (rules["own_resolution"] == own) & (rules["measure"] == "spearman")
    return rules[here & rules["is_choice"] & (rules["subject"] == "all")].drop_duplicates("label").set_index("label")


def pair(found: Rsa, a: str, kind: str, region: str = "A", layer: str = "chosen") -> pd.Series:
    pairs = found.comparisons
    here = (pairs["a"] == a) & (pairs["kind"] == kind) & (pairs["region"] == region) & (pairs["layer"] == layer)
    return pairs[here & pairs["own_resolution"] & (pairs["measure"] == "spearman")].iloc[0]


def test_the_rule_with_the_planted_geometry_wins_and_reaches_the_ceiling(analysed: Rsa) -> None:
    rows = chosen(analysed)
    assert rows["value"].idxmax() == "true"
    true = rows.loc["true"]
    assert true["p_fdr"] < 0.05
    assert true["low"] > 0
    assert true["value"] >= true["ceiling_low"]
    assert true["chosen_layers"] == "layer2 (6)"
    for other in ("noise", "single", "untrained", "pixels", "halves"):
        assert rows.loc[other, "p_fdr"] > 0.05
        assert rows.loc[other, "high"] < rows.loc[other, "ceiling_low"]


def test_where_nothing_is_planted_nothing_is_found(analysed: Rsa) -> None:
    assert (chosen(analysed, "B")["p_fdr"] > 0.05).all()


def test_the_true_rule_beats_its_untrained_twin_pixels_and_other_rules(analysed: Rsa) -> None:
    for kind in ("untrained twin", "pixels"):
        row = pair(analysed, "true", kind)
        assert row["low"] > 0
        assert row["p_fdr"] < 0.05
        assert pair(analysed, "noise", kind)["p_fdr"] > 0.05
    assert pair(analysed, "true", "other rule")["difference"] > 0
    assert pair(analysed, "true", "untrained twin", layer="layer1")["low"] < 0
    rows = chosen(analysed)
    difference = rows.loc["true", "value"] - rows.loc["noise", "value"]
    assert pair(analysed, "true", "other rule")["difference"] == pytest.approx(difference)


@pytest.mark.filterwarnings("ignore:the split-half reliability")
def test_every_model_row_is_what_infer_gives_for_all_models(config: RsaConfig, planted: SimpleNamespace) -> None:
    found = rsa(config, [planted.Network("true"), planted.Network("noise")], planted.Planted())
    stimuli = planted.Planted().stimuli()
    models = model_rdms(
        compared(config, [planted.Network("true"), planted.Network("noise")]), stimuli, stimuli.ids, config
    )
    for region in ("A", "B"):
        data = planted.Planted().rdms(region)
        expected = infer(models.rdms(), data, "spearman", samples=40, permutations=40, seed=0)
        rows = found.models[(found.models["region"] == region) & (found.models["subject"] == "all")].set_index("name")
        rows = rows.loc[list(expected.names)]
        for name in ("value", "low", "high", "p", "p_fdr", "p_max"):
            np.testing.assert_allclose(rows[name], getattr(expected, name), rtol=1e-9, err_msg=name)
        assert rows["ceiling_low"].iloc[0] == pytest.approx(expected.ceiling.lower)
        assert rows["ceiling_high"].iloc[0] == pytest.approx(expected.ceiling.upper)
        each = found.models[(found.models["region"] == region) & (found.models["subject"] != "all")]
        by_subject = each.pivot_table(index="name", columns="subject", values="value").loc[list(expected.names)]
        np.testing.assert_allclose(by_subject, expected.by_subject)


def test_the_p_of_a_difference_is_that_of_infer(config: RsaConfig, planted: SimpleNamespace) -> None:
    stimuli, data = planted.Planted().stimuli(), planted.Planted().rdms("A")
    models = model_rdms(
        compared(config, [planted.Network("true"), planted.Network("noise")]), stimuli, stimuli.ids, config
    )
    found = evidence(models.rdms(), {"A": data}, "spearman", samples=60, permutations=3, seed=1)["A"]
    contrast = np.zeros((1, *found.observed.shape))
    contrast[0, 1], contrast[0, 2] = 1 / 6, -1 / 6
    expected = infer(models.rdms(), data, "spearman", samples=60, permutations=3, seed=1)
    assert estimates(found, contrast).p[0] == pytest.approx(expected.pairwise_p[1, 2])


def test_similarity_with_the_mean_rdm_is_a_column_of_its_own_and_higher(
    analysed: Rsa, planted: SimpleNamespace
) -> None:
    rows = analysed.models[(analysed.models["subject"] == "all") & (analysed.models["measure"] == "spearman")]
    row = rows[(rows["region"] == "A") & (rows["source"] == "net true seed 0") & (rows["layer"] == "layer2")]
    row = row[row["own_resolution"]].iloc[0]
    stimuli = planted.Planted().stimuli()
    models = model_rdms(compared(analysed.config, [planted.Network("true")]), stimuli, stimuli.ids, analysed.config)
    mean = compare(models.rdms(), group_mean(planted.Planted().rdms("A")), "spearman")
    place = [one["name"] for one in models.rows].index(row["name"])
    assert row["group_mean_value"] == pytest.approx(mean[place, 0])
    assert row["group_mean_value"] > row["value"] + 0.1


def test_the_order_of_the_stimuli_changes_no_number(config: RsaConfig, planted: SimpleNamespace) -> None:
    order = np.random.default_rng(3).permutation(len(planted.ids)).tolist()
    told = [rsa(config, [planted.Network("true")], study) for study in (planted.Planted(), planted.Planted(order))]
    for name in ("models", "rules", "map"):
        a, b = (getattr(one, name).select_dtypes("number") for one in told)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_a_layer_is_chosen_without_the_subject_that_it_scores() -> None:
    values = np.random.default_rng(0).normal(size=(5, 7))
    brute = [np.delete(values, subject, axis=1).mean(axis=1).argmax() for subject in range(7)]
    assert chosen_layers(values).tolist() == brute
    values[:, 3] += np.random.default_rng(1).normal(size=5) * 100
    assert chosen_layers(values)[3] == brute[3]


def test_choosing_among_layers_of_noise_leaves_the_score_unbiased() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 6, 10))
    own = chosen_layers(values)
    scored = np.take_along_axis(values, own[:, None], axis=1).mean(axis=(1, 2))
    assert abs(scored.mean()) < 4 * scored.std() / np.sqrt(len(scored))
    assert values.mean(axis=2).max(axis=1).mean() > 0.3  # what choosing on the same data would claim


def test_one_subject_has_no_choice_of_layers_and_no_ceiling(analysed: Rsa) -> None:
    rows = analysed.rules[(analysed.rules["region"] == "C") & (analysed.rules["subject"] == "all")]
    assert rows["ceiling_low"].isna().all()
    assert set(rows[rows["is_choice"]]["label"]) == {"pixels", "mean colour", "edge energy", "Gabor energy", "halves"}
    layer = rows[(rows["label"] == "true") & (rows["layer"] == "layer2") & rows["own_resolution"]].iloc[0]
    assert layer["low"] > 0
    assert layer["p"] < 0.05


def test_seeds_are_averaged_and_their_spread_is_told(analysed: Rsa, planted: SimpleNamespace) -> None:
    rows = chosen(analysed)
    assert rows.loc[["true", "noise", "untrained"], "n_seeds"].tolist() == [planted.seeds] * 3
    assert np.isnan(rows.loc["single", "sd_seeds"])
    table = analysed.models
    here = (
        (table["rule"] == "noise")
        & (table["region"] == "A")
        & (table["measure"] == "spearman")
        & table["own_resolution"]
    )
    first = table[here & (table["subject"] == "all") & (table["layer"] == "layer1")]["value"]
    rules = analysed.rules
    row = rules[(rules["label"] == "noise") & (rules["layer"] == "layer1") & (rules["region"] == "A")]
    row = row[(row["subject"] == "all") & (row["measure"] == "spearman") & row["own_resolution"]].iloc[0]
    assert row["value"] == pytest.approx(first.mean())
    assert row["sd_seeds"] == pytest.approx(first.std(ddof=1))


def test_untrained_twins_of_one_seed_are_one_network(analysed: Rsa, planted: SimpleNamespace) -> None:
    untrained = analysed.models[analysed.models["rule"] == "untrained"]
    assert untrained["source"].nunique() == planted.seeds
    assert set(analysed.models[analysed.models["rule"] == "noise"]["twin"]) == set(untrained["source"])


def test_images_are_shown_at_each_resolution_once(config: RsaConfig, planted: SimpleNamespace) -> None:
    found = rsa(replace(config, resolutions=["own", 16, 9]), [planted.Network("true")], planted.Planted())
    assert sorted(set(found.models["resolution"])) == [9, 16]
    # At another resolution these networks see other images, of which they know nothing.
    (row,) = found.comparisons[
        (found.comparisons["kind"] == "other resolution") & (found.comparisons["region"] == "A")
    ].to_dict("records")
    assert (row["resolution"], row["resolution_b"]) == (16, 9)
    assert row["low"] > 0


def test_a_finished_extraction_is_used_again(config: RsaConfig, planted: SimpleNamespace) -> None:
    network = planted.Network("true")
    rsa(config, [network], planted.Planted())
    assert sum(network.seen) > len(planted.ids)
    network.seen.clear()
    rsa(config, [network], planted.Planted())
    assert network.seen == [1]  # the first stimulus, to be sure


def test_a_layer_without_geometry_is_left_out_and_named(config: RsaConfig, planted: SimpleNamespace) -> None:
    found = rsa(config, [planted.Network("true", dead=True)], planted.Planted())
    assert set(found.models["layer"]) == {"layer1", "layer2"}
    (said,) = found.facts["left_out"]
    assert said.startswith("net true seed 0, layer3: ")


def test_only_baselines_make_an_analysis(config: RsaConfig, planted: SimpleNamespace) -> None:
    found = rsa(replace(config, baselines=True), (), planted.Planted())
    assert set(found.rules["label"]) == {"pixels", "mean colour", "edge energy", "Gabor energy"}
    assert found.comparisons.empty


def test_features_are_averaged_where_conditions_are_groups(config: RsaConfig, planted: SimpleNamespace) -> None:
    stimuli = planted.Planted().stimuli()
    groups = [str(number) for number in range(12)]
    grouped = replace(config, average_by="pair", layers=["layer2"])
    models = model_rdms(compared(grouped, [planted.Network("true")]), stimuli, groups, grouped)
    means = planted.drawn(planted.images, planted.truth).reshape(12, 2, -1).mean(axis=1)
    np.testing.assert_allclose(models.patterns[0].measurements, means, rtol=1e-6)


def test_arrays_stand_for_networks(config: RsaConfig, planted: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    order = np.random.default_rng(0).permutation(len(planted.ids))
    values = planted.drawn(planted.images, planted.truth)[order]
    np.savez(path, stimulus=np.array(planted.ids)[order], deep=values, rule=np.array("mine"), seed=np.array(4))
    found = rsa(replace(config, arrays=[str(path)]), (), planted.Planted())
    (row,) = found.rules[
        found.rules["is_choice"] & (found.rules["subject"] == "all") & (found.rules["region"] == "A")
    ].to_dict("records")
    assert row["label"] == "mine"
    assert row["value"] >= row["ceiling_low"]


def test_a_module_or_a_class_by_name_is_a_source(config: RsaConfig, planted: SimpleNamespace) -> None:
    named = replace(config, sources=[{"class_path": EDGES, "init_args": {"size": 16}}])
    found = rsa(named, [nn.Sequential(nn.Flatten(), nn.Linear(768, 5))], planted.Planted())
    assert set(found.rules["label"]) == {"edge energy", "Sequential"}


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an absent run": ({"runs": ["/nowhere"]}, MissingData, "there is no such run"),
    "nothing": ({}, WrongArgument, "there is nothing to compare"),
    "an unknown layer": ({"layers": ["layer9"], "network": True}, MissingData, "no layer layer9"),
    "an unknown descriptor": ({"categories": {"x": "y"}, "network": True}, MissingData, "stimuli have no 'y'"),
    "absent arrays": ({"arrays": ["/nowhere.npz"]}, MissingData, "there are no such arrays"),
    "a class of another package": ({"sources": [{"class_path": "os.path.Foo"}]}, WrongArgument, "may not be imported"),
    "a class that is not there": ({"sources": [{"class_path": f"{EDGES}y"}]}, WrongArgument, "there is no class"),
    "wrong arguments": ({"sources": [{"class_path": EDGES, "init_args": {"wide": 1}}]}, WrongArgument, "'wide'"),
    "a class's own refusal": (
        {"sources": [{"class_path": EDGES, "init_args": {"size": 2}}]},
        WrongArgument,
        "8 pixels",
    ),
    "no source of features": (
        {"sources": [{"class_path": NO_SOURCE}]},
        WrongArgument,
        "no features",
    ),
    "the same network twice": ({"network": 2}, WrongArgument, "two sources of the name net true seed 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_refused(name: str, config: RsaConfig, planted: SimpleNamespace) -> None:
    given, error, words = REFUSED[name]
    networks = [planted.Network("true") for _ in range(given.get("network", 0))]
    settings = {key: value for key, value in given.items() if key != "network"}
    with pytest.raises(error, match=words):
        rsa(replace(config, **settings), networks, planted.Planted())


def test_conditions_that_were_not_stimuli_are_named(config: RsaConfig, planted: SimpleNamespace) -> None:
    stimuli = planted.Planted().stimuli()
    with pytest.raises(MissingData, match="1 conditions of the brain have no stimulus: image_99"):
        model_rdms(compared(config, [planted.Network("true")]), stimuli, [*planted.ids, "image_99"], config)


def test_arrays_without_ids_or_rows_are_refused(config: RsaConfig, planted: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    for held, error, words in (
        ({"deep": np.zeros((3, 2))}, BrokenData, "no array `stimulus`"),
        ({"deep": np.zeros((3, 2)), "stimulus": np.array(planted.ids)}, BrokenData, "deep has 3 rows for 24 ids"),
        ({"deep": np.zeros((2, 2)), "stimulus": np.array(planted.ids[:2])}, MissingData, "no features of image_02"),
    ):
        np.savez(path, **held)
        with pytest.raises(error, match=words):
            rsa(replace(config, arrays=[str(path)]), (), planted.Planted())


def test_a_study_needs_a_name_a_folder_and_its_regions(config: RsaConfig, planted: SimpleNamespace) -> None:
    with pytest.raises(WrongArgument, match="the study has no folder"):
        rsa(replace(config, baselines=True))
    with pytest.raises(MissingData, match="no study of images named 'planted'"):
        rsa(replace(config, baselines=True, root="."))
    with pytest.raises(MissingData, match="no study of images named 'nobody'"):
        rsa(replace(config, baselines=True, root=".", study="nobody"))


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong, words in (
        ({"measures": []}, "measures: "),
        ({"measures": ["spearman", "spearman"]}, "each once"),
        ({"measures": ["mean"]}, "there is no measure 'mean'"),
        ({"resolutions": []}, "resolutions: "),
        ({"permutations": 1}, "1 permutations"),
    ):
        with pytest.raises(WrongArgument, match=words):
            RsaConfig("x", **wrong)


def test_a_config_says_what_is_wrong_with_it_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for text, words in (
        ("studie: x", "studie"),
        ("study: x\npermutations: many", "permutations"),
        ("study: x\nresolutions: [full]", "resolutions"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(WrongArgument, match=words) as refusal:
            read_config(["--config", str(path)])
        assert "\n" not in str(refusal.value)
    path.write_bytes(b"study: \xff")
    with pytest.raises(WrongArgument):
        read_config(["--config", str(path)])


def test_later_settings_win_and_a_written_config_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    first = RsaConfig("x", sources=[{"class_path": EDGES, "init_args": {"size": 16}}], resolutions=["own", 9])
    path.write_text(first.text(), encoding="utf-8")
    assert read_config(["--config", str(path)]) == first
    assert read_config(["--config", str(path), "--seed", "4"]) == replace(first, seed=4)
    assert made(first.sources[0]).size == 16


def write_layout(folder: Path, truth: np.ndarray) -> None:
    """The published layout of kriegeskorte2008: an RDM with noise for everybody."""
    rng = np.random.default_rng(0)

    def people(n: int) -> np.ndarray:
        noise = rng.random((n, N_STIMULI, N_STIMULI))
        squares = truth + 0.3 * (noise + noise.transpose(0, 2, 1))
        squares[:, np.arange(N_STIMULI), np.arange(N_STIMULI)] = 0
        return squares

    names = [[f"hIT | {who} | Session: {session}" for session in (1, 2)] for who in ("BE", "KO", "SN", "TI")]
    flags = dict.fromkeys(("is_animal", "is_human", "is_face", "is_natural"), np.arange(N_STIMULI) < 48)
    np.savez(
        folder / FILE,
        images=rng.integers(0, 256, (N_STIMULI, 175, 175, 3), np.uint8),
        category=np.full(N_STIMULI, "thing"),
        rdm_hIT_subject_session=np.stack([people(2) for _ in range(4)]),
        rdm_hIT_names=np.array(names),
        rdm_mIT=people(1)[0],
        rdm_cichy_EVC=people(15),
        rdm_cichy_IT=people(15),
        rdm_behaviour=people(16),
        rdm_models=people(8),
        model_names=np.array([f"model {number}" for number in range(8)]),
        **flags,
    )


def test_the_command_leaves_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STYLE, "savefig.dpi", 40)
    x = np.random.default_rng(1).normal(size=(N_STIMULI, 30))
    write_layout(tmp_path, 1 - np.corrcoef(x))
    np.savez(tmp_path / "mine.npz", stimulus=[f"image_{n:02d}" for n in range(1, N_STIMULI + 1)], deep=x)
    out = tmp_path / "out"
    given = ["--root", str(tmp_path), "--study", "kriegeskorte2008", "--regions", "[EVC, human IT]", "--out", str(out)]
    more = [
        "--arrays",
        f"['{tmp_path / 'mine.npz'}']",
        "--baselines",
        "false",
        "--samples",
        "20",
        "--permutations",
        "40",
    ]
    assert main(["rsa", *given, *more]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(out / "report.html")
    table = pd.read_csv(out / "rules.tsv", sep="\t")
    rows = table[(table["subject"] == "all") & table["is_choice"]].set_index("region")
    assert (rows["p_fdr"] < 0.05).all()
    assert (rows.loc["EVC", ["n_subjects", "n_conditions"]] == [15, 92]).all()
    assert rows.loc["human IT", "n_subjects"] == 4


def test_the_command_refuses_a_folder_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    assert main(["rsa", "--study", "kriegeskorte2008", "--root", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "this is no folder of an RSA" in capsys.readouterr().err
    assert main(["rsa", "--study", "kriegeskorte2008", "--run", "/nowhere"]) == 2
    assert "there is no such run (/nowhere)" in capsys.readouterr().err


def test_the_known_figures_of_the_92_images_are_found(real_data: Path, tmp_path: Path) -> None:
    config = RsaConfig(
        "kriegeskorte2008",
        root=str(real_data / "rsa_92images"),
        regions=["EVC", "IT"],
        categories={"animacy": "animate"},
        samples=20,
        permutations=200,
        cache=str(tmp_path),
    )
    rules = rsa(config).rules
    rows = rules[rules["is_choice"] & (rules["subject"] == "all")].set_index(["label", "region"])
    edges, animacy = rows.loc[("edge energy", "EVC")], rows.loc[("animacy", "IT")]
    # Person by person, and with the mean RDM of the 15: two numbers, never one for the other.
    assert (edges["value"], edges["group_mean_value"]) == pytest.approx((0.16, 0.38), abs=0.005)
    assert (animacy["value"], animacy["group_mean_value"]) == pytest.approx((0.255, 0.467), abs=0.003)
    assert (edges["ceiling_low"], edges["ceiling_high"]) == pytest.approx((0.242, 0.392), abs=0.002)
    assert (animacy["ceiling_low"], animacy["ceiling_high"]) == pytest.approx((0.453, 0.542), abs=0.002)
    assert max(edges["p_fdr"], animacy["p_fdr"]) < 0.05


def test_regions_are_the_studys_own_by_default(planted: SimpleNamespace) -> None:
    assert list(brain_regions(planted.Planted(), None, "correlation")) == ["A", "B", "C"]

"""Oracles: the tables for every number on the page; the planted truth for its words; promises of files and page."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from plasticode.analysis.rsa import Rsa, rsa
from plasticode.analysis.rsa_config import read_config
from plasticode.analysis.rsa_folder import REPORT, write
from plasticode.analysis.rsa_pictures import Drawn, pictures
from plasticode.analysis.rsa_report import page
from plasticode.analysis.rsa_verdict import lead, verdict
from plasticode.page_figure import STYLE
from plasticode.page_text import number, probability

NUMBER = re.compile("\N{MINUS SIGN}?\\d+\\.\\d{3}")


@pytest.fixture(scope="module")
def folder(analysed: Rsa, figures: dict[str, Drawn], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "rsa"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plasticode.analysis.rsa_folder.pictures", lambda found: list(figures.values()))  # drawn once
        patch.setitem(STYLE, "savefig.dpi", 40)  # quicker; nothing here looks at pixels
        write(analysed, out)
    return out


def words(text: str) -> str:
    """What a reader sees of a page."""
    body = re.sub(r'src="[^"]*"|<style>.*?</style>', "", text, flags=re.DOTALL)
    return html.unescape(re.sub("<[^>]*>", " ", body))


def told(found: Rsa) -> set[str]:
    """Every number of the tables, as a page prints it."""
    tables = (found.rules, found.comparisons, found.map)
    values = np.concatenate([table.select_dtypes("number").to_numpy(float).ravel() for table in tables])
    return {number(value) for value in values} | {probability(value) for value in values}


def said(found: Rsa, region: str) -> str:
    return " ".join(dict(verdict(found))[region])


def test_every_number_on_the_page_is_in_the_tables(analysed: Rsa, folder: Path) -> None:
    text = words((folder / REPORT).read_text(encoding="utf-8").split("How this was made")[0])
    found = NUMBER.findall(text)
    assert len(found) > 200
    assert set(found) - told(analysed) == set()


def test_the_tables_on_disk_are_those_that_were_made(analysed: Rsa, folder: Path) -> None:
    for name, table in (("table", analysed.models), ("rules", analysed.rules), ("comparisons", analysed.comparisons)):
        read = pd.read_csv(folder / f"{name}.tsv", sep="\t")
        assert list(read.columns) == list(table.columns)
        np.testing.assert_allclose(
            read.select_dtypes("number"), table[read.select_dtypes("number").columns].astype(float)
        )
    schema = "network rule seed layer resolution region subject measure value low high p p_fdr p_max ceiling_low"
    schema += " ceiling_high n_conditions n_subjects baseline group_mean_value"
    assert set(schema.split()) <= set(analysed.models.columns)


def test_the_verdict_finds_what_was_planted(analysed: Rsa) -> None:
    a = said(analysed, "A")
    assert re.search(r"More similar than permuted stimuli allow \(p_fdr < .05\): true 0\.\d+", a)
    assert re.search(r"within it true;", a)
    assert re.search(r"Against its own untrained network: more similar \(p_fdr < .05\): true 0", a)
    assert "not distinguishable: " in a
    assert "No trained network is more similar to it than permuted stimuli allow" in said(analysed, "B")
    assert "With one subject no layer can be chosen" in said(analysed, "C")
    assert "3 rules (true, noise and single) and" in lead(analysed)


def test_what_cannot_be_concluded_is_said(analysed: Rsa) -> None:
    limits = said(analysed, "what cannot be concluded")
    assert "3 rules have 1 to 3 seeds, fewer than 5" in limits
    assert "C is one subject: its intervals are over stimuli only" in limits
    assert "“Not distinguishable” is not “equal”" in limits


def test_the_rules_that_differ_are_ordered(analysed: Rsa) -> None:
    pairs = analysed.comparisons.copy()
    between = pairs["kind"] == "other rule"
    told = replace(analysed, comparisons=pairs.assign(p_fdr=np.where(between, 0.01, pairs["p_fdr"])))
    assert "3 differ (p_fdr < .05): true over noise, true over single and " in said(told, "A")
    none = replace(analysed, comparisons=pairs.assign(p_fdr=1.0))
    assert "these data do not say which rule is nearest to the brain" in lead(none)


def test_many_rules_are_summed_up(analysed: Rsa) -> None:
    copies = [analysed.rules[analysed.rules["label"] == "noise"].assign(label=f"rule {number}") for number in range(8)]
    many = replace(analysed, rules=pd.concat([*copies, analysed.rules]))
    assert re.search(r"10 rules, from \S+", said(many, "B")) or "11 rules, from" in said(many, "B")


def test_captions_state_numbers_null_and_ceiling(figures: dict[str, Drawn]) -> None:
    captions = {name: one.caption for name, one in figures.items()}
    assert {"rules", "matrix", "layers_A", "resolution", "map", "rdms"} <= set(captions)
    for words_of in ("24 conditions; A 6 subjects", "150 permutations", "150 two-factor bootstraps", "noise ceiling"):
        assert words_of in captions["rules"]
    assert "leaving one subject out" in captions["matrix"]
    assert "stress-1 is" in captions["map"]


def test_only_baselines_make_a_report(analysed: Rsa, planted: SimpleNamespace) -> None:
    config = replace(analysed.config, measures=["spearman"], resolutions=["own"], samples=20, permutations=20)
    found = rsa(config, (), planted.Planted())
    assert {one.name for one in pictures(found)} == {"rules", "matrix", "map", "rdms"}
    text = words(page(found, [], {"command": "x"}))
    assert "No trained network and 5 baselines were held against" in text
    assert "There is no trained network to compare." in text


def test_the_page_asks_for_nothing_from_outside_and_runs_nothing(folder: Path) -> None:
    text = (folder / REPORT).read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert re.findall(r"(?:src|href)=\"(?!data:)", text) == []
    assert "<script" not in text


def test_names_cannot_become_markup(analysed: Rsa) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    found = replace(
        analysed, rules=analysed.rules.replace("noise", hostile), facts={**analysed.facts, "citation": hostile}
    )
    text = page(found, [], {"command": hostile})
    assert hostile not in text
    assert html.escape(hostile) in text


def test_the_folder_holds_all_that_it_promises(analysed: Rsa, folder: Path, figures: dict[str, Drawn]) -> None:
    names = "config.yaml versions.json table.tsv rules.tsv comparisons.tsv map.tsv rdms.npz results.json report.html"
    assert {path.name for path in folder.iterdir()} == {*names.split(), "figures"}
    expected = {f"{name}.{kind}" for name in figures for kind in ("png", "pdf")}
    assert {path.name for path in (folder / "figures").iterdir()} == expected
    assert read_config(["--config", str(folder / "config.yaml")]) == analysed.config
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["verdict"] == dict(verdict(analysed))
    assert results["rules"][0]["label"] == "true"


def test_an_interrupted_analysis_leaves_the_earlier_one(
    analysed: Rsa, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plasticode.analysis.rsa_folder.pictures", lambda found: [])
    monkeypatch.setattr("plasticode.analysis.rsa_folder.page", stop)
    with pytest.raises(KeyboardInterrupt):
        write(analysed, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

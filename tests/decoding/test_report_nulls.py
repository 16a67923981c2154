"""The report's part on the nulls: every number of nulls.json, and what a page without any says."""

import json
import re

import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.decoding.null_battery import ALONE_AS_NOISE, NOISE, OTHER, ZERO
from plasticode.decoding.report import write_report
from plasticode.decoding.results import ALONE, DECODER

QUADRANT = "seen subject, unseen story"
METRICS = ("latent_top1", "latent_rate_matched_top1", "text_top1", "cer")


def row(metric, value, subject="S1", **more):
    return {"study": "made", "subject": subject, "story": "all", "quadrant": QUADRANT, "metric": metric,
            "value": value, "ci_low": value - 0.05, "ci_high": value + 0.05, "null_mean": 0.1, "null_sd": 0.02,
            "z": 1.0, "p": 0.3, "n_windows": 60, "chance": 0.2, **more}  # fmt: skip


def compared(metric, first, second, difference, subject="S1"):
    bounds = {"ci_low": difference - 0.01, "ci_high": difference + 0.01, "p": 0.004, "n_windows": 60}
    names = {"subject": subject, "quadrant": QUADRANT, "metric": metric, "system_a": first, "system_b": second}
    return {**names, "difference": difference, **bounds}


def evaluated(folder):
    """The folder of an evaluated run of two people with four nulls."""
    who = ("S1", "S2")
    tables = {
        "results.json": [row(metric, 0.5, subject) for subject in who for metric in METRICS],
        "baselines.json": [row("cer", 0.7, subject, system=ALONE) for subject in who],
        "nulls.json": [
            row(metric, 0.123, subject, system=system, n_draws=20, draw_sd=0.01, decoder=0.5, p_draws=1 / 21)
            for subject in who
            for system in (NOISE, ALONE_AS_NOISE, ZERO, OTHER)
            for metric in METRICS
        ],
        "comparisons.json": [
            compared("latent_top1", DECODER, ZERO, 0.377),
            compared("latent_top1", DECODER, NOISE, 0.366),
            compared("cer", NOISE, ALONE_AS_NOISE, 0.002),
            compared("cer", NOISE, ALONE_AS_NOISE, -0.05, "S2"),
        ],
    }
    for name, content in tables.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture
def folder(tmp_path):
    return evaluated(tmp_path)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return write_report(evaluated(tmp_path_factory.mktemp("run"))).read_text(encoding="utf-8")


def cells(line):
    return [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]


def test_every_null_stands_with_its_interval_its_p_and_the_difference_to_the_decoder(html):
    table = html[html.index("All scores of the nulls (32 rows)") :]
    rows = {tuple(cells(line)[:4]): cells(line)[4:] for line in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
    assert rows["zero input", "S1", QUADRANT, "Latent, top-1"] == [
        "0.123", "0.073 to 0.173", "0.300", "0.500", "0.377", "0.367 to 0.387", "0.004", "0.048", "20",
    ]  # fmt: skip
    assert rows["zero input", "S2", QUADRANT, "Latent, top-1"][4:7] == ["", "", ""]


def test_a_panel_per_score_shows_the_decoder_beside_all_nulls(html):
    alts = [alt for alt in re.findall(r'alt="([^"]*)"', html) if "plasticode 0.500" in alt]
    assert len(alts) == len(METRICS) * 2
    assert "noise input 0.123" in alts[0]
    assert "language model alone 0.700" in next(alt for alt in alts if alt.startswith("Character error rate of S1"))


def test_noise_that_beats_the_language_model_alone_is_the_first_thing_said(html):
    verdict = html[html.index("In short") : html.index("<h2>Scores")]
    assert (
        "<strong>WARNING: fed noise, the decoder beats the language model alone in character error rate of S2"
        in verdict
    )
    assert "in 1 of 2 paired differences" in verdict
    assert f"Against {NOISE}, the latent, top-1 of {DECODER} was higher (better) for S1" in verdict
    assert f"Against {ZERO}" not in verdict
    assert "Paired differences" not in html[: html.index("The decoder beside its nulls")]
    assert "Noise input against the language model alone" in html


def test_without_nulls_the_page_says_how_to_have_them_and_warns_of_nothing(folder):
    (folder / "comparisons.json").unlink()
    (folder / "nulls.json").write_text("[]")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "nulls.json is empty" in html
    assert "--nulls all" in html
    assert "WARNING" not in html


def test_broken_nulls_are_named(folder):
    (folder / "nulls.json").write_text('[{"subject": "S1"}]')
    with pytest.raises(BrokenData, match=r"lacks or garbles.*nulls\.json"):
        write_report(folder)


def test_names_on_the_page_are_text(folder):
    attack = "<script>alert(1)</script>"
    rows = json.loads((folder / "nulls.json").read_text())
    (folder / "nulls.json").write_text(json.dumps([{**one, "subject": attack, "system": attack} for one in rows]))
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps([{**one, "subject": attack} for one in results]))
    assert "<script" not in write_report(folder).read_text(encoding="utf-8")

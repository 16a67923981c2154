"""The report of a fabricated run: what it must show, what it must refuse, and how a browser sees it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.decoding.report import write_report
from plasticode.decoding.report_figures import ranks, shown_story
from plasticode.decoding.report_input import read_run

METRICS = {
    "latent_top1": (0.26, 0.034, 0.034),
    "latent_top5": (0.61, 0.17, 0.17),
    "latent_percentile": (0.81, 0.5, 0.5),
    "text_top1": (0.12, 0.034, 0.034),
    "text_top5": (0.34, 0.17, 0.17),
    "text_percentile": (0.64, 0.5, 0.5),
    "cer": (0.742, 0.768, np.nan),
    "wer": (0.951, 0.962, np.nan),
    "bleu1": (0.241, 0.222, np.nan),
    "semantic": (0.31, 0.22, np.nan),
    "word_rate_r": (0.47, 0.01, np.nan),
}
SUBJECTS = {
    "S01": "seen subject, unseen story",
    "S02": "seen subject, unseen story",
    "S03": "unseen subject, unseen story",
}
STORIES = ("the lamp keeper", "two boats", "a letter from mara", "snow on the pass", "the last tram")
WORDS = """
the a and of to was in it he she they river lamp boat letter mountain said walked slowly nobody door kitchen
morning because window remembered father train ticket winter laughing yellow coat harbour while turned again
"""
N_WINDOWS = 29


def fabricated_run(folder: Path) -> Path:
    """A run folder with every file that a report reads: plausible numbers, text of its own."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    _write_scores(folder, rng)
    _write_logs(folder, rng)
    _write_windows(folder, rng)
    _write_maps(folder, rng)
    _write_provenance(folder)
    return folder


def _write_scores(folder, rng):
    whole = [_row(rng, who, "all", 0.0) for who in SUBJECTS]
    by_story = [_row(rng, who, story, 0.08) for who in SUBJECTS for story in STORIES]
    results = [row for rows in whole + by_story for row in rows]
    _dump(folder / "results.json", results)
    systems = {"ridge": 0.6, "language model alone": 0.1, "most frequent words": 0.05, "oracle": 1.35}
    shares = [(system, share, row) for system, share in systems.items() for rows in whole for row in rows]
    _dump(folder / "baselines.json", [_baseline(system, share, row) for system, share, row in shares])
    comparisons = [
        {"subject": who, "quadrant": what, "metric": "cer", "system_a": "decoder", "system_b": "language model alone",
         "difference": -0.02 + shift, "ci_low": -0.03 + shift, "ci_high": -0.01 + shift, "p": 0.002, "n_windows": 145}
        for (who, what), shift in zip(SUBJECTS.items(), (0, -0.006, 0.014), strict=True)
    ]  # fmt: skip
    _dump(folder / "comparisons.json", comparisons)
    facts = [("Voxel map AUC, S01", 0.973, "planted against learned, 2,310 voxels"), ("Share of the oracle", 0.84, "")]
    _dump(folder / "facts.json", [dict(zip(("name", "value", "detail"), fact, strict=True)) for fact in facts])
    _dump(folder / "notes.json", ["METEOR left out: nltk's wordnet data is not installed."])


def _row(rng, subject, story, noise):
    strength = {"S01": 1.0, "S02": 0.8, "S03": 0.15}[subject]
    rows = []
    for metric, (best, null, chance) in METRICS.items():
        value = null + strength * (best - null) + rng.normal(0, noise) * abs(best - null)
        width, sd = abs(best - null) * (0.3 + 2 * noise), abs(best - null) * 0.17
        z = (value - null) / sd
        p = 0.0004 if abs(z) > 3 else 0.21
        rows.append({"study": "synthetic", "subject": subject, "story": story, "quadrant": SUBJECTS[subject],
                     "metric": metric, "value": value, "ci_low": value - width, "ci_high": value + width,
                     "null_mean": null, "null_sd": sd, "z": z, "p": p,
                     "n_windows": N_WINDOWS * (5 if story == "all" else 1),
                     "chance": None if np.isnan(chance) else chance})  # fmt: skip
    return rows


def _baseline(system, share, row):
    value = row["null_mean"] + share * (row["value"] - row["null_mean"])
    return {**row, "system": system, "value": value, "ci_low": value - 0.03, "ci_high": value + 0.03}


def _write_logs(folder, rng):
    steps = np.arange(10, 3010, 10)
    character = 1.55 + 1.3 * np.exp(-steps / 600) + rng.normal(0, 0.03, steps.size)
    log = pd.DataFrame({
        "step": steps, "epoch": steps // 100, "train/character": character, "train/loss": character + 0.4,
        "train/contrastive": 1.2 + 2.2 * np.exp(-steps / 900) + rng.normal(0, 0.06, steps.size),
        "train/rate_latent": 14 + 60 * np.exp(-steps / 1000) + rng.normal(0, 0.8, steps.size),
        "train/rate_voxels": 0.05 + 0.6 * np.exp(-steps / 700) + rng.normal(0, 0.01, steps.size),
        "train/beta": np.minimum(1, steps / 1500) * 1e-2,
    })  # fmt: skip
    held = np.arange(100, 3001, 100)
    validation = pd.DataFrame({
        "step": held, "validation/character": 1.72 + 1.1 * np.exp(-held / 500) + 4e-5 * held,
        "validation/contrastive": 2.0 + 1.4 * np.exp(-held / 700), "validation/top1": 0.25 * (1 - np.exp(-held / 800)),
    })  # fmt: skip
    _write_log(folder / "logs" / "csv" / "version_0", [log, validation])
    text = pd.DataFrame({"step": steps, "train/loss": 1.4 + 1.6 * np.exp(-steps / 400)})
    held_text = pd.DataFrame({"step": held, "validation/loss": 1.5 + 1.5 * np.exp(-held / 400)})
    _write_log(folder / "language_model" / "logs" / "csv" / "version_0", [text, held_text])


def _write_log(folder, parts):
    folder.mkdir(parents=True)
    pd.concat(parts).to_csv(folder / "metrics.csv", index=False)


def _write_windows(folder, rng):
    rows, matrices = [], {}
    for subject in SUBJECTS:
        for story in STORIES:
            strength = {"S01": 0.5, "S02": 0.4, "S03": 0.1}[subject]
            matrices[f"{subject}/{story}"] = rng.normal(0, 0.25, (N_WINDOWS, N_WINDOWS)) + strength * np.eye(N_WINDOWS)
            for window in range(N_WINDOWS):
                true, decoded, alone = (_sentence(rng) for _ in range(3))
                decoded = " ".join([*true.split()[: int(8 * strength)], *decoded.split()])
                rows.append((subject, story, window * 20.0, window * 20.0 + 20, decoded, true, alone))
    columns = ["subject", "story", "start", "stop", "decoded", "true", "alone"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "windows.tsv", sep="\t", index=False)
    np.savez(folder / "identification.npz", **matrices)


def _sentence(rng):
    words = WORDS.split()
    weights = 1 / np.arange(1, len(words) + 1)
    return " ".join(rng.choice(words, rng.integers(18, 32), p=weights / weights.sum()))


def _write_maps(folder, rng):
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = (-72, -102, -60)
    place = np.stack(np.meshgrid(*map(np.arange, (25, 29, 24)), indexing="ij"), -1) @ affine[:3, :3] + affine[:3, 3]
    brain = (((place - (0, -18, 10)) / (66, 84, 60)) ** 2).sum(-1) < 1
    centres = np.array([(-54, -20, 6), (54, -18, 4), (-46, 20, 12)])
    planted = (np.linalg.norm(place[..., None, :] - centres, axis=-1) < 16).any(-1) & brain
    learned = np.where(brain, np.abs(rng.normal(0, 0.02, brain.shape)), 0) + planted * rng.uniform(
        0.2, 0.8, brain.shape
    )
    for name, values in {"voxel_map": learned, "truth_map": planted}.items():
        nibabel.Nifti1Image(values.astype(np.float32), affine).to_filename(folder / f"{name}.nii.gz")


def _write_provenance(folder):
    (folder / "config.yaml").write_text("# plasticode demo\nseed: 0\nmodel:\n  beta: 0.01\n  width: 128\n")
    train = [[who, f"story {index}"] for who in ("S01", "S02") for index in range(8)]
    test = [[who, story] for who in SUBJECTS for story in STORIES]
    _dump(folder / "split.json", {"study": "synthetic", "train": train, "validation": train[:2], "test": test})
    _dump(folder / "model.json", {"name": "VolumeEncoder + CharDecoder", "parameters": 1_843_211, "width": 128})
    _dump(folder / "versions.json", {"plasticode": "0.1.0", "torch": "2.13.0", "hardware": "2 CPU cores",
                                     "command": "plasticode demo --run-dir runs/demo"})  # fmt: skip


def _dump(path, content):
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fabricated_run(tmp_path_factory.mktemp("run") / "whole")


@pytest.fixture(scope="module")
def html(run):
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture
def bare(run, tmp_path):
    """A run with results and nothing else."""
    shutil.copy(run / "results.json", tmp_path)
    return tmp_path


def _keep_rows(folder, count):
    _dump(folder / "results.json", json.loads((folder / "results.json").read_text())[:count])


def test_the_page_is_self_contained(html):
    sources = re.findall(r'(?:src|href)="([^"]*)', html)
    assert len(sources) == 22
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html
    assert len(html.encode()) < 5e6


def test_every_image_has_a_text_that_says_what_is_seen(html):
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', html)
    assert len(alts) == 22
    assert all(len(alt) > 20 for alt in alts)
    assert any(alt.startswith("Latent, top-1: S01 (seen subject, unseen story) 0.260, null 0.034") for alt in alts)


def test_a_value_stands_beside_its_interval_null_chance_and_baselines(html):
    line = re.search(r"Latent, top-1</span></th>(.*?)</tr>", html, re.DOTALL).group(1)
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", line)]
    expected = ["0.260", "0.192 to 0.328", "0.034 ± 0.038", "5.9", "&lt;0.001", "0.034", "145"]
    assert cells == [*expected, "0.170", "0.057", "0.045", "0.339"]


def test_notes_facts_versions_and_command_are_on_the_page(html):
    for said in (
        "METEOR left out",
        "Voxel map AUC, S01",
        "2.13.0",
        "plasticode demo --run-dir runs/demo",
        "beta: 0.01",
    ):
        assert said in html


def test_the_same_run_gives_the_same_page(bare):
    _keep_rows(bare, 2)
    first = write_report(bare).read_bytes()
    assert write_report(bare).read_bytes() == first


def test_what_is_missing_is_said(bare):
    html = write_report(bare).read_text(encoding="utf-8")
    for name in ("windows.tsv", "identification.npz", "voxel_map.nii.gz", "logs/csv", "baselines.json", "split.json"):
        assert f"there is no {name} in the run" in html
    assert "0.260" in html


def test_without_pooled_rows_there_is_no_verdict(bare):
    rows = json.loads((bare / "results.json").read_text())
    _dump(bare / "results.json", [row for row in rows if row["story"] != "all"])
    html = write_report(bare).read_text(encoding="utf-8")
    assert "so there is no verdict" in html
    assert "Scores of every story (165 rows)" in html


def test_a_run_without_results_names_the_remedy(tmp_path):
    with pytest.raises(MissingData, match=r"no results.json in the run .*Make it with `plasticode evaluate"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results.json", b"[{", "not JSON"),
        ("results.json", b"{}", "does not hold a list"),
        ("results.json", b'[{"subject": "S01"}]', "lacks or garbles"),
        ("results.json", b"[3]", "lacks or garbles"),
        ("baselines.json", b"\xff\xfe", "not UTF-8"),
        ("notes.json", b"nul", "not JSON"),
        ("split.json", b'{"train": ["S01"]}', r"not a list of \[subject, story\]"),
        ("windows.tsv", b"subject\tstory\n", "no column start, stop"),
        ("windows.tsv", b"subject\tstory\tstart\tstop\tdecoded\ttrue\nS\ta\tsoon\t1\tb\tc\n", "not a time in s"),
        ("identification.npz", b"PK", "not a readable npz"),
        ("voxel_map.nii.gz", b"brain", "not a readable NIfTI"),
        ("logs/csv/version_0/metrics.csv", b"", "not a readable table"),
    ],
)
def test_a_broken_file_is_named(bare, name, content, message):
    (bare / name).parent.mkdir(parents=True, exist_ok=True)
    (bare / name).write_bytes(content)
    with pytest.raises(BrokenData, match=message) as raised:
        write_report(bare)
    assert str(bare / name) in str(raised.value)
    assert not (bare / "report.html").exists()


def test_a_truncated_map_is_named(run, bare):
    (bare / "voxel_map.nii.gz").write_bytes((run / "voxel_map.nii.gz").read_bytes()[:2000])
    with pytest.raises(BrokenData, match="not a readable NIfTI"):
        write_report(bare)


def test_text_from_a_run_cannot_become_markup(bare):
    attack = '</pre></title><script>alert(1)</script>"<img src=x onerror=alert(1)>&amp;'
    rows = json.loads((bare / "results.json").read_text())
    _dump(bare / "results.json", [{**row, "study": attack, "subject": attack, "quadrant": attack} for row in rows[:3]])
    _dump(bare / "notes.json", [attack])
    _dump(bare / "facts.json", [{"name": attack, "value": attack, "detail": attack}])
    _dump(bare / "versions.json", {attack: attack, "command": attack})
    _dump(bare / "model.json", {"name": attack, attack: [attack]})
    (bare / "config.yaml").write_text(attack)
    windows = pd.DataFrame([[attack, attack, 0, 20, attack, attack, attack]])
    windows.columns = ["subject", "story", "start", "stop", "decoded", "true", "alone"]
    windows.to_csv(bare / "windows.tsv", sep="\t", index=False)
    html = write_report(bare).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10


def test_an_interrupted_report_leaves_the_earlier_one(bare, monkeypatch):
    _keep_rows(bare, 2)
    (bare / "report.html").write_text("earlier")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(bare)
    assert (bare / "report.html").read_text() == "earlier"
    assert not list(bare.glob(".*.tmp"))


def test_a_resumed_log_replaces_what_came_after_the_checkpoint(bare):
    for version, (start, loss) in enumerate([(0, 1.0), (50, 2.0)]):
        log = pd.DataFrame({"step": range(start, start + 100, 10), "train/character": loss})
        _write_log(bare / "logs" / "csv" / f"version_{version}", [log])
    log = read_run(bare).log
    assert list(log["step"]) == list(range(0, 150, 10))
    assert list(log["train/character"]) == [1.0] * 5 + [2.0] * 10


def test_ranks_equal_sorting_each_row():
    similarity = np.random.default_rng(1).normal(size=(17, 17))
    by_hand = [list(np.argsort(-row)).index(index) + 1 for index, row in enumerate(similarity)]
    np.testing.assert_allclose(ranks(similarity), by_hand)


def test_the_story_in_full_is_neither_the_best_nor_the_worst(bare):
    good, bad = np.eye(4), -np.eye(4)
    middling = np.eye(4) - 2 * np.diag([1.0, 0, 0, 0])
    np.savez(bare / "identification.npz", **{"S01/a": good, "S01/b": middling, "S01/c": bad})
    assert shown_story(read_run(bare)) == ("S01", "b")


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)
# Asked for by the test alone, in a copy of the page with everything unfolded: how wide is it in its frame?
PROBE = """<script>document.querySelectorAll("details").forEach(folded => folded.open = true)
onload = () => parent.postMessage(
  [document.documentElement.scrollWidth, innerWidth, [...document.images].filter(i => !i.naturalWidth).length], "*")
</script></body>"""
FRAME = """<body style="margin:0"><iframe src="page.html" style="border:0;width:{width}px;height:2400px"></iframe>
<script>onmessage = (said) => document.body.dataset.said = said.data.join(" ")</script></body>"""


def _browse(folder, address, *options):
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [BROWSER, *FLAGS.split(), profile, "--timeout=20000", *options, address.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH")
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_every_image_and_nothing_sticks_out(html, tmp_path, width):
    open_to_probe = re.sub(r"<meta http-equiv=[^>]*>", "", html).replace("</body>", PROBE)
    (tmp_path / "page.html").write_text(open_to_probe, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    shown = _browse(tmp_path, tmp_path / "frame.html", "--dump-dom")
    content, frame, broken = map(int, re.search(r'data-said="(\d+) (\d+) (\d+)"', shown).groups())
    assert frame == width
    assert content <= frame
    assert broken == 0


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH")
def test_a_browser_paints_ink_over_the_whole_width_on_white(html, tmp_path):
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    _browse(tmp_path, tmp_path / "page.html", f"--screenshot={tmp_path / 'shot.png'}", "--window-size=1200,2400")
    with Image.open(tmp_path / "shot.png") as shot:
        pixels = np.asarray(shot.convert("L"))
    assert pixels.shape == (2400, 1200)
    ink = pixels < 128
    assert 0.005 < ink.mean() < 0.2
    inked = np.flatnonzero(ink.any(axis=0))
    assert inked.min() < 100
    assert inked.max() > 1100
    assert (pixels[:, -8:] == 255).all()

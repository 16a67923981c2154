"""Which window of a story was heard? Encoding model, its bands, ridge, and all experts together.

    python benchmarks/encoding_identification.py --root $PLASTICODE_DATA/uts_stories_fmri --out OUT \
        --corpus $PLASTICODE_DATA/text/prose_and_speech.tar.xz [--subjects UTS03] [--latents FILE.npz] [--test]

Windows of 20 s, candidates are the non-overlapping windows of the same story, each with the words before it; stories by
the names in `--config`. Validation stories are scored, and the weights of the combination are fitted on them; with
`--test` the test stories are scored with those. `--latents` is an archive of similarities (window, window) named
"subject/story", of validation and of test stories. One JSON line per person, system and metric is added to
OUT/encoding_identification.jsonl, beside the matrices; what is there already is not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from plasticode.datasets.corpus import read_documents
from plasticode.datasets.study import Run, Study, open_study
from plasticode.datasets.whole_file import whole_file
from plasticode.decoding.characters import fold
from plasticode.decoding.encoding_bands import content_bands, rate_band
from plasticode.decoding.encoding_combination import combined, fit_weights
from plasticode.decoding.encoding_features import (
    Band,
    EncodingFeatures,
    WordCount,
    words_by_row,
)
from plasticode.decoding.encoding_files import load_encoding_model, save_encoding_model
from plasticode.decoding.encoding_model import EncodingModel, FittedEncodingModel
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.intervals import interval
from plasticode.decoding.language_model import LanguageModel
from plasticode.decoding.nulls import min_shift, pair_curve, permuted_null
from plasticode.decoding.rate_matched import rate_matched_chance, rate_matched_pairs
from plasticode.decoding.ridge import Ridge
from plasticode.decoding.scoring import prepared
from plasticode.decoding.text_features import TextFeatures
from plasticode.decoding.word_vectors import WordVectors

ROWS = 10
METRICS = ("top1", "rate_matched_top1")
Matrices = dict[str, np.ndarray]  # story to (window, candidate)


def starts_of(run: Run) -> list[int]:
    """Of the non-overlapping windows that have words, and words before them.

    A story's first window is told from the others by the story's onset alone: it is not scored.
    """
    rows = words_by_row(run)
    starts = range(0, run.responses.n_rows - ROWS + 1, ROWS)
    return [start for start in starts[1:] if any(rows[start : start + ROWS])]


def word_counts(run: Run) -> np.ndarray:
    rows = words_by_row(run)
    return np.array([sum(map(len, rows[start : start + ROWS])) for start in starts_of(run)], np.float64)


def word_vectors(args: argparse.Namespace, study: Study, held: set[str]) -> WordVectors:
    """Of a language model, or from prose and the training stories; kept in OUT."""
    if args.language_model:
        return LanguageModel.load(args.language_model).vectors
    kept = args.out / "word_vectors.npz"
    if not kept.is_file():
        subject = study.subjects()[-1]
        texts = [fold(document.text) for document in read_documents(args.corpus or [])]
        training = study.runs([subject], [story for story in study.stories(subject) if story not in held])
        texts += [" ".join(word for row in words_by_row(run) for word in row) for run in training]
        vectors = WordVectors.fit(texts)
        with whole_file(kept) as draft:
            np.savez(draft, table=vectors.table, words=np.array(vectors.vocabulary), allow_pickle=False)
    with np.load(kept, allow_pickle=False) as archive:
        return WordVectors(archive["words"].tolist(), archive["table"])


def models(vectors: WordVectors, states: str) -> dict[str, EncodingModel]:
    """By name; the last is the whole one."""
    rate, content = rate_band(vectors), content_bands(vectors, states)
    bands = {"word rate": [Band(WordCount())], "rate": [rate], "encoding": [*content, rate]}
    return {name: EncodingModel(EncodingFeatures(parts)) for name, parts in bands.items()}


def likelihood(model: FittedEncodingModel, run: Run) -> np.ndarray:
    return model.log_likelihood(run, starts_of(run))


def experts(
    args: argparse.Namespace, subject: str, training: Sequence[Run], vectors: WordVectors
) -> dict[str, Callable[[Run], np.ndarray]]:
    """By system: run to (window, candidate)."""
    found: dict[str, Callable[[Run], np.ndarray]] = {}
    for name, model in models(vectors, args.states).items():
        folder = args.out / "models" / subject / name.replace(" ", "_")
        if not (folder / "model.json").is_file():
            save_encoding_model(model.fit(training), folder)
        fitted = load_encoding_model(folder)
        if set(fitted.stories) != {run.story for run in training}:
            raise SystemExit(f"{folder} was fitted on other stories: give another --out")
        found[name] = lambda run, fitted=fitted: likelihood(fitted, run)
        for memory in args.memories if name == "encoding" else ():
            other = replace(fitted, noise=fitted.noise.with_memory(memory))
            found[f"encoding, memory {memory:g}"] = lambda run, other=other: likelihood(other, run)
    ridge = Ridge(TextFeatures(vectors).fit(list(training))).fit(training)
    found["ridge"] = lambda run: ridge.similarity(run, starts_of(run), ROWS)
    return found


def matrices(path: Path, systems: Callable[[], Mapping[str, Any]], runs: Sequence[Run]) -> dict[str, Matrices]:
    """By system and story, from the disk where they are."""
    if not path.is_file():
        arrays = {f"{name}/{run.story}": score(run) for name, score in systems().items() for run in runs}
        with whole_file(path) as draft:
            np.savez_compressed(draft, allow_pickle=False, **arrays)
    found: dict[str, Matrices] = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            name, story = key.rsplit("/", 1)
            found.setdefault(name, {})[story] = archive[key]
    return found


def with_combinations(
    validation: dict[str, Matrices], scored: dict[str, Matrices], latents: Matrices | None, subject: str
) -> dict[str, Matrices]:
    """`scored` and what its experts say together, weighted by validation stories."""
    groups = [["encoding", "ridge"]]
    if latents is not None:
        for part in (validation, scored):
            part["latent"] = {story: latents[f"{subject}/{story}"] for story in part["encoding"]}
        groups += [["encoding", "latent"], ["encoding", "latent", "ridge"]]
    together = dict(scored)
    for group in groups:
        stacks = [np.stack([validation[name][story] for name in group]) for story in validation["encoding"]]
        weights = fit_weights(stacks)
        together[" + ".join(group)] = {
            story: combined(np.stack([scored[name][story] for name in group]), weights) for story in scored["encoding"]
        }
    return together


def line(subject: str, part: str, system: str, metric: str, found: Matrices, counts: Matrices) -> dict[str, Any]:
    """A score beside its null, its chance and its interval."""
    matched = metric == "rate_matched_top1"
    pairs = {s: rate_matched_pairs(m, counts[s]) if matched else top_pairs(m, 1) for s, m in found.items()}
    curves = [pair_curve(pair, min_shift(ROWS)) for pair in pairs.values()]
    null = permuted_null(curves)
    hits = [np.diagonal(pair)[:, None].copy() for pair in pairs.values()]
    low, high = interval(hits, list(pairs))
    sizes = [len(pair) for pair in pairs.values()]
    chance = np.average([rate_matched_chance(n) if matched else 1 / n for n in sizes], weights=sizes)
    value = float(np.concatenate(hits).mean())
    shown = {"value": value, "ci_low": low, "ci_high": high, "null_mean": null.mean, "null_sd": null.sd, "p": null.p}
    labels = {"subject": subject, "stories": part, "system": system, "metric": metric}
    return labels | {name: round(v, 5) for name, v in shown.items()} | {"chance": float(chance), "n": sum(sizes)}


def person(args: argparse.Namespace, subject: str, study: Study, names: Mapping[str, Sequence[str]]) -> None:
    began = time.perf_counter()
    held = {story for part in names.values() for story in part}
    vectors = word_vectors(args, study, held)
    recordings = study.recordings([subject])
    runs = prepared(study, [r for r in recordings if r[1] not in held or args.test or r[1] in names["validation"]])
    training = [run for run in runs if run.story not in held and run.words]
    made: dict[str, Any] = {}

    def systems() -> Mapping[str, Any]:
        if not made:
            made.update(experts(args, subject, training, vectors))
        return made

    parts = {}
    for part in ("validation", "test") if args.test else ("validation",):
        scored = [run for run in runs if run.story in names[part]]
        parts[part] = matrices(args.out / f"{subject}_{part}.npz", systems, scored), scored
    latents = dict(np.load(args.latents, allow_pickle=False)) if args.latents else None
    for part, (scored, heard) in parts.items():
        counts = {run.story: word_counts(run) for run in heard}
        for system, found in with_combinations(dict(parts["validation"][0]), scored, latents, subject).items():
            for metric in METRICS:
                row = line(subject, part, system, metric, found, counts)
                write(args.out / "encoding_identification.jsonl", row | {"seconds": time.perf_counter() - began})


def write(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line unless it is there, and show it."""
    key = ("subject", "stories", "system", "metric")
    known = [json.loads(text) for text in path.read_text().splitlines()] if path.is_file() else []
    if not any(all(old[name] == row[name] for name in key) for old in known):
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "command": " ".join(sys.argv)}) + "\n")
    cells = (row["subject"], row["stories"], row["system"], row["metric"], f"{row['value']:.3f}")
    null = f"{row['null_mean']:.3f} ± {row['null_sd']:.3f}"
    cells += (f"{row['ci_low']:.3f} to {row['ci_high']:.3f}", null, f"{row['p']:.4f}", f"{row['chance']:.3f}")
    print("| " + " | ".join([*cells, str(row["n"])]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subjects", nargs="+")
    parser.add_argument("--config", type=Path, default=Path("configs/decoding/lebel2023.yaml"))
    parser.add_argument("--language-model", type=Path, help="folder whose word vectors are taken")
    parser.add_argument("--corpus", nargs="*", help="prose for word vectors, where there is no language model")
    parser.add_argument("--states", default="minilm", help="language model of the states; '' for none")
    parser.add_argument("--memories", nargs="*", type=float, default=[], help="also with these memories of the noise")
    parser.add_argument("--latents", type=Path)
    parser.add_argument("--test", action="store_true", help="score the test stories, once")
    args = parser.parse_args()
    settings = yaml.safe_load(args.config.read_text(encoding="utf-8"))["data"]["init_args"]
    names = {part: settings[f"{part}_stories"] for part in ("validation", "test")}
    study = open_study(settings["study"], args.root)
    args.out.mkdir(parents=True, exist_ok=True)
    for subject in args.subjects or study.subjects():
        person(args, subject, study, names)


if __name__ == "__main__":
    main()

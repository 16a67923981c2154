"""A new person read by a network that was trained on others, by their encoding models, and by both together.

    python benchmarks/new_person_network.py --root $PLASTICODE_DATA/uts_stories_fmri --out OUT \
        --language-model runs/language_model --network UTS03=runs/UTS01_UTS02 [--network ...] \
        [--minutes 10,60,all] [--draws 3] [--test]

`--network` names, for each new person, the run of `plasticode fit` on all others. The network meets the person by
`configs/decoding/new_person.yaml` (ridge alignment, representation editing), the encoding models by `adaptation`, with
the same minutes. Weights of the two experts come from validation stories of the *other* new people at the same number
of minutes; a validation story is scored with weights from the other validation stories. (Whoever is new lends to the
others when they are: those models have read the person's training stories, never a scored one. The networks' epochs
were chosen on the validation stories, which flatters the network there; test stories are clean.) With `--test` the test
stories are scored, once. Leaves scores_*.tsv and gains_*.tsv in OUT; matrices of the same networks and settings that
are there are not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from across_people import people_of
from plasticode.datasets.whole_file import whole_file
from plasticode.decoding.across_people import AcrossPeople, Cell
from plasticode.decoding.encoding_combination import combined, fit_weights
from plasticode.decoding.fitting import run_lightning
from plasticode.decoding.protocol import METRICS, Scores, gains, mean_over_draws, story_scores, table
from plasticode.decoding.protocol_command import minutes_of
from plasticode.decoding.reading import Reader
from plasticode.decoding.results import StoryScores
from plasticode.decoding.trained import TrainedModel

CONFIG = Path(__file__).parent.parent / "configs" / "decoding" / "new_person.yaml"
EXPERTS = ("adapt", "network")
Matrices = dict[tuple[str, float, str, int], dict[str, np.ndarray]]  # by person, minutes, story, draw: expert to square


def main() -> None:
    args = parsed()
    args.out.mkdir(parents=True, exist_ok=True)
    networks = dict(given.split("=", 1) for given in args.network)
    found = {part: Part(args, part, networks).matrices() for part in ("validation", *(["test"] * args.test))}
    part = "test" if args.test else "validation"
    scores = scored(found[part], Part(args, part, networks).people, found["validation"])
    shown = table(scores)
    shown[shown["metric"].isin(METRICS)].to_csv(args.out / f"scores_{part}.tsv", sep="\t", index=False)
    differences(scores).to_csv(args.out / f"gains_{part}.tsv", sep="\t", index=False)
    print(shown[shown["metric"] == METRICS[0]].to_markdown(index=False))
    print(differences(scores).to_markdown(index=False))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language-model", type=Path, required=True)
    parser.add_argument("--network", action="append", required=True, metavar="PERSON=RUN")
    parser.add_argument("--config", type=Path, default=Path("configs/decoding/lebel2023.yaml"))
    parser.add_argument("--minutes", default="10,60,all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test", action="store_true", help="score the test stories, once")
    return parser.parse_args()


class Part:
    """Validation or test stories."""

    def __init__(self, args: argparse.Namespace, part: str, networks: Mapping[str, str]) -> None:
        self.args, self.part, self.networks = args, part, networks

    @cached_property
    def people(self) -> AcrossPeople:
        return people_of(argparse.Namespace(**vars(self.args), stories=self.part, states=False, corpus=None))

    def matrices(self) -> Matrices:
        cells = [
            Cell(subject, "adapt", minutes, draw)
            for subject in sorted(self.networks)
            for minutes in minutes_of(self.args.minutes)
            for draw in range(1 if math.isinf(minutes) else self.args.draws)
        ]
        found: Matrices = {}
        for cell in cells:
            print(f"{self.part}: {cell.name}", flush=True)  # a training inside draws the progress bar
            for story, experts in self._cell(cell).items():
                found[cell.subject, cell.minutes, story, cell.draw] = experts
        return found

    def _cell(self, cell: Cell) -> dict[str, dict[str, np.ndarray]]:
        """By story and expert, kept on disk."""
        path = self._place(cell) / f"{self.part}_{cell.name}.npz"
        if not path.is_file():
            arrays = {f"{story}/{expert}": square for story, expert, square in self._read(cell)}
            with whole_file(path) as draft:
                np.savez(draft, **arrays)
        found: dict[str, dict[str, np.ndarray]] = {}
        with np.load(path, allow_pickle=False) as held:
            for name in held.files:
                story, expert = name.split("/")
                found.setdefault(story, {})[expert] = held[name]
        return found

    def _place(self, cell: Cell) -> Path:
        """A folder of the settings, the network and the language model."""
        files = [CONFIG, *(Path(one) / "model.json" for one in (self.networks[cell.subject], self.args.language_model))]
        digest = hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()[:12]
        return self.args.out / digest

    def _read(self, cell: Cell) -> Iterator[tuple[str, str, np.ndarray]]:
        encoding, reader = {"adapt": self.people.fitted(cell)}, self._network(cell)
        if math.isinf(cell.minutes):  # somebody with so many recordings needs nobody: do others help all the same?
            encoding["within"] = self.people.fitted(Cell(cell.subject, "within", cell.minutes))
        for run in self.people.heard(cell.subject):
            starts = self.people.starts(run)
            for way, model in encoding.items():
                yield run.story, way, model.log_likelihood(run, starts)
            reading = reader.read(run)
            at = [reading.starts.index(start) for start in starts]
            yield run.story, "network", reading.similarity()[np.ix_(at, at)]

    def _network(self, cell: Cell) -> Reader:
        run = self._place(cell) / "runs" / cell.name
        if not (run / "model.json").is_file():
            given = ["--config", str(CONFIG), "--data.trained", self.networks[cell.subject]]
            given += ["--data.root", str(self.args.root), "--data.language_model", str(self.args.language_model)]
            given += ["--data.subject", cell.subject, "--data.draw", str(cell.draw)]
            given += [] if math.isinf(cell.minutes) else ["--data.minutes", f"{cell.minutes:g}"]
            if (run / "config.yaml").is_file():
                run_lightning("fit", [], resume=str(run))
            else:
                run_lightning("fit", given, run_dir=str(run))
        model = TrainedModel.load(run)
        used = {story for subject, story in model.split.train if subject == cell.subject}
        assert used == {stretch.story for stretch in self.people.stretches(cell)}, "both have the same stories"
        return Reader(model)


def weights(validation: Matrices, subject: str, minutes: float, story: str) -> np.ndarray:
    """Of the experts, from the validation stories of all other people but this story; NaN without any."""
    others = [both(one) for (who, m, s, _), one in validation.items() if who != subject and m == minutes and s != story]
    return fit_weights(others) if others else np.full(len(EXPERTS), np.nan)


def both(experts: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([experts[name] for name in EXPERTS])


def scored(found: Matrices, people: AcrossPeople, validation: Matrices) -> Scores:
    """By person, system and minutes: the stories, mean over draws."""
    draws: dict[tuple[str, str, float, str], list[StoryScores]] = {}
    by: dict[tuple[str, float, str], np.ndarray] = {}
    for (subject, minutes, story, _), experts in found.items():
        key, systems = (subject, minutes, story), dict(experts)
        if key not in by:
            by[key] = weights(validation, *key)
        if np.isfinite(by[key]).all():
            systems["together"] = combined(both(experts), by[key])
        for system, square in systems.items():
            one = story_scores(people, people.runs[subject, story], square, "adapt")
            draws.setdefault((subject, system, minutes, story), []).append(one)
    scores: Scores = {}
    for (subject, system, minutes, _), several in draws.items():
        scores.setdefault((subject, system, minutes), []).append(mean_over_draws(several))
    return scores


def differences(scores: Scores) -> pd.DataFrame:
    """Both together less encoding models alone, for each person and for all."""
    return pd.concat([gains(scores, "together", less).assign(less=less) for less in ("adapt", "within")])


if __name__ == "__main__":
    main()

"""How many minutes of a new person does decoding need? Each person of a study in turn, unseen, on unseen stories.

    python benchmarks/across_people.py --root $PLASTICODE_DATA/uts_stories_fmri --out OUT \
        --corpus $PLASTICODE_DATA/text/prose_and_speech.tar.xz [--minutes 10,30,60,180,all] [--stories validation]

What `plasticode evaluate RUN_DIR --protocol within,adapt` does, without a trained run: word vectors come from prose and
the training stories. Stories by the names in `--config`: validation stories to choose by, test stories for one look.
Leaves scores.tsv, gains.tsv and the curves in OUT; what is finished is not computed again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import yaml
from encoding_identification import ROWS, word_vectors
from plasticode.datasets.study import open_study
from plasticode.decoding.across_people import AcrossPeople
from plasticode.decoding.encoding_bands import encoding_model
from plasticode.decoding.kept_scores import KeptScores
from plasticode.decoding.protocol import Protocol, basis_of
from plasticode.decoding.protocol_command import minutes_of, write
from plasticode.decoding.scoring import prepared
from plasticode.decoding.semantic import MINILM
from rich.console import Console


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/decoding/lebel2023.yaml"))
    parser.add_argument("--corpus", nargs="*", help="prose for word vectors")
    parser.add_argument("--language-model", type=Path, help="folder whose word vectors are taken instead")
    parser.add_argument("--minutes", default="10,30,60,180,all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--stories", choices=("validation", "test"), default="test")
    parser.add_argument("--states", action="store_true", help="states of the packaged sentence model, too")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    people = people_of(args)
    name = f"{args.stories}{'_states' if args.states else ''}"
    work = KeptScores(args.out / name / "kept", basis_of(people, f"{args.corpus} {args.language_model} {args.states}"))
    protocol = Protocol(people, ("within", "adapt"), minutes_of(args.minutes), args.draws, work)
    write(protocol, args.out / name, Console(width=200))
    print(f"{time.perf_counter() - start:.0f} s")


def people_of(args: argparse.Namespace) -> AcrossPeople:
    settings = yaml.safe_load(args.config.read_text(encoding="utf-8"))["data"]["init_args"]
    names = {part: settings[f"{part}_stories"] for part in ("validation", "test")}
    held = {story for part in names.values() for story in part}
    study = open_study(settings["study"], args.root)
    vectors = word_vectors(args, study, held)
    wanted = [r for r in study.recordings() if r[1] not in held or r[1] in names[args.stories]]
    runs = {(run.subject, run.story): run for run in prepared(study, wanted) if run.words}
    training = sorted({story for _, story in runs} - held)
    model = encoding_model(vectors, ROWS, MINILM if args.states else "")
    return AcrossPeople(runs, training, names[args.stories], model)


if __name__ == "__main__":
    main()

"""How much of a latent's identification is what was said, and how much is how fast it was said?

    python benchmarks/content_and_rate.py RUN_DIR --root DIR

The true texts are embedded whole, with content only (words and characters per row at their mean) and with rate only
(word vectors at their mean); the latents stay as they are. Rows pooled over stories, with the permuted-pairing null.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from plasticode.decoding.held_out import held_out
from plasticode.decoding.identification import identification_pairs
from plasticode.decoding.reading import Reader
from plasticode.decoding.results import StoryScores, rows_pooled
from plasticode.decoding.scoring import prepared
from plasticode.decoding.text_features import N_COUNTS, similarity
from plasticode.decoding.trained import TrainedModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    args = parser.parse_args()
    model = TrainedModel.load(args.run_dir)
    chosen = held_out(model, args.root)
    reader, scores = Reader(model), {"content and rate": [], "content only": [], "rate only": []}
    for run in prepared(chosen.study, chosen.recordings):
        reading = reader.read(run)
        kept = [i for i, text in enumerate(reading.true) if text]
        rows = model.features.of(run).features
        features = torch.stack(
            [torch.from_numpy(rows[reading.starts[i] : reading.starts[i] + reading.rows]) for i in kept]
        )
        content, rate = features.clone(), features.clone()
        content[..., -N_COUNTS:] = 0
        rate[..., :-N_COUNTS] = 0
        for name, part in zip(scores, (features, content, rate), strict=True):
            with torch.no_grad():
                found = similarity(reading.latent[kept], model.network.text(part)).double().numpy()
            pairs = identification_pairs(found, "latent")
            scores[name].append(StoryScores(run.study, run.subject, run.story, "", reading.rows, pairs))
    for name, stories in scores.items():
        for row in rows_pooled(stories):
            if row.metric == "latent_top1":
                interval, null = f"{row.ci_low:.3f} to {row.ci_high:.3f}", f"{row.null_mean:.3f} ± {row.null_sd:.3f}"
                cells = (row.subject, name, f"{row.value:.3f}", interval, null, f"{row.p:.4f}", f"{row.chance:.3f}")
                print("| " + " | ".join([*cells, str(row.n_windows)]) + " |")


if __name__ == "__main__":
    main()

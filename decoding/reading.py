"""What a trained model reads out of one recording: latents, text rate and text of its windows, free-running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import Run
from .agreement import Agreement, Vocabulary
from .network import SAME_TIME
from .search import Search, expected_lengths, write, write_alone
from .text_features import similarity
from .trained import TrainedModel
from .unfold import Unfold
from .window_batches import WindowSet

TENSORS = ("latent", "counts", "embedding")


@dataclass(frozen=True, eq=False)
class Reading:
    """The non-overlapping windows of one run.

    `latent` (window time feature) is the posterior mean; `counts` (window time 2) are the expected words and
    characters; `embedding` (window time feature) is that of the true text; `true` holds the folded true texts.
    """

    run: Run
    starts: tuple[int, ...]
    rows: int
    latent: Float[Tensor, "window time feature"]
    counts: Float[Tensor, "window time 2"]
    embedding: Float[Tensor, "window time feature"]
    true_counts: Float[np.ndarray, "window time 2"]
    true: list[str]

    def similarity(self) -> Float64[np.ndarray, "window window"]:
        """Of each window's latent to each window's true text."""
        return similarity(self.latent, self.embedding).double().numpy()

    def onsets(self) -> list[float]:
        """s on the run's clock."""
        return [start * self.run.repetition_time for start in self.starts]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the run, as arrays (see `of`)."""
        tensors = {name: getattr(self, name).numpy() for name in TENSORS}
        places = {"starts": np.array(self.starts), "rows": np.array(self.rows)}
        return {**tensors, **places, "true_counts": self.true_counts, "true": np.array(self.true, np.str_)}

    @classmethod
    def of(cls, run: Run, arrays: Mapping[str, np.ndarray]) -> Reading:
        """The reading of a run from what `arrays` gave."""
        return cls(
            run=run,
            starts=tuple(arrays["starts"].tolist()),
            rows=int(arrays["rows"]),
            **{name: torch.from_numpy(arrays[name]) for name in TENSORS},
            true_counts=arrays["true_counts"],
            true=[str(text) for text in arrays["true"]],
        )


class Reader:
    """Reads recordings with a trained model.

    Parameters
    ----------
    model
        The trained model.
    batch
        Windows encoded at once.
    """

    def __init__(self, model: TrainedModel, batch: int = 64) -> None:
        self.model, self.batch = model, batch

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.model.features, self.model.characters)

    def accepts(self, run: Run) -> None:
        """Raise the one clear error when the model cannot read the recording."""
        facts, where = self.model.network.facts, run.key
        if abs(run.repetition_time - facts.repetition_time) > SAME_TIME:
            raise BrokenData(
                f"repetition time {run.repetition_time} s, but the model was trained at {facts.repetition_time} s",
                where,
                "Resample the recording or train another model.",
            )
        if facts.grid is None:
            self._accept_channels(run)
        else:
            self._accept_grid(run)

    def _accept_grid(self, run: Run) -> None:
        facts, mask = self.model.network.facts, run.responses.mask
        shape = None if mask is None else mask.volume.shape
        if mask is None or shape != facts.grid:
            raise BrokenData(
                f"grid {shape}, but the model reads {facts.grid}", run.key, "Resample it to the model's grid."
            )
        if facts.affine is not None and not np.allclose(mask.affine, facts.affine, atol=1e-3):
            raise BrokenData(
                "the grid lies elsewhere (its affine is not the model's)", run.key, "Resample it to the model's grid."
            )

    def _accept_channels(self, run: Run) -> None:
        facts = self.model.network.facts
        if run.subject not in facts.subjects:
            raise WrongArgument(
                f"subject {run.subject} was not trained on, and channels without a mask cannot be carried over",
                run.key,
                f"Trained on: {', '.join(facts.subjects)}.",
            )
        if run.responses.n_channels > facts.n_channels:
            raise BrokenData(
                f"{run.responses.n_channels} channels, but the model reads {facts.n_channels}",
                run.key,
                "Use the channels that the model was trained on.",
            )

    @torch.no_grad()
    def read(self, run: Run) -> Reading:
        """Encode all windows of a run; raises `BrokenData` or `WrongArgument` when the model cannot."""
        self.accepts(run)
        model, network = self.model, self.model.network
        unfold = Unfold([run]) if network.facts.grid is not None else None
        windows = WindowSet([run], model.features, model.characters, network.facts.subjects, model.window, unfold)
        starts = range(0, run.responses.n_rows - windows.rows + 1, windows.rows)
        batches = [
            windows.batch([(0, s) for s in starts[i : i + self.batch]]) for i in range(0, len(starts), self.batch)
        ]
        latents = [self._latent(batch.responses, batch.subject, batch.mask, unfold) for batch in batches]
        latent = torch.cat(latents)
        return Reading(
            run=run,
            starts=tuple(starts),
            rows=windows.rows,
            latent=latent,
            counts=network.expected_counts(latent),
            embedding=network.text(torch.cat([batch.features for batch in batches])),
            true_counts=torch.cat([batch.counts for batch in batches]).numpy(),
            true=[windows.texts[0].text(start, start + windows.rows) for start in starts],
        )

    def _latent(self, responses: Tensor, subject: Tensor, mask: Tensor, unfold: Unfold | None) -> Tensor:
        facts = self.model.network.facts
        if unfold is not None:
            responses = unfold(responses, mask)
        else:
            responses = torch.nn.functional.pad(responses, (0, facts.n_channels - responses.shape[-1]))
        return self.model.network.posterior(responses, subject).mean

    def write(self, reading: Reading, search: Search) -> list[str]:
        """The text of every window, from its latent only."""
        return self.write_latents(reading.latent, reading.counts, search)

    @torch.no_grad()
    def write_latents(
        self, latent: Float[Tensor, "window time feature"], counts: Float[Tensor, "window time 2"], search: Search
    ) -> list[str]:
        """The same for latents and text rates from anywhere, say of several readings after each other."""
        network, model = self.model.network, self.model
        memory = network.memory(latent)
        judge = Agreement(memory, network.text, model.features, self.vocabulary, model.characters.space)
        return write(network.decoder, model.characters, expected_lengths(counts), memory, search, judge)

    def write_alone(self, reading: Reading, search: Search) -> list[str]:
        """The language model alone, as long as the text-rate model says."""
        return self.write_as_long(reading.counts, search)

    @torch.no_grad()
    def write_as_long(self, counts: Float[Tensor, "window time 2"], search: Search) -> list[str]:
        """The language model alone, as long as these text rates say."""
        return write_alone(self.model.network.decoder, self.model.characters, expected_lengths(counts), search)

    def text_similarity(self, decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "window window"]:
        """Cosine of the summed word vectors of decoded and true texts, each side centred over the story.

        Only words count here: when they were said is not known to a decoded text.
        """
        sides = [np.stack([self.model.features.vectors.text(text) for text in texts]) for texts in (decoded, true)]
        flat = [side - side.mean(axis=0) for side in sides]
        unit = [side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-8) for side in flat]
        return np.asarray(unit[0] @ unit[1].T, dtype=np.float64)

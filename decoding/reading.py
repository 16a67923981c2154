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
from .brain_reading import BrainReader, Reading
from .search import Search, expected_lengths, write, write_alone
from .text_features import similarity
from .trained import TrainedModel
from .unfold import Unfold
from .window_batches import WindowSet

TENSORS = ("latent", "counts", "embedding")


@dataclass(frozen=True, eq=False)
class LatentReading(Reading):
    """`latent` (window time feature) is the posterior mean; `embedding` (window time feature) that of the true text."""

    latent: Float[Tensor, "window time feature"]
    embedding: Float[Tensor, "window time feature"]

    def similarity(self) -> Float64[np.ndarray, "window window"]:
        """Of each window's latent to each window's true text."""
        return similarity(self.latent, self.embedding).double().numpy()

    @property
    def n_rows(self) -> int:
        """Rows that have a latent."""
        return self.latent.shape[0] * self.latent.shape[1]

    def shifted(self, shifts: Sequence[int], kept: Sequence[int]) -> Float64[np.ndarray, "shift window window"]:
        """`similarity` of the `kept` windows once the latents were moved in a circle by so many rows."""
        rows = self.latent.flatten(0, 1)
        places = (torch.arange(len(rows)) + torch.tensor(list(shifts))[:, None]) % len(rows)
        moved = rows[places].view(len(shifts), *self.latent.shape)[:, list(kept)]
        pairs = similarity(moved.flatten(0, 1), self.embedding[list(kept)]).double().numpy()
        return np.asarray(pairs.reshape(len(shifts), len(kept), len(kept)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the run, as arrays (see `of`)."""
        tensors = {name: getattr(self, name).numpy() for name in TENSORS}
        places = {"starts": np.array(self.starts), "rows": np.array(self.rows)}
        return {**tensors, **places, "true_counts": self.true_counts, "true": np.array(self.true, np.str_)}

    @classmethod
    def of(cls, run: Run, arrays: Mapping[str, np.ndarray]) -> LatentReading:
        """The reading of a run from what `arrays` gave."""
        return cls(
            run=run,
            starts=tuple(arrays["starts"].tolist()),
            rows=int(arrays["rows"]),
            **{name: torch.from_numpy(arrays[name]) for name in TENSORS},
            true_counts=arrays["true_counts"],
            true=[str(text) for text in arrays["true"]],
        )


class Reader(BrainReader):
    """Reads recordings with a trained model.

    Parameters
    ----------
    model
        The trained model.
    batch
        Windows encoded at once.
    """

    model: TrainedModel
    identified_by = "latent"
    reading = LatentReading

    def __init__(self, model: TrainedModel, batch: int = 64) -> None:
        self.model, self.batch = model, batch

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.model.features, self.model.characters)

    def accepts(self, run: Run) -> None:
        """Raise the one clear error when the model cannot read the recording."""
        facts = self.model.network.facts
        self.require_clock(run, facts.repetition_time)
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
                f"Trained on: {', '.join(facts.subjects)}; configs/decoding/new_person.yaml is for somebody else.",
            )
        if run.responses.n_channels > facts.n_channels:
            raise BrokenData(
                f"{run.responses.n_channels} channels, but the model reads {facts.n_channels}",
                run.key,
                "Use the channels that the model was trained on.",
            )

    @torch.no_grad()
    def read(self, run: Run) -> LatentReading:
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
        return LatentReading(
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
        if unfold is not None:
            responses = unfold(responses, mask)
        return self.model.network.posterior(responses, subject).mean

    def write_all(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """All windows of the readings in common batches."""
        latents = [one.latent for one in readings if isinstance(one, LatentReading)]
        return self.write_latents(torch.cat(latents), torch.cat([one.counts for one in readings]), search)

    @torch.no_grad()
    def write_latents(
        self, latent: Float[Tensor, "window time feature"], counts: Float[Tensor, "window time 2"], search: Search
    ) -> list[str]:
        """The same for latents and text rates from anywhere, say of several readings after each other."""
        network, model = self.model.network, self.model
        memory = network.memory(latent)
        judge = Agreement(memory, network.text, model.features, self.vocabulary, model.characters.space)
        return write(network.decoder, model.characters, expected_lengths(counts), memory, search, judge)

    @torch.no_grad()
    def write_as_long(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """As long as the text rates of these readings say."""
        counts = torch.cat([reading.counts for reading in readings])
        return write_alone(self.model.network.decoder, self.model.characters, expected_lengths(counts), search)

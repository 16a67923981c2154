"""Writes the text of windows: all windows and hypotheses of a batch at once, with the key-value cache.

score of a hypothesis = log p(characters | latent) + agreement weight * similarity of its text to the latent.
With temperature 0 the hypotheses are a beam (one of them: greedy); above 0 they are independent samples, and the best
scored one is kept. No true text is ever seen: the number of characters comes from the text-rate model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..datasets.errors import WrongArgument
from .agreement import Agreement
from .characters import Characters, ends_unspaced
from .decoder import Cache, CharDecoder, Memory


@dataclass(frozen=True)
class Search:
    """How to write.

    Parameters
    ----------
    hypotheses
        Beams, or samples, per window.
    temperature
        0 for beam search; otherwise characters are drawn from p^(1/temperature).
    agreement
        Nats that a similarity of 1 between a hypothesis' text and the latent is worth.
    batch
        Windows written at once.
    seed
        Of the samples.
    """

    hypotheses: int = 4
    temperature: float = 0.0
    agreement: float = 0.0
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hypotheses < 1 or self.temperature < 0 or self.batch < 1:
            raise WrongArgument(
                f"hypotheses {self.hypotheses}, temperature {self.temperature}, batch {self.batch}",
                "search",
                "Give at least one hypothesis and window, and a temperature of 0 or more.",
            )


@torch.inference_mode()
def write(
    decoder: CharDecoder,
    characters: Characters,
    lengths: Int[Tensor, " window"],
    memory: Memory | None = None,
    search: Search | None = None,
    agreement: Agreement | None = None,
    cached: bool = True,
) -> list[str]:
    """Text of each window, `lengths` characters long at most and cut at a word's end.

    Parameters
    ----------
    lengths
        Characters to write per window (clamped to at least 1).
    memory
        Brain latents of the windows; None writes the language model alone.
    agreement
        Compares hypotheses with the latents; used where `search.agreement` is not 0.
    cached
        False recomputes every prefix, for tests and benchmarks: the text is the same.
    """
    search = search or Search()
    generator = torch.Generator(device=lengths.device).manual_seed(search.seed)
    texts: list[str] = []
    for start in range(0, len(lengths), search.batch):
        part = slice(start, start + search.batch)
        latents = None if memory is None else Memory(memory.latent[part], memory.centre[part])
        judge = agreement.part(part) if agreement is not None and search.agreement else None
        windows = torch.arange(len(lengths[part]), device=lengths.device)
        hypotheses = _Hypotheses(lengths[part].clamp(min=1), windows, search, latents, judge)
        texts += hypotheses.grow(decoder, generator, cached).best(characters)
    return texts


class _Hypotheses:
    """Ids (window, hypothesis, character) that grow by one character at a time; text k is taken from `window[k]`."""

    def __init__(
        self,
        lengths: Int[Tensor, " text"],
        window: Int[Tensor, " text"],
        search: Search,
        memory: Memory | None,
        judge: Agreement | None,
    ) -> None:
        self.search, self.lengths, self.window = search, lengths, window
        self.memory = None if memory is None else memory.repeat(search.hypotheses)
        self.judge = None if judge is None else judge.begin(search.hypotheses)
        shape = (int(window.max()) + 1, search.hypotheses)
        self.ids = torch.full((*shape, 1), Characters.BEGIN, dtype=torch.long, device=lengths.device)
        self.score = torch.zeros(shape, device=lengths.device)
        if search.temperature == 0:
            # All beams begin alike: only the first may have offspring at the first character.
            self.score[:, 1:] = -torch.inf
        self.agreed = torch.zeros(shape, device=lengths.device)
        self.finished: list[Tensor | None] = [None] * len(lengths)

    def grow(self, decoder: CharDecoder, generator: torch.Generator, cached: bool) -> _Hypotheses:
        cache = Cache(int(self.lengths.max())) if cached else None
        for step in range(int(self.lengths.max())):
            new = self.ids[..., -1:] if cache is not None else self.ids
            logits = decoder(new.flatten(0, 1), self.memory, cache)[:, -1].float()
            logits[:, Characters.BEGIN] = -torch.inf
            logits = logits.view(*self.ids.shape[:2], -1)
            extend = self._draw if self.search.temperature > 0 else self._extend
            parents, ids, self.score = extend(logits, generator)
            self._choose(parents, ids, cache)
            self._finish(step + 1)
        return self

    def _draw(self, logits: Tensor, generator: torch.Generator) -> tuple[Tensor | None, Tensor, Tensor]:
        chances = torch.softmax(logits / self.search.temperature, dim=-1)
        ids = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(*chances.shape[:2])
        gained = torch.log_softmax(logits, dim=-1).gather(2, ids[..., None])[..., 0]
        return None, ids, self.score + gained

    def _extend(self, logits: Tensor, generator: torch.Generator) -> tuple[Tensor | None, Tensor, Tensor]:
        """The best continuations of each window, by decoder score and the agreement so far."""
        score = self.score[..., None] + torch.log_softmax(logits, dim=-1)
        ranked = (score + self.search.agreement * self.agreed[..., None]).flatten(1)
        best = ranked.topk(self.search.hypotheses, dim=1).indices
        return best // logits.shape[-1], best % logits.shape[-1], score.flatten(1).gather(1, best)

    def _choose(self, parents: Tensor | None, ids: Tensor, cache: Cache | None) -> None:
        if parents is not None:
            self.ids = self.ids.gather(1, parents[..., None].expand_as(self.ids))
            if self.judge is not None:
                self.judge.select(parents)
            if cache is not None and parents.shape[1] > 1:  # a single beam has nobody to change places with
                offset = torch.arange(len(parents), device=parents.device)[:, None] * parents.shape[1]
                cache.select((parents + offset).flatten())
        self.ids = torch.cat((self.ids, ids[..., None]), dim=2)
        if self.judge is not None:
            self.agreed = self.judge.hear(ids)

    def _finish(self, length: int) -> None:
        for text in (self.lengths == length).nonzero().flatten().tolist():
            window = self.window[text]
            best = (self.score + self.search.agreement * self.agreed)[window].argmax()
            self.finished[text] = self.ids[window, best].clone()

    def best(self, characters: Characters) -> list[str]:
        return [_whole_words(characters.decode(ids.tolist())) for ids in self.finished if ids is not None]


def _whole_words(text: str) -> str:
    """Without the last word, which the length may have cut in two, unless it is the only one.

    Of a script without blanks the last character stays: it is whole, and what follows the last blank may be a clause.
    """
    whole = " " not in text.strip() or ends_unspaced(text)
    return text.strip() if whole else text[: text.rindex(" ")].strip()


@torch.inference_mode()
def write_alone(
    decoder: CharDecoder, characters: Characters, lengths: Int[Tensor, " window"], search: Search
) -> list[str]:
    """The language model alone at the same lengths.

    Without latents all windows grow the same hypotheses, so they grow once, and each length takes its best on the way.
    """
    generator = torch.Generator(device=lengths.device).manual_seed(search.seed)
    hypotheses = _Hypotheses(lengths.clamp(min=1), torch.zeros_like(lengths), search, None, None)
    return hypotheses.grow(decoder, generator, cached=True).best(characters)


def expected_lengths(counts: Float[Tensor, "window time 2"]) -> Int[Tensor, " window"]:
    """Characters that the text-rate model expects in each window."""
    return counts[..., 1].sum(dim=1).round().long()

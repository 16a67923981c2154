"""A causal language model of Hugging Face as a proposer of words: those of its pieces that are whole words.

Tang et al. 2023 take the next words of a GPT in the same way. All hypotheses of a step go through the network together
(their public code calls it hundreds of times a word); texts that were seen before are not asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int

from ..datasets.errors import BrokenData, WrongArgument
from .hugging_face import fingerprint, load_causal

REMEMBERED = 5_000  # texts whose proposals are kept
FEWEST = 100  # words that a vocabulary of whole pieces should have


@dataclass(frozen=True, eq=False)
class CausalWords:
    """Proposes words (see `word_ngrams.Proposer`).

    Parameters
    ----------
    model
        A local folder, or a name in the Hugging Face cache.
    vocabulary
        Words that are one piece of the model's after a blank.
    pieces
        (word,): which piece each of them is.
    words
        Words of context that the model is shown.
    """

    model: str
    vocabulary: Sequence[str]
    pieces: Int[np.ndarray, " word"]
    words: int = 24
    _known: dict[tuple[tuple[int, ...], int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, vocabulary: Sequence[str], fewest: int = FEWEST) -> CausalWords:
        """Of the words of a vocabulary, those that the model writes in one piece.

        Raises `MissingData` for a model that is not on this machine and `WrongArgument` for one that has fewer words.
        """
        tokenizer, _ = load_causal(model)
        found: dict[str, int] = {}
        for word in vocabulary:
            ids = tokenizer(f" {word}", add_special_tokens=False).input_ids
            if len(ids) == 1 and ids[0] != tokenizer.unk_token_id and ids[0] not in found.values():
                found[word] = ids[0]
        if len(found) < fewest:
            raise WrongArgument(
                f"{len(found)} of {len(vocabulary)} words are one piece", model, "Give a model with words for pieces."
            )
        return cls(model, list(found), np.array(list(found.values()), np.int64))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self.model)

    def require(self, known: str) -> None:
        """Raise `BrokenData` unless the weights are the known ones."""
        if self.fingerprint != known:
            raise BrokenData("not the weights that the run was made with", self.model, "Give back the same model.")

    def __call__(
        self, texts: Sequence[Sequence[int]], k: int
    ) -> tuple[Int[np.ndarray, "text k"], Float32[np.ndarray, "text k"]]:
        most = min(k, len(self.vocabulary))
        keys = [(tuple(text[-self.words :]), most) for text in texts]
        if new := list(dict.fromkeys(key for key in keys if key not in self._known)):
            if len(self._known) + len(new) > REMEMBERED:
                self._known.clear()
                new = list(dict.fromkeys(keys))
            odds = self.log_odds([text for text, _ in new])
            best = np.argsort(-odds, axis=1, kind="stable")[:, :most]
            kept = np.take_along_axis(odds, best, axis=1)
            self._known.update(zip(new, zip(best, kept, strict=True), strict=True))
        found = [self._known[key] for key in keys]
        return np.stack([words for words, _ in found]), np.stack([odds for _, odds in found])

    @torch.inference_mode()
    def log_odds(self, texts: Sequence[Sequence[int]]) -> Float32[np.ndarray, "text word"]:
        """Nats of every word of the vocabulary after each text, among these words."""
        tokenizer, network = self._loaded
        begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        ids = [[begin, *(int(self.pieces[word]) for word in text)] for text in texts]
        width = max(map(len, ids))
        # Texts end together: what is before them is masked, and places are counted from their own beginnings.
        padded = torch.tensor([[begin] * (width - len(one)) + one for one in ids])
        seen = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in ids])
        places = (seen.cumsum(dim=1) - 1).clamp(min=0)
        logits = network(input_ids=padded, attention_mask=seen, position_ids=places).logits[:, -1].float()
        return np.asarray(torch.log_softmax(logits[:, self.pieces], dim=1).numpy(), np.float32)

    @cached_property
    def _loaded(self) -> Any:
        return load_causal(self.model)

"""The forward model of a synthetic study: from a design, a seed and a text to the image of every run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from . import noise
from .design import SyntheticDesign
from .errors import WrongArgument
from .grammar import story
from .haemodynamics import evoked
from .planting import brain_mask, gains, planted_weights, scaled_to_snr, template, warp
from .study import Word

FORMAT = 1  # to be raised whenever the same design and seed would give other bytes

Text = Mapping[str, Sequence[Word]]

# Streams of random numbers, one for each thing that is drawn.
_DURATION, _TEMPLATE, _GAIN, _SUBJECT, _RUN = 10, 11, 12, 13, 14


@dataclass(frozen=True, eq=False)
class Plan:
    """A design, a seed and a text: everything from which the tree follows."""

    design: SyntheticDesign
    seed: int
    text: Text = field(repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for two trees to hold the same bytes."""
        spoken = [
            [name, *([word.text, word.onset, word.offset] for word in words)] for name, words in self.text.items()
        ]
        checksum = hashlib.sha256(json.dumps(spoken).encode()).hexdigest()
        return {"format": FORMAT, "seed": self.seed, "design": self.design.record(), "text": checksum}

    def n_rows(self, name: str) -> int:
        """Volumes of a story's recording: its last word and the tail."""
        end = max((word.offset for word in self.text[name]), default=0.0)
        return int(np.ceil((end + self.design.tail) / self.design.repetition_time))

    @cached_property
    def _evoked(self) -> dict[str, Float[np.ndarray, "time feature"]]:
        tr, n_topics = self.design.repetition_time, self.design.n_topics
        return {name: evoked(words, self.n_rows(name), tr, n_topics) for name, words in self.text.items()}

    @cached_property
    def feature_scale(self) -> Float[np.ndarray, " feature"]:
        """Standard deviation of each convolved feature over all stories; 1 for a feature that never occurs."""
        spread = np.concatenate(list(self._evoked.values())).std(0)
        return np.asarray(np.where(spread > 1e-9, spread, 1))

    def features(self, name: str) -> Float[np.ndarray, "time feature"]:
        """Convolved features of a story in units of `feature_scale`."""
        return np.asarray(self._evoked[name] / self.feature_scale)

    @cached_property
    def gains(self) -> Float[np.ndarray, " subject"]:
        return gains(self.design, self.draws(_GAIN))

    @cached_property
    def weights(self) -> list[Float[np.ndarray, "x y z feature"]]:
        """One map per person, in the image's units per unit of a feature; all 0 if the design's snr is 0."""
        covariance = np.cov(np.concatenate([self.features(name) for name in self.text]).T)
        signal_sd = self.design.snr * self.design.noise_sd
        return [
            scaled_to_snr(shape, covariance, gain * signal_sd)
            for shape, gain in zip(self._unscaled, self.gains, strict=True)
        ]

    @property
    def responsive(self) -> list[Bool[np.ndarray, "x y z"]]:
        """Per person: the voxels where a weight is planted, however small."""
        return [np.asarray(shape.any(-1)) for shape in self._unscaled]

    @cached_property
    def _unscaled(self) -> list[Float[np.ndarray, "x y z feature"]]:
        blobs = template(self.design, self.draws(_TEMPLATE))
        warps = (warp(self.design, self.draws(_SUBJECT, index)) for index in range(self.design.n_subjects))
        return [planted_weights(self.design, blobs, displacement) for displacement in warps]

    def draws(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    def volumes(self, subject: int, name: str) -> Float32[np.ndarray, "time x y z"]:
        """One run in the image's units; 0 outside the brain."""
        design, n_rows = self.design, self.n_rows(name)
        rng = self.draws(_RUN, subject, list(self.text).index(name))
        out = noise.noise(design, n_rows, rng)
        out += noise.drift(design, n_rows, rng)
        out += noise.spikes(design, n_rows, rng)
        out *= np.float32(design.noise_sd)
        out += np.einsum("tf,xyzf->txyz", self.features(name), self.weights[subject], optimize=True).astype(np.float32)
        out += noise.baseline(design, self.draws(_SUBJECT, subject, 1)).astype(np.float32)
        return np.asarray(out * brain_mask(design).volume)


def make_plan(design: SyntheticDesign, seed: int, text: Text | None) -> Plan:
    """A plan with the given text, or with stories of the grammar. Raises `WrongArgument` for a name BIDS forbids."""
    text = _grammar_text(design, seed) if text is None else text
    for name in text:
        if not re.fullmatch("[a-zA-Z0-9]+", name):
            raise WrongArgument(f"{name!r} cannot be a BIDS task label", "text", "Name stories by letters and digits.")
    if not any(text.values()):
        raise WrongArgument("there is no word to plant", "text", "Give at least one story with words.")
    return Plan(design, seed, text)


def _grammar_text(design: SyntheticDesign, seed: int) -> dict[str, list[Word]]:
    shortest, longest = design.durations
    lengths = np.arange(shortest, longest + 1e-6, 20.0)
    drawn = np.random.default_rng([seed, _DURATION]).choice(lengths, len(design.stories))
    return {name: story(seed, drawn[index], index) for index, name in enumerate(design.stories)}

"""A small study with planted truth, networks of which some have its geometry, and one analysis of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from plasticode.analysis.rdm import dataset, rdms
from plasticode.analysis.rsa import Rsa, rsa
from plasticode.analysis.rsa_config import RsaConfig
from plasticode.analysis.rsa_pictures import Drawn, pictures
from plasticode.datasets.image_study import ImageStudy, Stimuli
from rsatoolbox.rdm import RDMs
from torch import Tensor

IDS = [f"image_{number:02d}" for number in range(24)]
IMAGES = np.random.default_rng(0).integers(0, 256, (len(IDS), 3, 16, 16), np.uint8)
TRUTH, CHANNELS = 7, 40
SEEDS = 3


def drawn(images: np.ndarray, seed: int) -> np.ndarray:
    """Features (stimulus channel) that an image and a seed fix, and that no other image or seed tells anything of."""
    streams = [np.random.default_rng([seed, zlib.crc32(image.tobytes())]) for image in images]
    return np.stack([stream.normal(size=CHANNELS) for stream in streams]).astype(np.float32)


class Network:
    """Two layers of noise; those of the rule "true" have in the second one the geometry that is planted."""

    def __init__(self, rule: str, seed: int = 0, baseline: bool = False, dead: bool = False) -> None:
        self.rule, self.seed, self.baseline, self.dead = rule, seed, baseline, dead
        self.seen: list[int] = []

    def untrained_twin(self) -> Network:
        return Network("untrained", self.seed, baseline=True)

    def descriptors(self) -> dict[str, Any]:
        name = f"net {self.rule} seed {self.seed}"
        facts = {"network": "net", "data": "planted", "inference": "forward pass"}
        return {"name": name, "rule": self.rule, "seed": self.seed, "baseline": self.baseline, **facts}

    def fingerprint(self) -> str:
        return repr((self.rule, self.seed, self.dead))

    def input_shape(self) -> tuple[int, int, int]:
        return 3, 16, 16

    def features(self, images: Tensor) -> dict[str, Tensor]:
        self.seen.append(len(images))
        plain = (images * 255).round().to(torch.uint8).numpy()
        own = zlib.crc32(f"{self.rule} {self.seed}".encode())
        found = {"layer1": drawn(plain, own), "layer2": drawn(plain, TRUTH if self.rule == "true" else own + 1)}
        if self.dead:
            found["layer3"] = np.zeros((len(plain), 5), np.float32)
        return {name: torch.from_numpy(values) for name, values in found.items()}


class Planted(ImageStudy):
    """Six people in "A", in whom the truth is with noise, in "B" nothing but noise; one person in "C"."""

    study, url, doi, licence, citation = "planted", "https://x", "x", "x", "Planted et al. (2031)"
    info: ClassVar[dict[str, Any]] = {"stimuli": len(IDS)}
    subjects = tuple(f"s{number}" for number in range(6))  # type: ignore[assignment] # as a property would give them
    regions = ("A", "B", "C")  # type: ignore[assignment] # the same

    def __init__(self, order: Sequence[int] | None = None) -> None:
        self.order = list(range(len(IDS)) if order is None else order)

    def stimuli(self) -> Stimuli:
        ids = tuple(IDS[place] for place in self.order)
        halves = np.array([place % 2 == 0 for place in self.order])
        return Stimuli(
            ids, IMAGES[self.order], {"half": halves, "pair": np.array([place // 2 for place in self.order])}
        )

    def rdms(self, region: str, averaged: bool = True) -> RDMs:
        who = self.subjects[:1] if region == "C" else self.subjects
        found = rdms([self._patterns(subject, region) for subject in who])
        found.rdm_descriptors["region"] = [region] * len(who)
        return found

    def _patterns(self, subject: str, region: str) -> Any:
        noise = np.random.default_rng([ord(region), self.subjects.index(subject)]).normal(size=(len(IDS), CHANNELS))
        signal = 0 if region == "B" else drawn(IMAGES, TRUTH)
        values = (signal + noise)[self.order]
        return dataset(values, [IDS[place] for place in self.order], subject=subject, name=f"{region} {subject}")


@pytest.fixture(scope="session")
def planted() -> SimpleNamespace:
    """`Network`, `Planted`, `drawn` and the ids."""
    return SimpleNamespace(
        Network=Network, Planted=Planted, drawn=drawn, ids=IDS, images=IMAGES, truth=TRUTH, seeds=SEEDS
    )


@pytest.fixture(scope="session")
def figures(analysed: Rsa) -> dict[str, Drawn]:
    """All figures of that analysis, by name."""
    return {one.name: one for one in pictures(analysed)}


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Rsa:
    """Rules "true" and "noise" in three seeds each, "single" in one, with baselines and a category model."""
    config = RsaConfig(
        "planted",
        resolutions=["own", 9],
        categories={"halves": "half"},
        samples=150,
        permutations=150,
        measures=["spearman", "pearson"],
        cache=str(tmp_path_factory.mktemp("cache")),
    )
    networks = [Network(rule, seed) for rule in ("true", "noise") for seed in range(SEEDS)]
    return rsa(config, [*networks, Network("single")], Planted())

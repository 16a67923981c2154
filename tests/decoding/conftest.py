"""A tiny world for the decoding core: a vocabulary, runs from arrays, and models whose weights are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.study import Responses, Run, Study, VoxelMask, Word
from plasticode.datasets.synthetic import write_synthetic
from plasticode.datasets.windows import WindowShape
from plasticode.decoding.characters import Characters
from plasticode.decoding.decoder import CharDecoder
from plasticode.decoding.language_model import DecoderSize, LanguageModel
from plasticode.decoding.network import BrainToTextNetwork, DataFacts, NetworkSize
from plasticode.decoding.text_features import TextFeatures
from plasticode.decoding.trained import Split, TrainedModel
from plasticode.decoding.word_vectors import WordVectors
from torch import nn

from .planted_runs import brain_config, language_config, run_lightning

VOCABULARY = ("a", "be", "cab", "dead", "ebb", "fade", "gab", "had", "bead", "aged", "face", "he")
WORD_FEATURES = 5
N_LATENT = WORD_FEATURES + 2
DELAY = 2
SIZE = DecoderSize(width=16, layers=2, heads=2, n_latent=N_LATENT, dropout=0.0)


class ArrayStudy(Study):
    """Runs that are already in memory."""

    name, url, doi, licence, citation, language = "arrays", "none", "none", "CC0-1.0", "none", "en"
    info: ClassVar[dict[str, Any]] = {}

    def __init__(self, root: Path, runs: Sequence[Run]) -> None:
        super().__init__(root)
        self.by_key = {(run.subject, run.story): run for run in runs}

    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self.by_key})

    def stories(self, subject: str) -> list[str]:
        return sorted(story for person, story in self.by_key if person == subject)

    def run(self, subject: str, story: str, session: str = "") -> Run:
        return self.by_key[subject, story]


class Tiny:
    """Makes small parts. The planted model reads back the text features that `heard` puts into the responses."""

    window = WindowShape(duration=10.0, reach=2.0 * DELAY)
    rows = 5

    @staticmethod
    def characters() -> Characters:
        return Characters(" abcdefgh")

    @staticmethod
    def vectors() -> WordVectors:
        table = np.random.default_rng(5).normal(size=(len(VOCABULARY), WORD_FEATURES)).astype(np.float32)
        return WordVectors(VOCABULARY, table)

    @staticmethod
    def run(
        subject: str = "S1",
        story: str = "one",
        n_rows: int = 60,
        n_channels: int = N_LATENT,
        seed: int = 0,
        mask: VoxelMask | None = None,
        responses: np.ndarray | None = None,
        words: Sequence[Word] | None = None,
        repetition_time: float = 2.0,
    ) -> Run:
        """Noise as responses and about two random words per row, unless they are given."""
        rng = np.random.default_rng(seed)
        if responses is None:
            width = n_channels if mask is None else mask.n_voxels
            responses = rng.normal(size=(n_rows, width)).astype(np.float32)
        if words is None:
            onsets = np.sort(rng.uniform(0, len(responses) * repetition_time, 2 * len(responses)))
            words = [Word(str(rng.choice(VOCABULARY)), float(at), float(at)) for at in onsets]
        kept = Responses(responses, mask)
        return Run("arrays", subject, story, repetition_time, kept, tuple(words))

    @classmethod
    def features(cls) -> TextFeatures:
        return TextFeatures(cls.vectors()).fit([cls.run(seed=99)])

    @classmethod
    def heard(cls, run: Run, features: TextFeatures | None = None, noise: float = 0.0) -> Run:
        """The run with its own standardised text features as responses, `DELAY` rows later."""
        values = (features or cls.features()).of(run).features
        late = np.vstack([np.zeros((DELAY, values.shape[1]), np.float32), values])[: len(values)]
        late = late + noise * np.random.default_rng(len(run.story)).normal(size=late.shape)
        return replace(run, responses=Responses(late.astype(np.float32)))

    @classmethod
    def decoder(cls, seed: int = 1) -> CharDecoder:
        """Untrained, with opinions: open gates, and weights so large that its text varies."""
        torch.manual_seed(seed)
        decoder = CharDecoder(len(cls.characters()), **vars(SIZE)).eval()
        for parameter in decoder.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.6)
        nn.init.normal_(decoder.embed.weight, std=0.3)
        for block in decoder.blocks:
            block.brain.gate.data.fill_(1.0)
        return decoder

    @classmethod
    def language_model(cls, stories: tuple[str, ...] = ()) -> LanguageModel:
        return LanguageModel(cls.decoder(), SIZE, cls.characters(), cls.vectors(), ("book.txt",), stories)

    @classmethod
    def facts(cls, grid: tuple[int, int, int] | None = None, subjects: tuple[str, ...] = ("S1",)) -> DataFacts:
        channels = N_LATENT if grid is None else int(np.prod(grid))
        return DataFacts(subjects, cls.rows, DELAY, 2.0, channels, N_LATENT, (2.0, 8.0), grid)

    @classmethod
    def network(cls, grid: tuple[int, int, int] | None = None, subjects: tuple[str, ...] = ("S1",)) -> Any:
        decoder = cls.decoder()
        torch.manual_seed(1)
        size = NetworkSize(n_features=N_LATENT, hidden=8, width=4, places=6, dropout=0.0)
        return BrainToTextNetwork(cls.facts(grid, subjects), size, decoder, N_LATENT).eval()

    @classmethod
    def model(cls, grid: tuple[int, int, int] | None = None, subjects: tuple[str, ...] = ("S1",)) -> TrainedModel:
        """Untrained."""
        split = Split("arrays", (("S1", "trained"),), (("S1", "watched"),), (("S1", "one"),))
        network = cls.network(grid, subjects)
        return TrainedModel(network, SIZE, cls.characters(), cls.features(), cls.window, split, ("arrays/read",))

    @classmethod
    def planted(cls) -> TrainedModel:
        """The latent of a run made by `heard` is the text's embedding; the text rate grows with the number of words."""
        model = cls.model()
        network, identity = model.network, torch.eye(N_LATENT)
        network.encoder.trunk.linear.weight.data = torch.stack([0 * identity, 0 * identity, identity], dim=2)
        network.latent.mean.weight.data = identity.clone()
        network.text.convolution.weight.data = torch.stack([0 * identity, identity, 0 * identity], dim=2)
        network.counts.weight.data[:, -2] = 0.3
        trunk = network.encoder.trunk
        for bias in (trunk.linear.bias, trunk.out.bias, network.latent.mean.bias, network.text.convolution.bias):
            bias.data.zero_()
        return model

    @staticmethod
    def mask(*, drop: int = 3, shape: tuple[int, int, int] = (4, 4, 4), seed: int = 0) -> VoxelMask:
        """All voxels but some."""
        volume = np.ones(shape, bool)
        volume.flat[np.random.default_rng(seed).choice(volume.size, drop, replace=False)] = False
        return VoxelMask(volume, np.diag([3.0, 3.0, 3.0, 1.0]))

    study = ArrayStudy


@pytest.fixture
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture(scope="session")
def tiny_gpt(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a GPT-2 of two layers with random weights, whose pieces are whole words."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    path = tmp_path_factory.mktemp("tiny_gpt")
    pieces = ["<|endoftext|>", "<unk>", "the", "cat", "sat", "on", "mat", "un", "seen"]
    special = {"bos_token": pieces[0], "eos_token": pieces[0], "unk_token": pieces[1]}
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token=pieces[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(path)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(pieces), n_embd=8, n_layer=2, n_head=2, n_positions=32, initializer_range=0.5
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def planted_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two people, four stories of 80 s, as a BIDS tree; prepared in a cache of its own."""
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLASTICODE_CACHE", str(root / "cache"))
        yield write_synthetic(root / "bids", SyntheticDesign.small(train=("amber", "birch")), progress=False).root


@pytest.fixture(scope="module")
def language_model(planted_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted pre-training."""
    folder = tmp_path_factory.mktemp("language")
    return run_lightning("fit", language_config(folder, planted_tree), run_dir=str(folder / "run"))


@pytest.fixture(scope="module")
def brain_model(planted_tree: Path, language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training."""
    folder = tmp_path_factory.mktemp("brain")
    return run_lightning("fit", brain_config(folder, planted_tree, language_model), run_dir=str(folder / "run"))

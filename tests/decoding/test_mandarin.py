"""A made study in Mandarin characters from its files to a score. Oracles: the planted words; texts cut by hand.

The words are random characters: no story is told.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.study import Run, Word
from plasticode.datasets.synthetic import SyntheticStudy, write_synthetic
from plasticode.decoding.characters import closed, fold
from plasticode.decoding.frequent_words import frequent_words
from plasticode.decoding.metrics import cer_pairs, inapplicable, wer_pairs
from plasticode.decoding.reading import Reader
from plasticode.decoding.search import Search, _whole_words
from plasticode.decoding.text_features import TextFeatures
from plasticode.decoding.trained import TrainedModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning warns about itself while it is imported
    from plasticode.decoding.corpus_module import TextCorpus
    from plasticode.decoding.fitting import run_lightning

RNG = np.random.default_rng(0)
SIGNS = [chr(0x4E00 + int(place)) for place in RNG.choice(5000, 60, replace=False)]
WORDS = sorted({"".join(RNG.choice(SIGNS, int(RNG.integers(1, 4)))) for _ in range(40)})
HELD_OUT = ["lagoon"]


def said(seed: int, duration: float = 79.0) -> list[Word]:
    rng = np.random.default_rng(seed)
    onsets = np.cumsum(rng.uniform(0.3, 0.6, 300))
    return [Word(str(rng.choice(WORDS)), at, at + 0.3) for at in onsets[onsets < duration].tolist()]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyntheticStudy]:
    """Two people, four stories, and prose of the same words without a blank; in a cache of its own."""
    root = tmp_path_factory.mktemp("mandarin")
    design = SyntheticDesign.small(train=("amber", "birch"))
    text = {name: said(seed) for seed, name in enumerate((*design.train, *design.validation, *design.test))}
    rng = np.random.default_rng(9)
    prose = ["".join(rng.choice(WORDS, 8)) + "。" for _ in range(60)]
    (root / "prose.txt").write_text("".join(prose), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLASTICODE_CACHE", str(root / "cache"))
        yield write_synthetic(root / "bids", design, text=text, progress=False)


def corpus(tree: SyntheticStudy, **changes: Any) -> dict[str, Any]:
    stories = {"study": "synthetic", "root": str(tree.root), "excluded_stories": HELD_OUT}
    sizes = {"length": 32, "batch_size": 4, "steps_per_epoch": 2, "word_features": 6}
    prose = {"paths": [str(tree.root.parent / "prose.txt")], "validation_stories": ["kelp"]}
    return {**stories, **sizes, **prose, **changes}


def fitted(folder: Path, model: tuple[str, dict[str, Any]], data: tuple[str, dict[str, Any]]) -> Path:
    quiet = {"enable_model_summary": False, "enable_progress_bar": True, "accelerator": "cpu", "max_epochs": 1}
    parts: dict[str, Any] = {"trainer": quiet}
    for name, (path, arguments) in (("model", model), ("data", data)):
        parts[name] = {"class_path": f"plasticode.decoding.{path}", "init_args": arguments}
    (folder / "given.yaml").write_text(json.dumps(parts))
    return run_lightning("fit", ["--config", str(folder / "given.yaml")], run_dir=str(folder / "run"))


@pytest.fixture(scope="module")
def model(study: SyntheticStudy, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Trained for a few steps: it has learned nothing, but has been through everything."""
    decoder = {"width": 16, "layers": 1, "heads": 2, "n_latent": 6, "dropout": 0.0}
    folder = tmp_path_factory.mktemp("language")
    language = fitted(
        folder, ("pretraining.CharLanguageModel", {"size": decoder}), ("corpus_module.TextCorpus", corpus(study))
    )
    size = {"n_features": 6, "hidden": 6, "width": 2, "places": 6}
    windows = {"study": "synthetic", "root": str(study.root), "language_model": str(language)}
    windows |= {"validation_stories": ["kelp"], "test_stories": HELD_OUT}
    windows |= {"stories_per_batch": 2, "windows_per_story": 2, "steps_per_epoch": 2}
    brain = ("training.BrainToText", {"size": size, "objective": {"decoded_windows": 2}})
    return TrainedModel.load(fitted(tmp_path_factory.mktemp("brain"), brain, ("story_module.StoryWindows", windows)))


@pytest.fixture(scope="module")
def heard(study: SyntheticStudy) -> Run:
    return study.run("sub-01", "lagoon")


def test_the_words_come_from_disk_as_they_were_planted(heard: Run) -> None:
    assert [word.text for word in heard.words] == [word.text for word in said(3)]


def test_alphabet_and_word_vectors_come_from_the_training_text(study: SyntheticStudy) -> None:
    data = TextCorpus(**corpus(study))
    data.setup()
    assert data.characters is not None
    assert set(data.characters.symbols) == {*"".join(WORDS), " "}
    # Prose is parted into the very words that were heard: no clause passes for a word.
    assert set(data.vectors.vocabulary) <= set(WORDS)
    prose = data.characters.decode(data.parts[0].tolist()).split()
    assert np.mean([len(word) for word in prose]) < 3


def test_prose_without_a_study_is_parted_into_characters(study: SyntheticStudy) -> None:
    data = TextCorpus(**corpus(study, study=None, validation_stories=None))
    data.setup()
    assert {len(word) for word in data.vectors.vocabulary} == {1}


def test_what_is_decoded_is_scored_by_character(model: TrainedModel, heard: Run) -> None:
    reader = Reader(model)
    reading = reader.read(heard)
    assert reading.true[0] == " ".join(
        word.text for word in heard.words_between(0, reading.rows * heard.repetition_time)
    )
    for search in (Search(hypotheses=2, agreement=3.0), Search(hypotheses=2, temperature=1.0)):
        texts = reader.write(reading, search)
        assert texts == reader.write(reading, search)
        assert set("".join(texts)) <= {*"".join(WORDS), " "}
        assert cer_pairs(texts, reading.true).shape == (len(texts), len(texts))
    assert np.diag(cer_pairs(reading.true, reading.true)).max() == 0
    assert inapplicable(reading.true).keys() == {"meteor"}


def test_windows_of_mandarin_count_the_studys_own_words(model: TrainedModel, heard: Run) -> None:
    text = TextFeatures(model.features.vectors).of(heard)
    assert text.counts[:, 0].sum() == len(heard.words)
    assert text.counts[:, 1].sum() == sum(len(word.text) + 1 for word in heard.words)
    assert text.text(0, len(text.counts)) == fold(" ".join(word.text for word in heard.words))


def test_the_most_frequent_words_are_words(study: SyntheticStudy) -> None:
    texts = [" ".join(word.text for word in said(seed)) for seed in (0, 1)]
    (written,) = frequent_words(texts, [5])
    assert set(written.split()) <= set(WORDS)
    assert wer_pairs([written], [written]).item() == 0
    assert closed(written) == written.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("the cat sa", "the cat"),
        ("the cat ", "the cat"),
        ("cat", "cat"),
        ("今天 天气 很", "今天 天气 很"),
        ("今天 我们去看山上的羊", "今天 我们去看山上的羊"),
        ("他说 hel", "他说"),
        ("he said 你", "he said 你"),
        ("", ""),
    ],
)
def test_only_a_word_that_the_length_may_have_cut_in_two_is_left_out(text: str, cut: str) -> None:
    assert _whole_words(text) == cut

"""Oracle: the score recomputed from strings, with TextFeatures' own layout, for every prefix of a text."""

import numpy as np
import pytest
import torch
from plasticode.decoding.agreement import Agreement, Vocabulary
from plasticode.decoding.decoder import Memory
from plasticode.decoding.text_features import TextEmbedding

TEXTS = ["a cab had xyg bead", "he  he faded a gab", " dead aged face eb", "cabbage ebb ebb he"]


@pytest.fixture
def memory():
    torch.manual_seed(0)
    return Memory(torch.randn(2, 4, 7), torch.tensor([[1.0, 5.0, 9.0, 14.0], [3.0, 4.0, 12.0, 40.0]]))


@pytest.fixture
def embedding():
    torch.manual_seed(1)
    return TextEmbedding(7, 7)


@pytest.fixture
def agreement(tiny, memory, embedding):
    features, characters = tiny.features(), tiny.characters()
    return Agreement(memory, embedding, features, Vocabulary(features, characters), characters.space)


def spread(characters, texts):
    """Ids (window, hypothesis, character) of texts, spaces included; both windows write the same texts."""
    ids = [[characters.symbols.index(c) + 1 if c in characters.symbols else 1 for c in text] for text in texts]
    return torch.tensor([ids, ids])


def recomputed(text, window, memory, embedding, features):
    """Similarity of the finished words of `text`, at the moment at which the last of them was finished."""
    end = max((i for i in range(1, len(text)) if text[i] == " " and text[i - 1] != " "), default=None)
    if end is None:
        return 0.0
    centre = memory.centre[window]
    raw = np.zeros((len(centre), features.n_features), np.float32)
    begun = 0
    for word in text[:end].split(" "):
        if word:
            row = int((begun - centre).abs().argmin())
            raw[row] += [*features.vectors([word])[0], 1, len(word) + 1]
        begun += len(word) + 1
    standard = torch.from_numpy((raw - features.mean) / features.scale)
    reached = [row for row in range(len(centre)) if row == 0 or centre[row] <= end]
    with torch.no_grad():
        ours = embedding(standard[None])[0, reached].flatten()
    theirs = memory.latent[window, reached].flatten()
    return float(ours @ theirs / ours.norm() / theirs.norm())


def test_the_growing_score_equals_a_recomputation_from_strings(tiny, memory, embedding, agreement):
    characters, features = tiny.characters(), tiny.features()
    texts = [text.replace("x", "f").replace("y", "f") for text in TEXTS]
    ids = spread(characters, texts)
    judge = agreement.begin(len(texts))
    for length in range(1, ids.shape[2] + 1):
        with torch.no_grad():
            found = judge.hear(ids[..., length - 1])
        for window in range(2):
            expected = [recomputed(text[:length], window, memory, embedding, features) for text in texts]
            torch.testing.assert_close(found[window], torch.tensor(expected), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def hear(judge, ids):
    for step in range(ids.shape[2]):
        judge.hear(ids[..., step])
    return judge


def test_unknown_words_add_nothing_to_the_content_and_count_as_words(tiny, agreement):
    characters = tiny.characters()
    judge = hear(agreement.begin(2), spread(characters, ["gggg ", "face "]))
    content = judge.raw[..., :-2].abs().sum(dim=(2, 3))
    assert content[:, 0].tolist() == [0, 0]
    assert bool((content[:, 1] > 0).all())
    assert judge.raw[..., -2:].sum(dim=2).tolist() == [[[1, 5], [1, 5]]] * 2


def test_the_vocabulary_finds_every_word_and_no_prefix_reversal_or_neighbour(tiny):
    features, characters = tiny.features(), tiny.characters()
    vocabulary, base = Vocabulary(features, characters), 1_000_003

    def value(text):
        total = torch.zeros((), dtype=torch.long)
        for i in characters.encode(text):
            total = total * base + i
        return vocabulary(total).numpy()

    words = features.vectors.vocabulary
    np.testing.assert_array_equal([value(word) for word in words], features.vectors.table)
    for other in ("b", "ea", "bac", "deadd", "facf", "hh"):
        np.testing.assert_array_equal(value(other), 0)


def test_selected_hypotheses_go_on_as_if_they_had_been_alone(tiny, agreement):
    characters, texts = tiny.characters(), TEXTS[2:]
    ids = spread(characters, texts)
    judge = hear(agreement.begin(2), ids[..., :9])
    judge.select(torch.tensor([[1, 1], [0, 1]]))
    swapped = torch.stack([ids[0, [1, 1]], ids[1, [0, 1]]])
    found = hear(judge, swapped[..., 9:]).score
    torch.testing.assert_close(found, hear(agreement.part(slice(None)).begin(2), swapped).score)


def test_a_part_judges_its_own_windows(tiny, agreement):
    ids = spread(tiny.characters(), TEXTS[2:])
    whole = hear(agreement.part(slice(None)).begin(2), ids).score
    second = hear(agreement.part(slice(1, 2)).begin(2), ids[1:]).score
    torch.testing.assert_close(second[0], whole[1])
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)


def test_the_text_that_the_latent_was_made_from_agrees_best(tiny):
    features, characters = tiny.features(), tiny.characters()
    torch.manual_seed(2)
    embedding, centre = TextEmbedding(7, 7), torch.tensor([[0.0, 8.0, 16.0]])
    true = "face he a dead bead gab "
    raw = np.zeros((1, 3, 7), np.float32)
    place = 0
    for word in true.split():
        row = int((torch.tensor(float(place)) - centre[0]).abs().argmin())
        raw[0, row] += [*features.vectors([word])[0], 1, len(word) + 1]
        place += len(word) + 1
    with torch.no_grad():
        latent = embedding(torch.from_numpy((raw - features.mean) / features.scale))
    judge = Agreement(Memory(latent, centre), embedding, features, Vocabulary(features, characters), characters.space)
    others = [true, "dead gab a face bead he ", "cab be aged ebb had fade"]
    ids = torch.tensor([[[characters.symbols.index(c) + 1 for c in text] for text in others]])
    score = hear(judge.begin(3), ids).score[0]
    assert score[0] == pytest.approx(1.0, abs=1e-5)
    assert score[1:].max() < 0.95

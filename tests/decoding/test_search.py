"""Oracles: a loop that takes the best character, all texts of a tiny alphabet, and the same search without a cache."""

import inspect
import itertools

import pytest
import torch
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.agreement import Agreement, Vocabulary
from plasticode.decoding.characters import Characters
from plasticode.decoding.decoder import CharDecoder, Memory
from plasticode.decoding.search import Search, expected_lengths, write, write_alone
from plasticode.decoding.text_features import TextEmbedding
from torch import nn


@pytest.fixture
def memory():
    torch.manual_seed(3)
    return Memory(torch.randn(5, 5, 7), torch.linspace(1, 20, 5).repeat(5, 1))


@pytest.fixture
def agreement(tiny, memory):
    torch.manual_seed(4)
    features, characters = tiny.features(), tiny.characters()
    return Agreement(memory, TextEmbedding(7, 7), features, Vocabulary(features, characters), characters.space)


LENGTHS = torch.tensor([20, 7, 1, 13, 20])


@torch.no_grad()
def greedy(decoder, length, memory):
    ids = [Characters.BEGIN]
    for _ in range(length):
        logits = decoder(torch.tensor([ids]), memory)[0, -1]
        logits[Characters.BEGIN] = -torch.inf
        ids.append(int(logits.argmax()))
    return ids


def cut(text):
    """At the last space, unless nothing would be left."""
    return text.strip() if " " not in text.strip() else text.rpartition(" ")[0].strip()


def test_a_beam_of_one_is_the_greedy_loop(tiny, memory):
    decoder, characters = tiny.decoder(), tiny.characters()
    found = write(decoder, characters, LENGTHS, memory, Search(hypotheses=1))
    parts = [Memory(memory.latent[i : i + 1], memory.centre[i : i + 1]) for i in range(5)]
    expected = [greedy(decoder, int(length), part) for length, part in zip(LENGTHS, parts, strict=True)]
    assert found == [cut(characters.decode(ids)) for ids in expected]
    assert len(set(found)) == 5


def test_nearly_cold_samples_are_greedy(tiny, memory):
    decoder, characters = tiny.decoder(), tiny.characters()
    cold, beam = Search(hypotheses=2, temperature=1e-4), Search(hypotheses=1)
    assert write(decoder, characters, LENGTHS, memory, cold) == write(decoder, characters, LENGTHS, memory, beam)


@torch.no_grad()
def log_probabilities(decoder, texts, memory):
    ids = torch.cat((torch.zeros(len(texts), 1, dtype=torch.long), texts), dim=1)
    logits = decoder(ids[:, :-1], memory)
    logits[..., Characters.BEGIN] = -torch.inf
    return torch.log_softmax(logits, dim=-1).gather(2, texts[..., None]).sum(dim=(1, 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_all_texts_finds_the_most_probable_one(seed):
    torch.manual_seed(seed)
    characters, decoder = Characters("abc"), CharDecoder(4, width=8, layers=1, heads=2, n_latent=3).eval()
    nn.init.normal_(decoder.embed.weight, std=1.0)
    decoder.blocks[0].brain.gate.data.fill_(1.0)
    memory = Memory(torch.randn(1, 2, 3), torch.tensor([[1.0, 3.0]]))
    texts = torch.tensor(list(itertools.product((1, 2, 3), repeat=4)))
    scores = log_probabilities(decoder, texts, memory.repeat(len(texts)))
    found = write(decoder, characters, torch.tensor([4]), memory, Search(hypotheses=81))
    assert found == [characters.decode(texts[scores.argmax()].tolist())]


@pytest.mark.parametrize(("weight", "seed"), [(0.0, 1), *((30.0, seed) for seed in range(6))])
def test_with_agreement_it_finds_the_text_of_the_best_sum(tiny, memory, weight, seed):
    torch.manual_seed(seed)
    characters, features, decoder = Characters(" ab"), tiny.features(), CharDecoder(4, 8, 1, 2, 7).eval()
    nn.init.normal_(decoder.embed.weight, std=0.6)
    one = Memory(memory.latent[:1], torch.linspace(1, 5, 5)[None])
    judge = Agreement(one, TextEmbedding(7, 7), features, Vocabulary(features, characters), characters.space)
    texts = torch.tensor(list(itertools.product((1, 2, 3), repeat=5)))
    with torch.no_grad():
        heard = judge.part(slice(0, 1)).begin(len(texts))
        agreed = [heard.hear(ids[None]) for ids in texts.T][-1][0]
        scores = log_probabilities(decoder, texts, one.repeat(len(texts))) + weight * agreed
    search = Search(hypotheses=3**5, agreement=weight)
    found = write(decoder, characters, torch.tensor([5]), one, search, judge)
    assert found == [cut(characters.decode(texts[scores.argmax()].tolist()))]


SEARCHES = [Search(1), Search(4), Search(4, agreement=5.0), Search(3, temperature=0.8), Search(3, 0.8, agreement=5.0)]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_cached_and_uncached_search_write_the_same_text(tiny, memory, agreement, search):
    decoder, characters = tiny.decoder(), tiny.characters()
    cached, uncached = (
        write(decoder, characters, LENGTHS, memory, search, agreement, cached=cached) for cached in (True, False)
    )
    assert cached == uncached


@pytest.mark.parametrize("batch", [1, 2, 64])
@pytest.mark.parametrize("search", SEARCHES[:3], ids=str)
def test_batch_size_and_order_change_no_text(tiny, memory, agreement, search, batch):
    decoder, characters = tiny.decoder(), tiny.characters()
    order = torch.tensor([3, 0, 4, 2, 1])
    judge = agreement.part(slice(None))
    judge.memory = Memory(memory.latent[order], memory.centre[order])
    whole = write(decoder, characters, LENGTHS, memory, search, agreement)
    parts = write(decoder, characters, LENGTHS[order], judge.memory, Search(**vars(search) | {"batch": batch}), judge)
    assert parts == [whole[i] for i in order]


def test_agreement_changes_what_is_written(tiny, memory, agreement):
    decoder, characters = tiny.decoder(), tiny.characters()
    texts = [
        write(decoder, characters, LENGTHS, memory, Search(8, agreement=weight), agreement) for weight in (0.0, 50.0)
    ]
    assert texts[0] != texts[1]


def test_the_brain_changes_what_is_written(tiny, memory):
    decoder, characters = tiny.decoder(), tiny.characters()
    assert write(decoder, characters, LENGTHS, memory) != write(decoder, characters, LENGTHS)


@pytest.mark.parametrize("search", SEARCHES[:4], ids=str)
def test_no_text_is_longer_than_asked_and_all_end_with_a_whole_word(tiny, memory, agreement, search):
    texts = write(tiny.decoder(), tiny.characters(), LENGTHS, memory, search, agreement)
    assert all(len(text) <= length for text, length in zip(texts, LENGTHS.tolist(), strict=True))
    assert texts == [text.strip() for text in texts]


class Dictating(nn.Module):
    """Writes a text, whatever it is asked."""

    def __init__(self, ids):
        super().__init__()
        self.ids = ids

    def forward(self, ids, memory=None, cache=None):
        length = ids.shape[1] - 1 if cache is None else cache.length
        if cache is not None:
            cache.length += 1
        logits = torch.full((len(ids), 1, 10), -10.0)
        logits[:, :, self.ids[length]] = 10.0
        return logits


@pytest.mark.parametrize(
    ("length", "text"),
    [(15, "had a bead"), (14, "had a bead"), (10, "had a"), (11, "had a bead"), (3, "had"), (2, "ha"), (0, "h")],
)
def test_the_text_is_cut_at_a_word_s_end_unless_there_is_one_word_only(tiny, length, text):
    characters = tiny.characters()
    dictating = Dictating(characters.encode("had a bead face gab"))
    for cached in (True, False):
        assert write(dictating, characters, torch.tensor([length]), search=Search(2), cached=cached) == [text]


def test_samples_are_the_same_for_a_seed_and_differ_between_seeds(tiny, memory):
    decoder, characters = tiny.decoder(), tiny.characters()
    one, again, other = (
        write(decoder, characters, LENGTHS, memory, Search(2, temperature=1.0, seed=seed)) for seed in (0, 0, 1)
    )
    assert one == again != other


def test_no_search_is_handed_a_true_text():
    names = list(inspect.signature(write).parameters)
    assert names == ["decoder", "characters", "lengths", "memory", "search", "agreement", "cached"]


def test_the_language_model_alone_writes_each_length_once_and_as_search_does(tiny):
    decoder, characters = tiny.decoder(), tiny.characters()
    texts = write_alone(decoder, characters, LENGTHS, Search(3))
    assert texts == write(decoder, characters, LENGTHS, None, Search(3))
    assert texts[0] == texts[4]


def test_lengths_are_the_expected_characters_of_all_rows():
    counts = torch.tensor([[[1.0, 4.2], [1.0, 5.5]], [[2.0, 0.1], [3.0, 0.2]]])
    assert expected_lengths(counts).tolist() == [10, 0]


@pytest.mark.parametrize("wrong", [{"hypotheses": 0}, {"temperature": -0.1}, {"batch": 0}])
def test_searches_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(WrongArgument, match="at least one hypothesis"):
        Search(**wrong)

"""Oracles: a model whose weights are known by hand, and recordings whose true text was exchanged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData, WrongArgument
from plasticode.datasets.study import Word
from plasticode.decoding.reading import Reader
from plasticode.decoding.search import Search, expected_lengths

SEARCHES = [Search(3, agreement=4.0), Search(2, temperature=0.7, agreement=4.0)]


def exchanged(run):
    """The same recording with other words in it."""
    return replace(run, words=tuple(Word("gab", word.onset / 2, word.onset / 2) for word in run.words[::3]))


def test_the_latent_of_a_planted_run_is_the_embedding_of_its_text(tiny):
    run = tiny.heard(tiny.run(n_rows=63))
    reading = Reader(tiny.planted()).read(run)
    torch.testing.assert_close(reading.latent, reading.embedding, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(np.diag(reading.similarity()), 1, atol=1e-5)
    expected = tiny.features().of(run).features[:60].reshape(12, 5, -1)
    np.testing.assert_allclose(reading.embedding.numpy()[:, 1:-1], expected[:, 1:-1], atol=1e-5)


def test_windows_follow_each_other_from_the_first_row_on(tiny):
    run = tiny.run(n_rows=33)
    reading = Reader(tiny.model()).read(run)
    assert reading.starts == (0, 5, 10, 15, 20, 25)
    assert reading.onsets() == [0, 10, 20, 30, 40, 50]
    text = tiny.features().of(run)
    assert reading.true == [text.text(start, start + 5) for start in reading.starts]
    np.testing.assert_array_equal(reading.true_counts.reshape(30, 2), text.counts[:30])


@pytest.mark.parametrize("search", SEARCHES, ids=str)
@pytest.mark.parametrize("model", ["planted", "model"])
def test_the_true_text_never_reaches_the_decoded_text(tiny, model, search):
    run, reader = tiny.heard(tiny.run()), Reader(getattr(tiny, model)())
    one, other = reader.read(run), reader.read(exchanged(run))
    assert one.true != other.true
    assert torch.equal(one.latent, other.latent)
    assert torch.equal(one.counts, other.counts)
    assert reader.write(one, search) == reader.write(other, search)
    assert reader.write_alone(one, search) == reader.write_alone(other, search)


def test_the_responses_reach_the_decoded_text(tiny):
    reader = Reader(tiny.planted())
    texts = [reader.write(reader.read(tiny.heard(tiny.run(seed=seed))), SEARCHES[0]) for seed in (0, 1)]
    assert texts[0] != texts[1]
    assert len(set(texts[0])) > 3


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_windows_read_in_batches_of_any_size_give_the_same_text(tiny, batch):
    run, model = tiny.heard(tiny.run()), tiny.planted()
    one, other = (Reader(model, batch=size) for size in (batch, 5))
    torch.testing.assert_close(one.read(run).latent, other.read(run).latent, atol=1e-6, rtol=1e-5)
    assert one.write(one.read(run), SEARCHES[0]) == other.write(other.read(run), SEARCHES[0])


def test_a_run_without_words_is_read_and_written_all_the_same(tiny):
    run, reader = tiny.heard(tiny.run()), Reader(tiny.planted())
    silent = reader.read(replace(run, words=()))
    assert set(silent.true) == {""}
    assert reader.write(silent, SEARCHES[0]) == reader.write(reader.read(run), SEARCHES[0])


def test_text_is_no_longer_than_the_text_rate_says(tiny):
    reader = Reader(tiny.planted())
    reading = reader.read(tiny.heard(tiny.run()))
    lengths = expected_lengths(reading.counts).tolist()
    assert all(len(text) <= max(1, n) for text, n in zip(reader.write(reading, SEARCHES[0]), lengths, strict=True))


def test_a_masked_run_is_read_from_its_volumes(tiny):
    run = tiny.run(mask=tiny.mask())
    model = tiny.model((4, 4, 4))
    reading = Reader(model).read(run)
    volumes = torch.from_numpy(run.responses.mask.unfold(run.responses.padded(5, 12)))[None]
    expected = model.network.posterior(volumes, torch.tensor([0])).mean
    torch.testing.assert_close(reading.latent[1:2], expected, atol=1e-5, rtol=1e-5)


def test_an_unseen_person_s_volumes_are_read_with_the_group_s_gates(tiny):
    model = tiny.model((4, 4, 4), subjects=("S1", "S2"))
    torch.nn.init.normal_(model.network.voxels.deviation[1])
    first, second, unseen = (
        Reader(model).read(tiny.run(subject, mask=tiny.mask())).latent for subject in ("S1", "S2", "S9")
    )
    torch.testing.assert_close(unseen, first)
    assert not torch.allclose(unseen, second, atol=1e-4)


def test_fewer_channels_are_read_as_if_the_others_were_at_their_mean(tiny):
    run = tiny.run(n_channels=4)
    padded = tiny.run(responses=np.pad(run.responses[:], ((0, 0), (0, 3))))
    reader = Reader(tiny.model())
    torch.testing.assert_close(reader.read(run).latent, reader.read(padded).latent)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"repetition_time": 1.5}, BrokenData, "repetition time 1.5 s, but the model was trained at 2.0 s"),
        ({"subject": "S9"}, WrongArgument, "subject S9 was not trained on.*Trained on: S1."),
        ({"n_channels": 8}, BrokenData, "8 channels, but the model reads 7"),
        ({"n_rows": 4}, BrokenData, "shorter than one window of 10 s"),
    ],
)
def test_channels_of_another_kind_are_refused(tiny, change, error, said):
    with pytest.raises(error, match=said) as caught:
        Reader(tiny.model()).read(tiny.run(**change))
    assert "arrays/" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "said"), [((4, 4, 5), r"grid \(4, 4, 5\), but the model reads \(4, 4, 4\)"), (None, "grid None")]
)
def test_another_grid_is_refused(tiny, shape, said):
    run = tiny.run(mask=tiny.mask(shape=shape)) if shape else tiny.run()
    with pytest.raises(BrokenData, match=said):
        Reader(tiny.model((4, 4, 4))).read(run)


def test_text_similarity_is_the_centred_cosine_of_summed_word_vectors(tiny):
    decoded, true = ["a be", "dead face", "gab zzz"], ["be a", "dead", "cab he"]
    vectors = tiny.vectors()
    left, right = (np.stack([vectors.text(text) for text in texts]) for texts in (decoded, true))
    found = Reader(tiny.model()).text_similarity(decoded, true)
    np.testing.assert_allclose(found, centred(left, right), atol=1e-5)


def centred(left, right):
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    return [[one @ two / np.sqrt((one @ one) * (two @ two)) for two in right] for one in left]


def test_word_order_does_not_matter_to_text_similarity(tiny):
    reader = Reader(tiny.model())
    found = reader.text_similarity(["a be", "dead"], ["a be", "dead"])
    np.testing.assert_allclose(reader.text_similarity(["be a", "dead"], ["a be", "dead"]), found, atol=1e-6)
    np.testing.assert_allclose(found, [[1, -1], [-1, 1]], atol=1e-5)

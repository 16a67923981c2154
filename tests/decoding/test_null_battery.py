"""Oracles: a small model trained until it decodes, then fed what holds nothing of the story; what a null must leave."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import WrongArgument
from plasticode.datasets.study import Responses, Word
from plasticode.decoding import null_runs
from plasticode.decoding.characters import Characters, padded
from plasticode.decoding.comparisons import comparisons
from plasticode.decoding.decoder import CharDecoder, Memory
from plasticode.decoding.evaluation import Evaluation
from plasticode.decoding.null_battery import (
    ALONE_AS_NOISE,
    MUST_FAIL,
    NOISE,
    NULLS,
    OTHER,
    REVERSED,
    SHIFTED,
    UNTRAINED,
    ZERO,
    Battery,
    named,
)
from plasticode.decoding.null_shifts import shifted_latents
from plasticode.decoding.null_table import null_rows
from plasticode.decoding.null_verdict import noise_sentence, noise_warning
from plasticode.decoding.reading import Reader
from plasticode.decoding.report_input import Comparison
from plasticode.decoding.results import ALONE, DECODER, rows_of_story, rows_pooled
from plasticode.decoding.search import Search
from plasticode.decoding.window_scores import WindowScores
from torch.nn.functional import cross_entropy

VOCABULARY = ("a", "be", "cab", "dead", "ebb", "fade", "gab", "had", "bead", "aged", "face", "he")
STEPS, DRAWS = 200, 3
EVERY = ("latent_top1", "latent_rate_matched_top1", "text_top1", "text_rate_matched_top1", "text_percentile")


def spoken(tiny, story, seed, n_rows=100, subject="S1", noise=0.3):
    """A person hears one word in every row."""
    drawn = np.random.default_rng(seed).choice(VOCABULARY, size=n_rows)
    words = [Word(str(word), 2.0 * row + 0.5, 2.0 * row + 0.5) for row, word in enumerate(drawn)]
    return tiny.heard(tiny.run(subject, story, n_rows, words=words), noise=noise)


def learn_to_write(model, readings):
    """Train the decoder, half of the time without latents, so that it is a language model too."""
    network, characters = model.network, model.characters
    latent = torch.cat([reading.latent for reading in readings])
    ids = padded([[Characters.BEGIN, *characters.encode(text)] for one in readings for text in one.true], 4)
    counts = torch.cat([torch.from_numpy(reading.true_counts) for reading in readings])
    network.counts.weight.data.zero_()
    network.counts.bias.data = counts.mean(dim=(0, 1)).log()
    whole, chosen = network.memory(latent), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.decoder.parameters(), lr=0.01)
    for step in range(STEPS):
        pick = torch.randint(len(ids), (32,), generator=chosen)
        memory = Memory(whole.latent[pick], whole.centre[pick]) if step % 3 else None
        logits = network.decoder(ids[pick], memory, None)[:, :-1]
        optimiser.zero_grad()
        cross_entropy(logits.flatten(0, 1), ids[pick, 1:].flatten(), ignore_index=Characters.BEGIN).backward()
        optimiser.step()


@cache
def trained(tiny):
    """A trained model: the encoder reads a person's features as planted, the decoder has learned to write them."""
    model = tiny.planted()
    torch.manual_seed(0)
    model.network.decoder = CharDecoder(len(model.characters), **vars(model.decoder_size))
    reader = Reader(model)
    learn_to_write(model, [reader.read(spoken(tiny, f"t{seed}", 100 + seed, 250)) for seed in range(6)])
    model.network.decoder.eval()
    return reader


@cache
def evaluated(tiny):
    """Three stories with all nulls; the other person's channels hold the same story at right angles to this one's."""

    def others(run):
        turned = run.responses[:][:, [1, 0, 3, 2, 5, 4, 6]] * np.array([1, -1, 1, -1, 1, -1, 0], np.float32)
        return [replace(run, subject="S2", responses=Responses(turned))]

    evaluation = Evaluation(trained(tiny), Search(2), "none", battery=Battery(named("all"), DRAWS, others))
    return [evaluation.score(spoken(tiny, f"s{seed}", seed)) for seed in range(3)]


@cache
def all_comparisons(tiny):
    return [Comparison(**row) for row in comparisons(evaluated(tiny))]


@pytest.fixture
def reader(tiny):
    return trained(tiny)


@pytest.fixture
def scored(tiny):
    return evaluated(tiny)


@pytest.fixture
def compared(tiny):
    return all_comparisons(tiny)


def pooled(scored, system):
    return {row.metric: row for row in rows_pooled([story.scores[system] for story in scored], n_draws=2000)}


def test_the_trained_decoder_decodes(scored):
    rows, alone = pooled(scored, DECODER), pooled(scored, ALONE)
    for metric in (*EVERY, "cer", "wer", "bleu1"):
        assert rows[metric].p < 0.01
    assert rows["latent_top1"].value > 0.9
    assert rows["text_rate_matched_top1"].ci_low > 0.2
    assert rows["cer"].ci_high < alone["cer"].ci_low


def test_every_null_has_every_score_of_the_decoder_but_what_it_lacks(scored):
    systems = {NOISE, ZERO, REVERSED, UNTRAINED, OTHER, SHIFTED, ALONE_AS_NOISE}
    assert set(scored[0].draws) == systems
    metrics = {row.metric for row in rows_of_story(scored[0].scores[DECODER], n_draws=10)}
    for system in systems - {SHIFTED, ALONE_AS_NOISE}:
        assert {row.metric for row in rows_of_story(scored[0].scores[system], n_draws=10)} == metrics
        assert set(scored[0].draws[system]) == metrics
    sizes = {system: {values.size for values in draws.values()} for system, draws in scored[0].draws.items()}
    few, one = {DRAWS}, {1}
    expected = {NOISE: few, ALONE_AS_NOISE: few, UNTRAINED: few, ZERO: one, REVERSED: one, OTHER: one, SHIFTED: {1000}}
    assert sizes == expected


@pytest.mark.parametrize("system", [*MUST_FAIL, OTHER])
def test_a_null_is_at_chance_where_the_decoder_is_above(scored, system):
    """The other person's channels have nothing to do with this one's, so it is a null like the others here."""
    rows = pooled(scored, system)
    for metric in set(EVERY) & rows.keys():
        assert rows[metric].p > 0.002, metric
        assert rows[metric].value < rows[metric].chance + 0.12, metric
    assert rows["latent_top1"].value < 0.12


def test_the_decoder_is_better_than_every_null_by_the_paired_difference(compared):
    for metric in ("latent_top1", "latent_rate_matched_top1", "text_percentile", "text_rate_matched_top1", "cer"):
        rows = {one.system_b: one for one in compared if one.system_a == DECODER and one.metric == metric}
        found = [system for system in (NOISE, ZERO, REVERSED, UNTRAINED, OTHER) if system in rows]
        assert len(found) == 5
        for system in found:
            low, high = rows[system].ci_low, rows[system].ci_high
            assert (high < 0) if metric == "cer" else (low > 0), (metric, system)


def test_no_draw_is_as_good_as_the_decoder_and_p_says_how_many_there_were(scored):
    rows = {(row.system, row.metric): row for row in null_rows(scored)}
    assert rows[NOISE, "cer"].p_draws == pytest.approx(1 / (DRAWS + 1))
    assert rows[SHIFTED, "latent_top1"].p_draws == pytest.approx(1 / 1001)
    assert rows[ZERO, "cer"].p_draws == 0.5


@pytest.mark.parametrize("metric", ["cer", "wer", "text_top1", "text_percentile", "text_rate_matched_top1"])
@pytest.mark.parametrize("system", [ALONE_AS_NOISE, ALONE])
def test_fed_noise_the_decoder_does_not_beat_the_language_model_alone(compared, system, metric):
    (one,) = [one for one in compared if (one.metric, one.system_a, one.system_b) == (metric, NOISE, system)]
    assert one.n_windows == 60
    assert not (one.ci_high < 0 if metric in ("cer", "wer") else one.ci_low > 0)


def test_the_verdict_names_the_scores_in_which_noise_wins_and_no_others(compared):
    """Noise varies its words and a language model's likeliest text does not: in BLEU-1 alone that is enough."""
    warning = noise_warning(compared)
    won = [one.metric for one in compared if one.system_a == NOISE and one.metric == "bleu1" and one.ci_low > 0]
    assert ("BLEU-1" in warning) == bool(won)
    assert "character error rate" not in warning
    assert "noise" in noise_sentence(compared)


def test_what_noise_is_held_against_is_as_long_as_what_it_wrote(tiny, monkeypatch):
    """Both are written at the text rates that the noise itself gives."""
    asked = []
    for name in ("write_all", "write_as_long"):
        write = getattr(Reader, name)

        def watched(reader, readings, search, write=write):
            asked.append(torch.cat([reading.counts for reading in readings]))
            return write(reader, readings, search)

        monkeypatch.setattr(Reader, name, watched)
    reader, run = Reader(tiny.planted()), tiny.heard(tiny.run(n_rows=20))
    Evaluation(reader, Search(1), "none", battery=Battery(("noise",), 2)).score(run)
    own, alone, noise, alone_as_noise = asked
    assert torch.equal(own, alone)
    assert torch.equal(noise, alone_as_noise)
    assert len(noise) == 2 * len(own)


def test_draws_read_and_written_apart_or_together_give_the_same(reader, tiny, monkeypatch):
    run = spoken(tiny, "s9", 9, 25)
    evaluation = Evaluation(reader, Search(2), "none", battery=Battery(named("noise,untrained,zero"), 2))
    together = evaluation.score(run)
    monkeypatch.setattr(null_runs, "WINDOWS_AT_ONCE", 1)
    apart = evaluation.score(run)
    for system in (NOISE, UNTRAINED, ZERO, ALONE_AS_NOISE):
        for metric, draws in together.draws[system].items():
            np.testing.assert_allclose(apart.draws[system][metric], draws, atol=1e-6)
        for metric, pairs in together.scores[system].pairs.items():
            np.testing.assert_allclose(apart.scores[system].pairs[metric], pairs, atol=1e-6)


def test_shifted_latents_are_numpy_s_roll(reader, tiny):
    reading = reader.read(spoken(tiny, "s9", 9, 85))
    windows = WindowScores(reader, reading.true, reading.true_counts[..., 0].sum(axis=1), "none")
    kept = range(17)
    null = shifted_latents(reading, kept, windows, n_draws=70)
    flat = reading.latent.flatten(0, 1).numpy()
    drawn = np.random.default_rng([0, *b"s9"]).choice(np.arange(40, 46), size=70)
    expected = []
    for shift in drawn:
        moved = torch.from_numpy(np.roll(flat, -shift, axis=0)).view_as(reading.latent)
        pairs = windows.of_latents(replace(reading, latent=moved).similarity()[None])["latent_percentile"][0]
        expected.append(np.trace(pairs) / 17)
    np.testing.assert_allclose(null.draws["latent_percentile"], expected, atol=1e-6)


def test_a_story_too_short_to_shift_by_forty_repetitions_has_no_such_null(reader, tiny):
    reading = reader.read(spoken(tiny, "s9", 9, 75))
    windows = WindowScores(reader, reading.true, np.ones(15, np.float32), "none")
    assert shifted_latents(reading, range(15), windows) is None


def test_other_people_who_cannot_be_read_are_left_out(reader, tiny):
    run = spoken(tiny, "s9", 9, 60)
    wide = tiny.run("S2", "s9", 60, n_channels=9)
    slow = tiny.run("S3", "s9", 60, repetition_time=1.5)
    inputs = Battery(("other-brain",), others=lambda run: [wide, slow]).inputs["other-brain"]
    battery = Battery(("other-brain",), others=lambda run: [wide, slow, run])
    assert len(list(inputs.draws(reader, run, battery))) == 1
    alone = Evaluation(reader, Search(1), "none", battery=Battery(("other-brain",))).score(run)
    assert OTHER not in alone.scores


def test_on_a_grid_every_null_is_read_from_its_own_volumes(tiny):
    """The other person's mask takes the place of this one's, and the gates stay this person's."""
    run, other = tiny.run(mask=tiny.mask(), n_rows=30), tiny.run("S2", mask=tiny.mask(seed=1), n_rows=30, seed=1)
    far = tiny.run("S3", mask=tiny.mask(shape=(5, 4, 4)), n_rows=30)
    model = tiny.model((4, 4, 4), subjects=("S1", "S2"))
    torch.nn.init.normal_(model.network.voxels.deviation)
    battery = Battery(named("noise,zero,reversed,untrained,other-brain"), 1, lambda run: [other, far])
    scored = Evaluation(Reader(model), Search(1), "none", battery=battery).score(run)
    assert {NOISE, ZERO, REVERSED, UNTRAINED, OTHER} <= set(scored.draws)
    assert scored.draws[OTHER]["cer"].size == 1  # the grid of S3 is another one
    ((_, read),) = battery.inputs["other-brain"].draws(Reader(model), run, battery)
    expected = Reader(model).read(replace(other, subject="S1", words=run.words)).similarity()
    np.testing.assert_array_equal(Reader(model).read(read).similarity(), expected)


def test_equal_scores_stay_equal_however_many_draws_they_are_the_mean_of(tiny):
    """A decoder that writes the same whatever it reads, so that every null writes as it does."""
    model = tiny.planted()
    for block in model.network.decoder.blocks:
        block.brain.gate.data.zero_()
    model.network.counts.weight.data.zero_()
    battery = Battery(("noise", "zero"), 3)
    scored = Evaluation(Reader(model), Search(1), "none", battery=battery).score(tiny.heard(tiny.run(n_rows=40)))
    texts = [Comparison(**row) for row in comparisons([scored]) if not row["metric"].startswith("latent")]
    assert {(one.difference, one.ci_low, one.ci_high) for one in texts} == {(0, 0, 0)}
    assert noise_warning(texts) == ""


def test_all_means_all_and_names_are_taken_in_a_list():
    assert named("all") == tuple(NULLS)
    assert named("noise, zero") == ("noise", "zero")
    assert Battery(named("all")).systems == [NOISE, ZERO, REVERSED, UNTRAINED, OTHER, SHIFTED]
    assert Battery().systems == []


@pytest.mark.parametrize(
    ("asked", "said"), [("noise,nois", "no null nois "), ("", "no null named"), ("all,x", "no null all, x")]
)
def test_a_name_that_is_none_is_refused_with_those_that_are(asked, said):
    with pytest.raises(WrongArgument, match=said) as caught:
        named(asked)
    assert "permuted, alone, noise, zero, reversed, untrained, other-brain, shifted" in str(caught.value)


def test_no_draws_are_refused():
    with pytest.raises(WrongArgument, match=r"0 draws \(--null-draws\)"):
        Battery(("noise",), 0)

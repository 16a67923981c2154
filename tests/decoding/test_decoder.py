"""Oracles: recomputation without a cache, the plain language model, and what causality and rotary positions promise."""

import pytest
import torch
from plasticode.decoding.decoder import Cache, CharDecoder, Memory, Positions, rotate, turns


@pytest.fixture
def decoder(tiny):
    return tiny.decoder()


@pytest.fixture
def memory():
    torch.manual_seed(3)
    return Memory(torch.randn(3, 5, 7), torch.linspace(2, 40, 5).repeat(3, 1))


@pytest.fixture
def ids():
    torch.manual_seed(4)
    return torch.randint(1, 9, (3, 12))


def test_rotated_products_depend_on_distance_only():
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1, 8)

    def product(m, n):
        at = [turns(torch.tensor([place]), 8, torch.float32) for place in (m, n)]
        return (rotate(query, at[0]) * rotate(key, at[1])).sum(dim=-1)

    torch.testing.assert_close(product(7, 3), product(107, 103), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(product(0, 0), (query * key).sum(dim=-1))
    assert not torch.allclose(product(7, 3), product(7, 4), atol=1e-3)


def test_rotation_keeps_lengths():
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(rotate(x, turns(torch.arange(5), 8, torch.float32)).norm(dim=-1), x.norm(dim=-1))


def test_without_a_brain_shifted_positions_give_the_same_blocks(decoder, ids):
    x = decoder.embed(ids)
    here, there = x, x
    at = [Positions.after(start, ids.shape[1], decoder.head_width, None, x) for start in (0, 50)]
    for index, block in enumerate(decoder.blocks):
        here = block(here, at[0], None, None, index)
        there = block(there, at[1], None, None, index)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)


def test_order_matters(decoder, ids):
    swapped = ids.clone()
    swapped[:, [2, 3]] = torch.tensor([[1, 2]])
    other = swapped.clone()
    other[:, [2, 3]] = torch.tensor([[2, 1]])
    assert not torch.allclose(decoder(swapped)[:, -1], decoder(other)[:, -1], atol=1e-4)


@pytest.mark.parametrize("place", [1, 6, 11])
def test_a_later_character_never_changes_an_earlier_logit(decoder, memory, ids, place):
    changed = ids.clone()
    changed[:, place] = ids[:, place] % 8 + 1
    before, after = decoder(ids, memory), decoder(changed, memory)
    torch.testing.assert_close(before[:, :place], after[:, :place])
    assert not torch.allclose(before[:, place], after[:, place], atol=1e-3)


def test_gates_are_shut_before_training_and_then_the_brain_changes_not_one_bit(memory, ids):
    torch.manual_seed(0)
    decoder = CharDecoder(9, width=16, layers=2, heads=2, n_latent=7).eval()
    assert torch.equal(decoder(ids, memory), decoder(ids))


def test_shut_gates_can_learn_to_open(memory, ids):
    torch.manual_seed(0)
    decoder = CharDecoder(9, width=16, layers=2, heads=2, n_latent=7)
    decoder(ids, memory).square().sum().backward()
    assert all(block.brain.gate.grad.abs() > 0 for block in decoder.blocks)


def test_open_gates_read_the_latents_of_their_own_window_only(decoder, memory, ids):
    other = Memory(memory.latent.clone(), memory.centre)
    other.latent[1] += 1
    moved = (decoder(ids, memory) - decoder(ids, other)).abs().amax(dim=(1, 2))
    assert moved[1] > 1e-3
    assert moved[[0, 2]].max() < 1e-5


def test_a_character_prefers_rows_whose_centre_is_near(decoder, ids):
    latent = torch.randn(1, 2, 7)
    near, far = (Memory(latent, torch.tensor([[0.0, centre]])) for centre in (1e6, 2e6))
    only_first = Memory(latent[:, :1], torch.zeros(1, 1))
    torch.testing.assert_close(decoder(ids[:1], near), decoder(ids[:1], far))
    torch.testing.assert_close(decoder(ids[:1], near), decoder(ids[:1], only_first))


def test_the_order_of_the_rows_of_latents_matters_only_through_their_centres(decoder, memory, ids):
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = Memory(memory.latent[:, order], memory.centre[:, order])
    torch.testing.assert_close(decoder(ids, shuffled), decoder(ids, memory), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("brain", [True, False])
def test_cached_logits_are_the_uncached_ones(decoder, memory, ids, first, brain):
    seen = memory if brain else None
    cache = Cache(ids.shape[1])
    pieces = [decoder(ids[:, :first], seen, cache)]
    pieces += [decoder(ids[:, i : i + 1], seen, cache) for i in range(first, ids.shape[1])]
    torch.testing.assert_close(torch.cat(pieces, dim=1), decoder(ids, seen), atol=1e-5, rtol=1e-5)
    assert cache.length == ids.shape[1]


def test_selecting_from_the_cache_reorders_the_hypotheses(decoder, ids):
    one = Memory(torch.randn(1, 5, 7), torch.linspace(2, 40, 5)[None])
    hypotheses, rows = one.repeat(3), torch.tensor([2, 0, 2])
    cache = Cache(ids.shape[1])
    decoder(ids[:, :1], hypotheses, cache)
    decoder(ids[:, 1:2], hypotheses, cache)
    cache.select(rows)
    found = decoder(ids[:, 5:6], hypotheses, cache)
    whole = torch.cat((ids[rows, :2], ids[:, 5:6]), dim=1)
    torch.testing.assert_close(found, decoder(whole, hypotheses)[:, -1:], atol=1e-5, rtol=1e-5)


def test_memory_repeats_every_window_in_a_row(memory):
    repeated = memory.repeat(2)
    torch.testing.assert_close(repeated.latent[[0, 1, 4]], memory.latent[[0, 0, 2]])
    torch.testing.assert_close(repeated.centre[[0, 1, 4]], memory.centre[[0, 0, 2]])


def test_language_and_brain_parameters_are_all_and_disjoint(decoder):
    language, brain = ({id(p) for p in part} for part in (decoder.language_parameters(), decoder.brain_parameters()))
    assert language | brain == {id(p) for p in decoder.parameters()}
    assert not language & brain


def test_the_language_model_alone_uses_the_language_parameters_only(decoder, ids):
    decoder(ids).sum().backward()
    assert all(parameter.grad is not None for parameter in decoder.language_parameters())
    assert all(parameter.grad is None for parameter in decoder.brain_parameters())


def test_a_width_that_rotary_positions_cannot_split_is_refused():
    with pytest.raises(ValueError, match="width 10 is not a multiple of twice the 2 heads"):
        CharDecoder(9, width=10, heads=2)

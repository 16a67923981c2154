"""Oracles: the trained model's own weights, tensor by tensor, and the global random generator."""

import pytest
import torch
from plasticode.decoding.null_encoder import untrained
from plasticode.decoding.reading import Reader
from plasticode.decoding.search import Search

ENCODING = ("encoder.", "latent.", "voxels.")


@pytest.mark.parametrize("grid", [None, (4, 4, 4)])
def test_only_what_lies_between_responses_and_latent_is_drawn_anew(tiny, grid):
    model = tiny.model(grid)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    other = untrained(model, 0).network.state_dict()
    assert other.keys() == before.keys()
    changed = {name for name, value in other.items() if not torch.equal(value, before[name])}
    assert {name for name in before if name.endswith("trunk.linear.weight")} <= changed
    assert all(name.startswith(ENCODING) for name in changed)
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())


def test_a_seed_is_a_network_and_the_global_generator_is_left_alone(tiny):
    model = tiny.model()
    state = torch.get_rng_state()
    first, again, second = (untrained(model, seed).network.encoder.trunk.linear.weight for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_it_reads_and_writes_by_the_same_path(tiny):
    model, run = tiny.planted(), tiny.heard(tiny.run())
    readings = [Reader(one).read(run) for one in (model, untrained(model, 0))]
    assert readings[0].latent.shape == readings[1].latent.shape
    assert not torch.allclose(readings[0].latent, readings[1].latent, atol=0.1)
    texts = [Reader(model).write(reading, Search(2)) for reading in readings]
    assert texts[0] != texts[1]

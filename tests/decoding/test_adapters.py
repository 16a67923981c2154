"""Oracles: the layer before, the edit written out on its output, and the count of what may change."""

from __future__ import annotations

import copy

import pytest
import torch
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.adapters import (
    Adapter,
    FullTuning,
    LowRank,
    NoTuning,
    RepresentationEditing,
    adaptable,
)
from torch import Tensor, nn

ADAPTERS = (NoTuning(), FullTuning(), RepresentationEditing(), LowRank(rank=2))


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(2, 3, 3, stride=2), nn.Flatten(2), nn.Conv1d(3, 4, 2), nn.Tanh(), nn.Linear(7, 5))


def x() -> Tensor:
    return torch.randn(6, 2, 5, 5, 5, generator=torch.Generator().manual_seed(1))


def free(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
def test_before_the_first_step_nothing_is_changed(adapter: Adapter) -> None:
    network = layers()
    before = network(x())
    adapter.insert(adaptable(network))
    assert torch.equal(network(x()), before)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
def test_folded_layers_give_what_the_adapted_ones_gave_and_are_plain_again(adapter: Adapter) -> None:
    network = layers()
    names = network.state_dict().keys()
    start = copy.deepcopy(network)
    adapter.insert(adaptable(network))
    with torch.no_grad():
        for parameter in free(network):
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    adapted = network(x())
    assert torch.equal(adapted, start(x())) == isinstance(adapter, NoTuning)
    adapter.fold(adaptable(network))
    assert network.state_dict().keys() == names
    torch.testing.assert_close(network(x()), adapted)


def test_an_edit_scales_and_shifts_every_feature_of_what_a_layer_gives() -> None:
    linear, conv = nn.Linear(3, 4), nn.Conv1d(3, 4, 2)
    given = {linear: torch.randn(5, 3), conv: torch.randn(5, 3, 7)}
    plain = {layer: layer(one) for layer, one in given.items()}
    RepresentationEditing().insert([linear, conv])
    scale, shift = torch.rand(4), torch.rand(4)
    for layer, one in given.items():
        edit = layer.parametrizations["bias"][0]
        edit.scale.data, edit.shift.data = scale, shift
        shape = (4, 1) if layer is conv else (4,)
        torch.testing.assert_close(layer(one), plain[layer] * scale.view(shape) + shift.view(shape))


def test_a_change_of_rank_two_has_rank_two() -> None:
    layer = nn.Conv1d(6, 8, 3)
    before = layer.weight.detach().clone()
    adapter = LowRank(rank=2)
    adapter.insert([layer])
    layer.parametrizations["weight"][0].b.data.normal_()
    adapter.fold([layer])
    assert torch.linalg.matrix_rank((layer.weight - before).flatten(1)) == 2


def test_only_what_the_adapter_says_may_change() -> None:
    counts = {}
    for adapter in ADAPTERS:
        network = layers()
        adapter.insert(adaptable(network))
        counts[adapter.name] = sum(parameter.numel() for parameter in free(network))
    every = sum(parameter.numel() for parameter in layers().parameters())
    edits, ranks = 2 * (3 + 4 + 5), 2 * (3 + 54 + 4 + 6 + 5 + 7)
    assert counts == {"no tuning": 0, "full tuning": every, "representation editing": edits, "low rank": ranks}


def test_a_rank_below_one_is_refused() -> None:
    with pytest.raises(WrongArgument, match=r"rank 0.*1 or more"):
        LowRank(rank=0)

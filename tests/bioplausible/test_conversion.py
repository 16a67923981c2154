"""Oracles: the user's own Sequential and torch's autograd on it; the example of the docstring."""

from __future__ import annotations

import doctest

import pytest
import torch
from plasticode.bioplausible import conversion
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.conversion import convert
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import SquaredError
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.datasets.errors import WrongArgument
from torch import nn


def mixed() -> nn.Sequential:
    """Everything that is supported, in the orders that are hard to share out."""
    return nn.Sequential(
        nn.GroupNorm(1, 2, affine=False),
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
            nn.Sequential(nn.MaxPool2d(2), nn.ReLU()),
        ),
        nn.Identity(),
        nn.Conv2d(4, 6, 2, padding=2, dilation=2, groups=2),
        nn.Tanh(),
        nn.InstanceNorm2d(6),
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(24, elementwise_affine=False),
        nn.Linear(24, 5),
        nn.GELU(),
        nn.Tanh(),
        nn.Linear(5, 3),
        nn.Unflatten(1, (1, 3)),
        nn.Flatten(),
    )


def of_mixed() -> Network:
    torch.manual_seed(4)
    return convert(mixed().double(), (2, 13, 12))


def test_it_computes_exactly_what_the_sequential_computes() -> None:
    module, x = mixed().double(), torch.randn(5, 2, 13, 12, dtype=torch.float64)
    network = convert(module, (2, 13, 12))
    assert torch.equal(network(x), module(x))


def test_layers_hold_a_synapse_what_precedes_it_and_what_follows() -> None:
    first, second, third, readout = of_mixed()
    assert isinstance(first.before, nn.GroupNorm)
    assert isinstance(first.nonlinearity, nn.Identity)
    assert [type(part) for part in first.after] == [nn.MaxPool2d, nn.ReLU]
    assert isinstance(second.before, nn.Identity)
    assert isinstance(second.nonlinearity, nn.Tanh)
    assert [type(part) for part in second.after] == [nn.InstanceNorm2d, nn.SiLU, nn.AvgPool2d]
    assert [type(part) for part in third.before] == [nn.Flatten, nn.LayerNorm]
    assert [type(part) for part in third.nonlinearity] == [nn.GELU, nn.Tanh]
    assert isinstance(third.after, nn.Identity)
    assert [type(part) for part in readout.after] == [nn.Unflatten, nn.Flatten]


def test_parameters_are_the_user_s_own() -> None:
    module = mixed()
    assert [id(p) for p in convert(module, (2, 13, 12)).parameters()] == [id(p) for p in module.parameters()]


def test_what_trains_the_network_trains_the_user_s_module() -> None:
    module, x, target = mixed().double(), torch.randn(5, 2, 13, 12, dtype=torch.float64), torch.arange(5) % 3
    network, rule = convert(module, (2, 13, 12)), Backprop()
    rule.bind(network)
    expected = torch.autograd.grad(nn.functional.cross_entropy(module(x), target), list(module.parameters()))
    rule.assign_gradients(network, x, target)
    torch.testing.assert_close([parameter.grad for parameter in module.parameters()], list(expected))
    before = module(x)
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    assert (module(x) - before).abs().max() > 1e-3
    assert torch.equal(network(x), module(x))


def test_rules_keep_their_promises_on_it() -> None:
    check_learning_rule(FeedbackAlignment, of_mixed)


def test_linear_layers_on_sequences_are_converted_too() -> None:
    module, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), torch.randn(2, 5, 4)
    network = convert(module, (5, 4), SquaredError())
    assert network.shapes() == [(5, 6), (5, 3)]
    assert isinstance(network.objective, SquaredError)
    assert torch.equal(network(x), module(x))


def test_an_activation_may_stand_in_several_places() -> None:
    phi, x = nn.Tanh(), torch.randn(5, 4)
    module = nn.Sequential(nn.Linear(4, 4), phi, nn.Linear(4, 4), phi, nn.Linear(4, 3))
    network = convert(module, (4,))
    assert torch.equal(network(x), module(x))
    assert [layer.nonlinearity is phi for layer in network] == [True, True, False]


def test_no_random_number_is_used() -> None:
    module = mixed()
    state = torch.get_rng_state()
    convert(module, (2, 13, 12))
    assert torch.equal(torch.get_rng_state(), state)


def test_all_modules_that_fit_no_layer_are_named_at_once_with_place_and_reason() -> None:
    shared = nn.Linear(4, 4)
    hooked = nn.Linear(4, 4)
    hooked.register_forward_hook(lambda module, args, output: 2 * output)
    module = nn.Sequential(
        nn.Linear(4, 4),
        nn.Sequential(nn.ReLU(inplace=True), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(4))),
        nn.LSTM(4, 4),
        nn.LayerNorm(4),
        nn.InstanceNorm2d(4, track_running_stats=True),
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, 3, padding_mode="circular"),
        nn.PReLU(),
        shared,
        shared,
        hooked,
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
    )
    with pytest.raises(WrongArgument) as raised:
        convert(module, (4,))
    said = str(raised.value)
    for clause in [
        "1.0 ReLU: it works in place",
        "set inplace=False",
        "1.1.0 Dropout: a pass must give the same twice",
        "1.1.1 BatchNorm1d: it reads the other samples of the batch",
        "2 LSTM: nothing in the zoo does what it does",
        "3 LayerNorm: it has parameters",
        "4 InstanceNorm2d: it has parameters or running statistics",
        "5 Conv2d: its padding must be a number",
        "6 Conv2d: its padding must be a number",
        "7 PReLU: nothing in the zoo",
        "9 Linear: it stands in two places",
        "10 Linear: it has hooks",
        "11 ParametrizedLinear: nothing in the zoo",
        "Supported: Linear, Conv2d",
    ]:
        assert clause in said
    assert said.count(" Linear:") == 2  # neither the first one nor the first of the shared two


@pytest.mark.parametrize(
    ("module", "example", "said"),
    [
        (nn.Linear(2, 2), (2,), "Linear is no plain nn.Sequential.*without hooks"),
        (nn.Sequential(nn.ReLU()), (2,), "no weights.*Give it a Linear or a Conv2d"),
        (nn.Sequential(nn.Linear(4, 2)), (5,), r"an input \(5,\) does not pass: mat1.*Check its shape"),
    ],
)
def test_what_cannot_be_a_network_is_refused(module: nn.Module, example: tuple[int, ...], said: str) -> None:
    with pytest.raises(WrongArgument, match=said):
        convert(module, example)


def test_a_sequential_with_a_forward_of_its_own_is_refused() -> None:
    class Doubled(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    with pytest.raises(WrongArgument, match="1 Doubled: nothing in the zoo"):
        convert(nn.Sequential(nn.Linear(2, 2), Doubled(nn.Linear(2, 2))), (2,))


def test_the_example_of_the_docstring_runs() -> None:
    found = doctest.testmod(conversion)
    assert found.attempted > 0
    assert found.failed == 0

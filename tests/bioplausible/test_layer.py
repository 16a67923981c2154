"""Oracles: torch's autograd on the whole network, and finite differences."""

import pytest
import torch
from plasticode.bioplausible.layer import Layer, add_gradient
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import nn


def by_autograd(network, x, target):
    x = x.clone().requires_grad_()
    network.zero_grad()
    network.objective.loss(network(x), target).backward()
    return x.grad, [parameter.grad.clone() for parameter in network.parameters()]


def test_errors_pulled_back_layer_by_layer_are_autograd_s(any_network, batch_for):
    x, target = batch_for(any_network)
    _, expected = by_autograd(any_network, x, target)
    any_network.zero_grad()
    traces = any_network.record(x)
    error = any_network.objective.error(traces[-1].y, target)
    for trace in reversed(traces):
        error = trace.pull_back(error)
    assert error is None  # nothing is brought to the network's input
    for parameter, gradient in zip(any_network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-14)


def test_pull_back_reaches_the_input_and_leaves_weights_alone(any_network, batch_for):
    x, target = batch_for(any_network)
    expected, _ = by_autograd(any_network, x, target)
    any_network.zero_grad()
    inputs = [x]
    for layer in any_network:
        inputs.append(layer(inputs[-1]).detach())
    error = any_network.objective.error(inputs[-1], target)
    for layer, below in zip(reversed(list(any_network)), reversed(inputs[:-1]), strict=True):
        error = layer.pull_back(below, error)
    torch.testing.assert_close(error, expected, rtol=1e-12, atol=1e-14)
    assert all(parameter.grad is None for parameter in any_network.parameters())


def test_feedback_takes_the_weight_s_place_on_the_way_back_only(any_network, batch_for):
    x, _ = batch_for(any_network)
    for layer in any_network:
        feedback = [torch.randn_like(synapse.weight) for synapse in layer.synapses]
        error = torch.randn_like(layer(x))
        with_feedback, plain = layer.record(x, feedback), layer.record(x)
        assert torch.equal(with_feedback.y, plain.y)
        layer.zero_grad()
        returned = with_feedback.pull_back(error)
        changes = [parameter.grad.clone() for parameter in layer.parameters()]
        layer.zero_grad()
        plain.pull_back(error)
        for change, parameter in zip(changes, layer.parameters(), strict=True):
            torch.testing.assert_close(change, parameter.grad, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(returned, with_weight(layer, feedback[0], x, error), rtol=1e-12, atol=1e-14)
        x = plain.y


def with_weight(layer, weight, x, error):
    """The layer's derivative at its own values, times the other weight's transpose."""
    leaf = layer.before(x.detach()).requires_grad_()
    drive = layer.synapse.drive(leaf, layer.synapse.weight, layer.synapse.bias).detach().requires_grad_()
    at_drive = torch.autograd.grad(layer.after(layer.nonlinearity(drive)), drive, error)[0]
    at_synapse = torch.autograd.grad(layer.synapse.drive(leaf, weight, None), leaf, at_drive)[0]
    below = x.detach().requires_grad_()
    return torch.autograd.grad(layer.before(below), below, at_synapse)[0]


def test_linear_feedback_works_on_inputs_of_any_rank():
    synapse = LinearSynapse(4, 3).double()
    layer, x = Layer(synapse, nn.Tanh()), torch.randn(2, 5, 6, 4, dtype=torch.float64)
    error = torch.randn(2, 5, 6, 3, dtype=torch.float64)
    trace = layer.record(x, [synapse.weight.detach().clone()])
    returned = trace.pull_back(error)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(torch.tanh(leaf @ synapse.weight.T + synapse.bias), [leaf, synapse.weight], error)
    torch.testing.assert_close(returned, expected[0])
    torch.testing.assert_close(synapse.weight.grad, expected[1])


@pytest.mark.parametrize(
    "synapse", [LinearSynapse(6, 4), ConvSynapse(4, 6, 3, 2, 1, groups=2), ConvSynapse(4, 4, 2, dilation=2, bias=False)]
)
def test_transpose_and_correlate_are_the_adjoints_of_drive(synapse):
    synapse = synapse.double()
    shape = (3, 6) if isinstance(synapse, LinearSynapse) else (3, 4, 8, 7)
    x = torch.randn(shape, dtype=torch.float64)
    y = synapse.drive(x, synapse.weight, None)
    error = torch.randn_like(y)
    with torch.no_grad():
        product = (y * error).sum()
        torch.testing.assert_close((x * synapse.transpose(error, x)).sum(), product)
        weight, bias = synapse.correlate(x, error)
        torch.testing.assert_close((weight * synapse.weight).sum(), product)
        assert (bias is None) == (synapse.bias is None)
        if bias is not None:
            torch.testing.assert_close(bias, error.movedim(1, -1).flatten(0, -2).sum(0))


def test_a_pass_that_returns_nothing_does_not_compute_the_input_s_error(mlp, batch_for):
    x, _ = batch_for(mlp)
    trace = next(iter(mlp)).record(x, returns=False)
    assert trace.pull_back(torch.ones_like(trace.y)) is None


def test_feedback_is_gone_after_the_pass_whatever_happens(mlp):
    layer = next(iter(mlp))
    with pytest.raises(RuntimeError):
        layer.record(torch.zeros(2, 99, dtype=torch.float64), [torch.zeros_like(layer.synapse.weight)])
    assert layer.synapse.feedback is None


def test_gradients_of_several_passes_sum():
    parameter = nn.Parameter(torch.zeros(2))
    add_gradient(parameter, torch.ones(2))
    kept = parameter.grad
    add_gradient(parameter, torch.ones(2))
    assert parameter.grad.tolist() == [2, 2]
    assert kept.tolist() == [1, 1]  # nobody else's tensor was written into


def test_activations_that_work_in_place_are_refused():
    with pytest.raises(WrongArgument, match=r"ReLU works in place.*inplace=False"):
        Layer(LinearSynapse(2, 2), nn.ReLU(inplace=True))

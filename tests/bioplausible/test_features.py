"""Oracles: `infer`'s scores, fixed-point equations written out, forward passes, the weights a run started from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plasticode.analysis.activations import activations
from plasticode.analysis.feature_source import FeatureSource
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import Trial
from plasticode.bioplausible.features import TrainedFeatures
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import SquaredError
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules import predictive_coding
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.channelwise_forward_forward import ChannelwiseForwardForward
from plasticode.bioplausible.rules.contrastive_hebbian import ContrastiveHebbian
from plasticode.bioplausible.rules.equilibrium_propagation import (
    EquilibriumPropagation,
    EquilibriumPropagationSeparateWeights,
)
from plasticode.bioplausible.rules.forward_forward import ForwardForward
from plasticode.bioplausible.rules.predictive_coding import PredictiveCoding
from plasticode.bioplausible.rules.random_features import RandomFeatures
from plasticode.bioplausible.rules.soft_hebb import SoftHebb
from plasticode.bioplausible.soft_hebb_network import SoftHebbNetwork
from plasticode.bioplausible.synapse import LinearSynapse
from plasticode.bioplausible.trained import TrainedNetwork
from plasticode.bioplausible.zoo import SMALL, rule_classes
from plasticode.datasets.errors import MissingData, WrongArgument
from torch import Tensor

KINDS = rule_classes()
PAIRS = [(path, name) for path in KINDS for name in SMALL if KINDS[path]().refusal(SMALL[name]()) is None]
IDS = [path.rpartition(".")[2] + "-" + name for path, name in PAIRS]
FACTS = {"dataset": "cifar10", "mean": [0.5, 0.25, 0.75], "deviation": [0.5, 0.25, 2.0]}


def with_readout(kind: type[LearningRule]) -> LearningRule:
    """Rules that predict by goodness and have a readout too are told to use it."""
    return kind(readout=True) if kind in (ForwardForward, ChannelwiseForwardForward) else kind()


@pytest.mark.parametrize(("path", "name"), PAIRS, ids=IDS)
def test_states_end_in_the_scores_and_are_each_samples_own(path: str, name: str) -> None:
    trial = Trial(lambda: with_readout(KINDS[path]), SMALL[name])
    rule, network = trial.bound()
    x, _ = trial.batch(1)
    before = copy.deepcopy((network.state_dict(), rule.state_dict()))
    with torch.no_grad():
        states = rule.states(network, x)
        torch.testing.assert_close(states[-1], rule.infer(network, x), rtol=1e-12, atol=1e-12)
        alone = rule.states(network, x[2:3])
    if not network.spiking:
        assert [tuple(state.shape[1:]) for state in states] == network.shapes()
    for state, own in zip(states, alone, strict=True):
        torch.testing.assert_close(state[2:3], own)
    for now, then in zip((network.state_dict(), rule.state_dict()), before, strict=True):
        assert all(torch.equal(now[key], then[key]) for key in then)
    assert all(parameter.grad is None for parameter in network.parameters())


def weights(network: Network) -> list[tuple[Tensor, Tensor]]:
    return [(layer.synapses[0].weight.detach(), layer.synapses[0].bias.detach()) for layer in network]


@pytest.mark.parametrize("kind", [EquilibriumPropagation, EquilibriumPropagationSeparateWeights])
def test_states_of_equilibrium_propagation_are_a_free_fixed_point(kind: Any, mlp: Network, batch_for: Any) -> None:
    rule, x = kind(free_steps=200), batch_for(mlp)[0]
    rule.bind(mlp)
    rule.double()
    first, second, scores = (state.detach() for state in rule.states(mlp, x))
    (w1, b1), (w2, b2), (w3, b3) = weights(mlp)
    down = w2 if rule.feedback(mlp) is None else rule.feedback(mlp)[1][0]
    torch.testing.assert_close(first, torch.tanh(x @ w1.T + b1 + 0.1 * second @ down))
    torch.testing.assert_close(second, torch.tanh(first @ w2.T + b2))
    torch.testing.assert_close(scores, second @ w3.T + b3)
    assert (first - torch.tanh(x @ w1.T + b1)).abs().max() > 0.01  # a forward pass is something else


def test_an_output_inside_the_state_drives_the_population_below(batch_for: Any) -> None:
    network = MLP([5, 6, 3], "tanh", objective=SquaredError()).double()
    x = batch_for(network)[0]
    hidden, output = (state.detach() for state in EquilibriumPropagation(free_steps=200).states(network, x))
    (w1, b1), (w2, b2) = weights(network)
    torch.testing.assert_close(hidden, torch.tanh(x @ w1.T + b1 + 0.1 * output @ w2))
    torch.testing.assert_close(output, hidden @ w2.T + b2)


def test_states_of_contrastive_hebbian_learning_are_its_free_phase_at_rest(mlp: Network, batch_for: Any) -> None:
    x = batch_for(mlp)[0]
    first, second, scores = (state.detach() for state in ContrastiveHebbian(steps=200).states(mlp, x))
    (w1, b1), (w2, b2), (w3, b3) = weights(mlp)
    torch.testing.assert_close(first, torch.tanh(x @ w1.T + b1 + 0.1 * second @ w2))
    torch.testing.assert_close(second, torch.tanh(first @ w2.T + b2 + 0.1 * scores.softmax(-1) @ w3))
    torch.testing.assert_close(scores, second @ w3.T + b3)


def settled(network: Network, x: Tensor, nodes: list[Tensor], steps: int) -> list[Tensor]:
    """Predictive coding's inference, its nodes and output, with no error at the top: the output is free."""
    traces, target = predictive_coding.predicted(network, network.record(x), nodes), torch.zeros(len(x)).long()
    for _ in range(steps):
        *hidden, top = predictive_coding.errors(network, traces, nodes, target)
        nodes = predictive_coding.moved(nodes, traces, [*hidden, torch.zeros_like(top)], 0.2)
        traces = predictive_coding.predicted(network, traces, nodes)
    return [*nodes, traces[-1].y]


def test_predictive_coding_without_a_target_stays_at_the_forward_pass(any_network: Network, batch_for: Any) -> None:
    x = batch_for(any_network)[0]
    rule = PredictiveCoding()
    rule.bind(any_network)
    expected = [state.detach() for state in rule.states(any_network, x)]
    found = settled(any_network, x, expected[:-1], 5)
    assert all(torch.equal(node, state) for node, state in zip(found, expected, strict=True))


def test_predictive_coding_without_a_target_comes_back_to_the_forward_pass(mlp: Network, batch_for: Any) -> None:
    """It is the one stationary point: the topmost hidden error is 0 there, and each below it that error's shadow."""
    x, draws = batch_for(mlp)[0], torch.Generator().manual_seed(1)
    expected = [state.detach() for state in PredictiveCoding().states(mlp, x)]
    away = [s + 0.5 * torch.randn(s.shape, generator=draws, dtype=s.dtype) for s in expected[:-1]]
    found = settled(mlp, x, away, 1500)
    assert max((node - state).abs().max() for node, state in zip(found, expected, strict=True)) < 1e-3


def test_forward_forward_is_read_under_a_label_that_favours_no_class(mlp: Network, batch_for: Any) -> None:
    x = batch_for(mlp)[0]
    rule = ForwardForward()
    expected = x / x.square().mean(1, keepdim=True).sqrt()
    expected = torch.cat([torch.full((5, 3), rule.strength / 3, dtype=x.dtype), expected[:, 3:]], 1)
    for state, (weight, bias) in zip(rule.states(mlp, x)[:-1], weights(mlp), strict=False):
        expected = torch.tanh(expected / expected.square().mean(1, keepdim=True).sqrt() @ weight.T + bias)
        torch.testing.assert_close(state.detach(), expected, rtol=1e-6, atol=1e-6)


def test_a_soft_hebb_network_in_training_is_read_by_what_it_remembers() -> None:
    network = SoftHebbNetwork((1, 8, 8), (3, 4), (3, 3), (1.0, 1.0), n_classes=3).train()
    x = torch.randn(6, 1, 8, 8)
    before, rule = copy.deepcopy(network.state_dict()), SoftHebb()
    whole, alone = rule.states(network, x), rule.states(network, x[:3])
    assert all(torch.allclose(state[:3], own, atol=1e-6) for state, own in zip(whole, alone, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("path", [path for path in KINDS if KINDS[path].facts.spiking])
def test_a_spiking_network_is_read_by_its_neurons_spike_counts(path: str) -> None:
    network, rule = SMALL["spiking"](), KINDS[path]()
    rule.bind(network)
    x = torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    counts = rule.states(network, x)[0]
    for image, count in zip(x, counts, strict=True):
        spikes = network.neurons(network.layer.synapse(network.input(image[None])))
        assert torch.equal(spikes[0].sum(0), count)
    assert counts.sum() > 0


def run(folder: Path, rule: LearningRule | None = None, network: Network | None = None, **facts: Any) -> Path:
    """What a training would leave, weights moved from where they started."""
    network = network or CNN((3, 8, 8), (4,), (3,), ("max",), 6, 3, seed=5)
    rule = rule or Backprop(seed=5)
    rule.bind(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    TrainedNetwork(network, rule, FACTS | facts).save(folder)
    return folder


def images(n: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 8, 8), np.uint8)


def test_images_are_standardised_as_in_training_and_read_by_the_rule(tmp_path: Path) -> None:
    source = TrainedFeatures(run(tmp_path, EquilibriumPropagation(seed=5)))
    assert isinstance(source, FeatureSource)
    found = activations(source, images(), list("abcde"))
    x = torch.from_numpy(images()).float() / 255
    x = (x - torch.tensor(FACTS["mean"])[:, None, None]) / torch.tensor(FACTS["deviation"])[:, None, None]
    trained = TrainedNetwork.load(tmp_path)
    expected = trained.rule.states(trained.network, x)
    assert list(found.layers) == ["layer1", "layer2", "readout"]
    for values, state in zip(found.layers.values(), expected, strict=True):
        np.testing.assert_allclose(values, state.detach().flatten(1), rtol=1e-4, atol=1e-5)


def test_the_untrained_twin_has_the_weights_that_the_run_started_from(tmp_path: Path) -> None:
    trained = TrainedFeatures(run(tmp_path))
    start, other = trained.untrained_twin(), trained.untrained_twin(9)
    for twin, seed in ((start, 5), (other, 9)):
        fresh = CNN((3, 8, 8), (4,), (3,), ("max",), 6, 3, seed=seed).state_dict()
        assert all(torch.equal(value, fresh[name]) for name, value in twin.network.state_dict().items())
        assert twin.rule.seed == twin.seed == seed
    prints = {source.fingerprint() for source in (trained, start, other)}
    assert len(prints) == 3
    assert TrainedFeatures(tmp_path, untrained=True, seed=5).fingerprint() == start.fingerprint()


def test_a_run_trained_on_has_another_fingerprint(tmp_path: Path) -> None:
    before = TrainedFeatures(run(tmp_path)).fingerprint()
    again = TrainedNetwork.load(tmp_path)
    next(again.network.parameters()).data.add_(1)
    again.save(tmp_path)
    assert TrainedFeatures(tmp_path).fingerprint() != before


def test_tables_say_what_is_read_and_what_is_a_baseline(tmp_path: Path) -> None:
    trained = TrainedFeatures(run(tmp_path / "trained"))
    facts = {"network": "CNN", "data": "cifar10", "rule": "backprop", "seed": 5, "inference": "forward pass"}
    assert trained.descriptors() == facts | {"name": "CNN cifar10 backprop seed 5", "baseline": False}
    twin = trained.untrained_twin(2).descriptors()
    assert (twin["name"], twin["rule"], twin["baseline"]) == ("CNN cifar10 untrained seed 2", "untrained", True)
    floor = TrainedFeatures(run(tmp_path / "floor", RandomFeatures())).descriptors()
    assert (floor["rule"], floor["baseline"]) == ("random features", True)
    settling = TrainedFeatures(run(tmp_path / "settling", EquilibriumPropagation()), name="mine")
    assert settling.descriptors()["inference"] == "equilibrium propagation"
    assert settling.untrained_twin().descriptors()["name"] == "mine untrained"


def test_a_network_of_flat_inputs_is_shown_images_of_its_data_set(tmp_path: Path) -> None:
    network = MLP([784, 6, 10])
    source = TrainedFeatures(run(tmp_path, network=network, dataset="mnist", mean=[0.1], deviation=[0.3]))
    assert source.input_shape() == (1, 28, 28)
    assert activations(source, images(), list("abcde")).layers["layer1"].shape == (5, 6)
    assert source.descriptors()["seed"] == 0  # the default's


class Unseeded(Network):
    """Its weights are always the same."""

    def __init__(self) -> None:
        super().__init__([Layer(LinearSynapse(192, 3), before=torch.nn.Flatten())], (3, 8, 8))


def test_what_gives_no_features_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingData, match="no trained network"):
        TrainedFeatures(tmp_path)
    with pytest.raises(WrongArgument, match="seed 3 for trained weights"):
        TrainedFeatures(run(tmp_path / "a"), seed=3)
    network, rule = SMALL["recurrent"](), Backprop()
    TrainedNetwork(network, rule, {"dataset": "text"}).save(tmp_path / "text")
    with pytest.raises(WrongArgument, match="the run was not trained on images"):
        TrainedFeatures(tmp_path / "text")
    monkeypatch.setenv("PLASTICODE_ALLOW_IMPORTS", Unseeded.__module__.partition(".")[0])
    folder = run(tmp_path / "b", network=Unseeded())
    with pytest.raises(WrongArgument, match="Unseeded takes no seed"):
        TrainedFeatures(folder).untrained_twin()

"""Oracle: the definitions of uSF, brSF and frSF. (Autograd and backprop: test_chained_error.py.)"""

from __future__ import annotations

import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.sign_symmetry import MAGNITUDES, SignSymmetry
from plasticode.datasets.errors import WrongArgument
from torch import Tensor


def bound(variant: str, network: Network) -> SignSymmetry:
    rule = SignSymmetry(variant)
    rule.bind(network)
    return rule


def feedback_of_step(rule: SignSymmetry, network: Network, step: int, share: tuple[int, int] = (0, 1)) -> list[Tensor]:
    rule.begin_step(step, share)
    rule.assign_gradients(network, torch.randn(4, *network.example), torch.arange(4) % 3)
    return [weight for weights in rule.feedback(network) for weight in weights]


@pytest.mark.parametrize("variant", MAGNITUDES)
def test_feedback_has_the_signs_of_the_weights_also_after_they_have_changed(variant: str) -> None:
    network = CNN((1, 8, 8), (3, 4, 2), (3, 3, 3), hidden=6, n_classes=3)
    rule = bound(variant, network)
    for step in range(2):
        for layer, weight in zip(network, feedback_of_step(rule, network, step), strict=True):
            assert torch.equal(weight.sign(), layer.synapse.weight.sign())
            with torch.no_grad():
                layer.synapse.weight.normal_()


def test_uniform_feedback_has_one_size_the_standard_deviation_of_the_initial_weights() -> None:
    network = MLP((5, 6, 3))
    expected = [layer.synapse.weight.std().item() for layer in network]
    rule = bound("uSF", network)
    with torch.no_grad():
        for weight in network.parameters():
            weight *= 3
    for size, weight in zip(expected, feedback_of_step(rule, network, 0), strict=True):
        torch.testing.assert_close(weight.abs(), torch.full_like(weight, size))


@pytest.mark.parametrize("variant", ["brSF", "frSF"])
def test_random_sizes_have_the_scale_of_the_initial_weights_and_owe_them_nothing(variant: str) -> None:
    network = MLP((5, 400, 400), seed=0)
    weight = network.layers[1].synapse.weight.detach()
    feedback = feedback_of_step(bound(variant, network), network, 0)[1]
    n = weight.numel()
    # A squared normal number has variance 2: the mean of n is known to sqrt(2 / n), a correlation to 1 / sqrt(n).
    assert abs(feedback.square().mean() / weight.square().mean() - 1) < 5 * (2 * 2 / n) ** 0.5
    sizes = torch.stack([feedback.abs().flatten(), weight.abs().flatten()])
    assert abs(torch.corrcoef(sizes)[0, 1]) < 5 / n**0.5


def test_sizes_are_drawn_anew_for_each_batch_by_brsf_alone() -> None:
    for variant, anew in (("uSF", False), ("brSF", True), ("frSF", False)):
        network = MLP((5, 6, 3))
        rule = bound(variant, network)
        first, second, again = (feedback_of_step(rule, network, step)[1] for step in (1, 2, 1))
        assert torch.equal(first, second) is not anew
        assert torch.equal(first, again)


def test_every_process_draws_the_same_sizes() -> None:
    network = MLP((5, 6, 3))
    rule = bound("brSF", network)
    one, two = (feedback_of_step(rule, network, 1, (rank, 2))[1] for rank in (0, 1))
    assert torch.equal(one, two)


def test_another_variant_is_refused_and_the_three_are_named() -> None:
    with pytest.raises(WrongArgument, match=r"(?s)no sign symmetry 'SF'.*One of: uSF, brSF, frSF"):
        SignSymmetry("SF")

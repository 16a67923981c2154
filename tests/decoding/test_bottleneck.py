"""Oracles: sampling, numerical integration, and the limits of the gate."""

import math

import numpy as np
import pytest
import torch
from plasticode.decoding.bottleneck import (
    BetaSchedule,
    LatentBottleneck,
    Posterior,
    VoxelBottleneck,
    mean_inside,
    voxel_rate,
)
from scipy.ndimage import gaussian_filter
from torch.distributions import Normal

GRID = (3, 4, 2)


def posterior(seed=0):
    torch.manual_seed(seed)
    return Posterior(torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.randn(4), torch.randn(4))


def test_the_closed_form_rate_is_the_mean_of_sampled_log_ratios():
    q = posterior()
    own, prior = (
        Normal(mean, (0.5 * log_variance).exp())
        for mean, log_variance in ((q.mean, q.log_variance), (q.prior_mean, q.prior_log_variance))
    )
    z = torch.stack([q.sample() for _ in range(20_000)])
    ratios = (own.log_prob(z) - prior.log_prob(z)).sum(dim=-1)
    error = ratios.std(dim=0) / math.sqrt(len(z))
    assert bool(((ratios.mean(dim=0) - q.rate()).abs() < 5 * error).all())


def test_a_posterior_that_is_the_prior_costs_nothing_and_any_other_costs_something():
    mean, log_variance = torch.randn(4), torch.randn(4)
    same = Posterior(mean.expand(1, 2, 4), log_variance.expand(1, 2, 4), mean, log_variance)
    torch.testing.assert_close(same.rate(), torch.zeros(1, 2))
    assert bool((posterior().rate() > 0).all())


def test_samples_have_the_posterior_s_mean_and_variance_and_carry_gradients():
    q = posterior()
    z = torch.stack([q.sample() for _ in range(20_000)])
    torch.testing.assert_close(z.mean(dim=0), q.mean, atol=0.06, rtol=0)
    torch.testing.assert_close(z.var(dim=0), q.log_variance.exp(), atol=0.02, rtol=0.06)
    mean = q.mean.requires_grad_()
    Posterior(mean, q.log_variance, q.prior_mean, q.prior_log_variance).sample().sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))


def test_the_latent_bottleneck_starts_nearly_noiseless_and_its_variance_stays_in_range():
    bottleneck = LatentBottleneck(5, 4)
    q = bottleneck(torch.randn(2, 3, 5))
    torch.testing.assert_close(q.log_variance, torch.full((2, 3, 4), -3.0))
    bottleneck.log_variance.bias.data.fill_(1e6)
    assert bool(torch.isfinite(bottleneck(torch.randn(2, 3, 5)).rate()).all())


@pytest.mark.parametrize("gate", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_the_voxel_rate_is_the_divergence_averaged_over_the_values_of_a_z_scored_voxel(gate):
    values = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    density = Normal(0.0, 1.0).log_prob(values).exp()
    # The KL divergence by definition, from a grid over x', then averaged over x.
    mixed = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    x = values[::100, None]
    own, noise = Normal(gate * x, 1 - gate), Normal(0.0, 1.0)
    integrand = own.log_prob(mixed).exp() * (own.log_prob(mixed) - noise.log_prob(mixed))
    divergence = torch.trapezoid(integrand, mixed, dim=1)
    average = torch.trapezoid(divergence * density[::100], values[::100])
    assert float(voxel_rate(torch.tensor(gate, dtype=torch.float64))) == pytest.approx(float(average), rel=1e-3)


def test_a_shut_gate_costs_nothing_and_passes_nothing():
    bottleneck = VoxelBottleneck(GRID, 1)
    bottleneck.group.data.fill_(-200.0)
    person = torch.zeros(1, dtype=torch.long)
    volumes = torch.randn(1, 5, *GRID)
    assert bool((bottleneck.rate(person) == 0).all())
    assert bool((bottleneck.eval()(volumes, person) == 0).all())
    bottleneck.train()
    passed = []
    for x in (volumes, 100 + volumes):
        torch.manual_seed(0)
        passed.append(bottleneck(x, person))
    torch.testing.assert_close(*passed)


def test_an_open_gate_passes_the_voxel_unchanged_in_evaluation_and_costs_more_than_any_other():
    bottleneck = VoxelBottleneck(GRID, 1, openness=0.5).eval()
    person, volumes = torch.zeros(1, dtype=torch.long), torch.randn(1, 5, *GRID)
    half = bottleneck.rate(person)
    bottleneck.group.data.fill_(200.0)
    torch.testing.assert_close(bottleneck(volumes, person), volumes, rtol=2e-6, atol=0)
    assert bool((bottleneck.rate(person) > half).all())
    assert bool(torch.isfinite(bottleneck.rate(person)).all())


def test_the_rate_grows_with_the_gate():
    assert bool((voxel_rate(torch.linspace(0, 0.999, 500, dtype=torch.float64)).diff() > 0).all())


def test_mixing_in_training_gives_the_mean_and_variance_of_the_mixture():
    torch.manual_seed(0)
    bottleneck = VoxelBottleneck((1, 1, 1), 1, openness=0.7).train()
    mixed = bottleneck(torch.full((1, 40_000, 1, 1, 1), 2.0), torch.zeros(1, dtype=torch.long)).detach()
    assert float(mixed.mean()) == pytest.approx(1.4, abs=0.01)
    assert float(mixed.std()) == pytest.approx(0.3, abs=0.01)


def test_gates_start_at_their_openness():
    gates = VoxelBottleneck(GRID, 2, openness=0.8).gates(torch.tensor([0, 1, -1]))
    torch.testing.assert_close(gates, torch.full((3, *GRID), 0.8))


def test_an_unseen_person_has_the_group_s_gates_and_the_others_their_own():
    torch.manual_seed(0)
    bottleneck = VoxelBottleneck(GRID, 2, smoothness=0)
    torch.nn.init.normal_(bottleneck.group)
    torch.nn.init.normal_(bottleneck.deviation)
    first, second, unseen = bottleneck.gates(torch.tensor([0, 1, -1]))
    torch.testing.assert_close(unseen, torch.sigmoid(bottleneck.group))
    torch.testing.assert_close(first, torch.sigmoid(bottleneck.group + bottleneck.deviation[0]))
    torch.testing.assert_close(second, torch.sigmoid(bottleneck.group + bottleneck.deviation[1]))


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 2.0])
def test_gates_are_the_sigmoid_of_gaussian_smoothed_logits(smoothness):
    torch.manual_seed(0)
    bottleneck = VoxelBottleneck((7, 8, 9), 1, smoothness=smoothness)
    torch.nn.init.normal_(bottleneck.group)
    torch.nn.init.normal_(bottleneck.deviation)
    logits = (bottleneck.group + bottleneck.deviation[0]).detach().numpy()
    radius = math.ceil(3 * smoothness)
    smoothed = gaussian_filter(logits, smoothness, mode="nearest", radius=radius)
    found = bottleneck.gates(torch.tensor([0]))[0].detach().numpy()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-smoothed)), rtol=1e-4)


def test_the_mean_rate_counts_voxels_inside_the_masks_only():
    rng = np.random.default_rng(0)
    values, inside = rng.normal(size=(2, *GRID)), rng.random((2, *GRID)) < 0.5
    assert float(mean_inside(torch.tensor(values), torch.tensor(inside))) == pytest.approx(values[inside].mean())


def test_beta_is_0_until_it_begins_final_once_it_ends_and_linear_between():
    beta = BetaSchedule(final=4.0, begin=0.2, end=0.6)
    assert [beta(progress) for progress in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0, 0, 2, 4, 4])


def test_a_lost_voxel_is_noise_for_its_whole_window_and_all_are_back_in_evaluation():
    torch.manual_seed(0)
    bottleneck = VoxelBottleneck((10, 10, 10), 1, openness=0.999, lost=0.3).train()
    people, volumes = torch.zeros(6, dtype=torch.long), torch.full((6, 4, 10, 10, 10), 50.0)
    lost = bottleneck(volumes, people) < 25
    assert bool((lost == lost[:, :1]).all())  # in every row of the window, or in none
    share = lost[:, 0].flatten(1).float().mean(1)
    assert float(share.mean()) == pytest.approx(0.3, abs=4 * (0.21 / 6000) ** 0.5)
    assert not torch.equal(lost[0], lost[1])
    assert bool((bottleneck.eval()(volumes, people) > 25).all())
    assert float(bottleneck(volumes, people).detach().std()) < 1e-3

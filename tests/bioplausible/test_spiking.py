"""Oracles: closed forms of the membrane equation and of Poisson counts."""

import math

import pytest
import torch
from plasticode.bioplausible.spiking import IntegrateAndFire, PoissonInput, SpikingNetwork, Votes


def one_neuron(**settings):
    return IntegrateAndFire(1, excitatory=1e-3, **settings).double()  # conductance follows the drive at once


def test_under_a_constant_conductance_a_neuron_fires_at_the_closed_form_rate():
    step, n_steps, refractory = 0.1, 4000, 5.0
    conductance = torch.tensor([0.4, 1.0, 3.0], dtype=torch.float64)
    drive = conductance[:, None, None].expand(3, n_steps, 1)
    n_spikes = one_neuron(step=step, refractory=refractory)(drive).sum((1, 2))
    aim, constant = -65 / (1 + conductance), 100 / (1 + conductance)
    interval = refractory + constant * torch.log((aim + 65) / (aim + 52))
    # A spike waits for the end of its step, so that an interval lasts up to a step more.
    assert (n_spikes <= n_steps * step / interval).all()
    assert (n_spikes >= (n_steps * step / (interval + step)).floor()).all()


def test_below_threshold_a_neuron_is_silent_for_ever():
    conductance = 13 / 52  # steady state: -65 / (1 + g) = -52
    drive = torch.full((1, 5000, 1), conductance * 0.999, dtype=torch.float64)
    assert one_neuron()(drive).sum() == 0
    assert one_neuron()(drive / 0.999 * 1.01).sum() > 0


@pytest.mark.parametrize("refractory", [1.0, 5.0, 9.0])
def test_no_two_spikes_are_closer_than_the_refractory_time_and_a_step(refractory):
    spikes = one_neuron(refractory=refractory)(torch.full((1, 300, 1), 1e4, dtype=torch.float64))
    gaps = spikes[0, :, 0].nonzero().flatten().diff()
    assert set(gaps.tolist()) == {int(refractory) + 1}


def test_a_spike_inhibits_the_others_and_not_its_own_neuron():
    drive = torch.zeros(1, 60, 3, dtype=torch.float64)
    drive[..., 0], drive[..., 1:] = 8.0, 1.0
    free = IntegrateAndFire(3, inhibition=0).double()(drive).sum(1)[0]
    held = IntegrateAndFire(3, inhibition=17).double()(drive).sum(1)[0]
    assert held[0] == free[0] > 0
    assert (free[1:] > 0).any()
    assert (held[1:] == 0).all()


def test_at_most_one_neuron_spikes_in_a_step():
    drive = 5 * torch.rand(4, 100, 7, generator=torch.Generator().manual_seed(0))
    assert IntegrateAndFire(7, inhibition=0)(drive).sum(2).max() == 1


def test_a_threshold_grows_by_theta_plus_a_spike_and_decays_exponentially():
    neurons = IntegrateAndFire(2, theta_plus=0.05, theta_decay=1000).double()
    neurons.adapt(torch.tensor([4.0, 0.0]), 0.0)
    neurons.adapt(torch.zeros(2), 500.0)
    torch.testing.assert_close(neurons.theta, torch.tensor([0.2 * math.exp(-0.5), 0.0], dtype=torch.float64))


def test_a_higher_threshold_makes_fewer_spikes():
    drive = torch.full((1, 500, 1), 2.0, dtype=torch.float64)
    neuron = one_neuron()
    before = neuron(drive).sum()
    neuron.theta += 20
    assert 0 < neuron(drive).sum() < before


def test_input_counts_have_the_mean_and_variance_of_their_rates():
    encoder = PoissonInput(duration=2000, step=1, max_rate=60)
    x = torch.tensor([[0.0, 0.25, 0.5, 1.0]]).expand(4000, 4)
    draws = torch.Generator().manual_seed(0)
    counts = encoder.spikes(x, torch.rand(4000, 2000, 4, generator=draws)).sum(1)
    mean = 60 * 2 * x[0]  # rate in Hz x 2 s
    standard_error = (mean / 4000).sqrt()
    assert ((counts.mean(0) - mean).abs() <= 4 * standard_error).all()
    expected = mean * (1 - 0.06 * x[0])  # of a Poisson process, less what a bin that holds one spike at most takes
    assert ((counts.var(0) - expected).abs() <= 4 * expected * math.sqrt(2 / 4000)).all()


def test_standardised_and_raw_images_give_the_same_spikes():
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    encoder = PoissonInput(duration=50)
    assert torch.equal(encoder(x), encoder((x - 0.13) / 0.31))


def test_a_blank_image_is_silent():
    assert PoissonInput(duration=50)(torch.full((2, 9), 0.7)).sum() == 0


def network(**settings):
    chosen = {"n_neurons": 6, "example": (12,), "n_classes": 3, "total_weight": 6, "duration": 80, "max_rate": 200}
    return SpikingNetwork(**{**chosen, **settings})


def test_scores_of_an_image_do_not_depend_on_the_batch():
    net, x = network(), torch.rand(120, 12, generator=torch.Generator().manual_seed(0))
    net.votes.labels.copy_(torch.arange(6) % 3)
    with torch.no_grad():
        whole, alone = net(x), torch.cat([net(row[None]) for row in x])
    assert whole.abs().sum() > 0
    torch.testing.assert_close(whole, alone)


def test_looking_moves_neither_thresholds_nor_labels_nor_weights():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net(torch.rand(20, 12, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_restored_weights_sum_to_the_total_exactly_and_are_not_negative():
    net = SpikingNetwork(20).double()
    with torch.no_grad():
        net.layer.synapse.weight.normal_(0.1, 0.5, generator=torch.Generator().manual_seed(0))
    net.restore_weights()
    weight = net.layer.synapse.weight
    torch.testing.assert_close(weight.sum(1), torch.full((20,), 78.4, dtype=torch.float64), rtol=1e-12, atol=0)
    assert weight.min() >= 0


def test_a_label_is_the_class_of_the_largest_mean_response():
    votes = Votes(3, 2, memory=1e12)
    # Class 0 was shown four times as often: neuron 0 fired more at it in all, and less on the average.
    votes.watch(torch.tensor([[6.0, 9.0, 0.0], [3.0, 1.0, 0.0]]), torch.tensor([4.0, 1.0]))
    assert votes.labels.tolist() == [1, 0, -1]


def test_votes_are_the_mean_count_of_a_class_and_unlabelled_neurons_have_none():
    votes = Votes(4, 3, memory=100.0)
    votes.labels.copy_(torch.tensor([0, 0, 1, -1]))
    spikes = torch.tensor([[[1.0, 0, 1, 1], [1.0, 1, 1, 1]]])
    torch.testing.assert_close(votes(spikes), torch.tensor([[1.5, 2.0, 0.0]]))


def test_old_responses_fade_with_the_images_shown():
    votes = Votes(1, 2, memory=10.0).double()
    votes.watch(torch.tensor([[2.0], [0.0]]), torch.tensor([1.0, 0.0]))
    votes.watch(torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 10.0]))
    torch.testing.assert_close(votes.responses[:, 0], torch.tensor([2 / math.e, 1.0], dtype=torch.float64))

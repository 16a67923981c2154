"""Oracles: the parts called one by one, and what the facts of the data promise."""

import math
from dataclasses import replace

import pytest
import torch
from plasticode.decoding.bottleneck import VoxelBottleneck
from plasticode.decoding.encoder import ChannelEncoder, VolumeEncoder
from plasticode.decoding.network import BrainToTextNetwork, NetworkSize
from plasticode.decoding.text_features import similarity

GRID = (4, 4, 4)


def test_channels_get_a_channel_encoder_and_volumes_get_gates_and_a_volume_encoder(tiny):
    channels, volumes = tiny.network(), tiny.network(GRID)
    assert isinstance(channels.encoder, ChannelEncoder)
    assert channels.voxels is None
    assert isinstance(volumes.encoder, VolumeEncoder)
    assert isinstance(volumes.voxels, VoxelBottleneck)


def test_the_voxel_bottleneck_can_be_left_out(tiny):
    size = NetworkSize(n_features=4, hidden=4, width=2, places=4, on_voxels=False)
    assert BrainToTextNetwork(tiny.facts(GRID), size, tiny.decoder(), 7).voxels is None


def test_the_posterior_is_gate_then_encoder_then_latent(tiny):
    network, person = tiny.network(GRID), torch.zeros(2, dtype=torch.long)
    volumes = torch.randn(2, 7, *GRID)
    gated = torch.sigmoid(network.voxels.group) * volumes
    expected = network.latent.mean(network.encoder(gated))
    torch.testing.assert_close(network.posterior(volumes, person).mean, expected)


def test_an_unseen_person_is_read_through_the_group_s_gates(tiny):
    network = tiny.network(GRID, subjects=("S1", "S2"))
    torch.nn.init.normal_(network.voxels.deviation[1])
    volumes = torch.randn(1, 7, *GRID)
    first, second, unseen = (network.posterior(volumes, torch.tensor([person])).mean for person in (0, 1, -1))
    torch.testing.assert_close(unseen, first)
    assert not torch.allclose(unseen, second, atol=1e-4)


def test_an_untrained_text_rate_is_the_mean_of_the_training_rows(tiny):
    counts = tiny.network().expected_counts(torch.randn(2, 5, 7))
    torch.testing.assert_close(counts, torch.tensor([2.0, 8.0]).expand(2, 5, 2))


def test_expected_counts_are_positive_and_bounded(tiny):
    network = tiny.network()
    torch.nn.init.normal_(network.counts.weight)
    counts = network.expected_counts(1e6 * torch.randn(2, 5, 7))
    assert bool((counts > 0).all())
    assert float(counts.detach().max()) <= math.exp(5) * 1.001


@pytest.mark.parametrize("repetition_time", [1.0, 2.0, 20.0])
def test_as_many_characters_per_second_fit_into_a_row_of_any_length(tiny, repetition_time):
    """At 15 characters per second a row of 20 s has 300: the bound must not cut them off."""
    facts = replace(tiny.facts(), repetition_time=repetition_time, mean_counts=(3.0, 15.0 * repetition_time))
    network = BrainToTextNetwork(facts, NetworkSize(n_features=4, hidden=4), tiny.decoder(), 7)
    counts = network.expected_counts(torch.zeros(1, 1, 7))
    torch.testing.assert_close(counts[0, 0, 1].detach(), torch.tensor(15.0 * repetition_time))
    network.counts.bias.data.fill_(100.0)
    most = network.expected_counts(torch.zeros(1, 1, 7)).detach() / repetition_time
    torch.testing.assert_close(most, torch.full_like(most, math.exp(5) / 2))


def test_a_row_s_centre_is_where_half_of_its_characters_are_written(tiny):
    memory = tiny.network().memory(torch.randn(1, 5, 7))
    torch.testing.assert_close(memory.centre, torch.tensor([[4.0, 12.0, 20.0, 28.0, 36.0]]))


def test_writing_does_not_train_the_text_rate(tiny):
    network = tiny.network()
    latent = torch.randn(1, 5, 7)
    network.decoder(torch.ones(1, 4, dtype=torch.long), network.memory(latent)).sum().backward()
    assert network.counts.weight.grad is None


@pytest.mark.parametrize(("log_scale", "factor"), [(1.0, math.e), (50.0, math.exp(4.6))])
def test_logits_are_similarities_times_a_bounded_scale(tiny, log_scale, factor):
    network = tiny.network()
    network.log_scale.data.fill_(log_scale)
    latent, embedding = torch.randn(3, 5, 7), torch.randn(4, 5, 7)
    torch.testing.assert_close(network.logits(latent, embedding), factor * similarity(latent, embedding))

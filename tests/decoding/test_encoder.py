"""Oracles: a regression on delayed responses in numpy, receptive fields, and invariances."""

import numpy as np
import pytest
import torch
from plasticode.decoding.encoder import ChannelEncoder, ResidualBlock, TemporalTrunk, VolumeEncoder

GRID = (5, 6, 7)


def awake(module):
    """Every weight away from its zero start."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def test_an_untrained_trunk_is_a_regression_on_delayed_responses():
    trunk = TemporalTrunk(4, reach=2, n_features=3, hidden=5, dropout=0.5).eval()
    x = np.random.default_rng(0).normal(size=(2, 9, 4)).astype(np.float32)
    weight, bias = trunk.linear.weight.detach().numpy(), trunk.linear.bias.detach().numpy()
    expected = sum(x[:, delay : delay + 7] @ weight[:, :, delay].T for delay in range(3)) + bias
    expected = expected + trunk.out.bias.detach().numpy()
    np.testing.assert_allclose(trunk(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-5)


def test_a_row_reads_itself_and_its_reach_and_one_row_more_on_either_side():
    trunk = awake(TemporalTrunk(4, reach=2, n_features=3, hidden=5, dropout=0.0))
    x = torch.randn(1, 12, 4)
    changed = x.clone()
    changed[:, 6] += 1
    moved = (trunk(x) - trunk(changed)).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("reach", [0, 3])
def test_rows_plus_reach_become_rows(reach):
    people = torch.tensor([0, 1])
    channels, volumes = torch.randn(2, 6 + reach, 8), torch.randn(2, 6 + reach, *GRID)
    assert ChannelEncoder(8, 2, reach, n_features=3)(channels, people).shape == (2, 6, 3)
    assert VolumeEncoder(GRID, reach, n_features=3, width=2, n_places=4)(volumes).shape == (2, 6, 3)


def test_people_differ_by_their_stems_only_and_stems_start_as_the_identity():
    torch.manual_seed(0)
    encoder = ChannelEncoder(4, 2, reach=1, n_features=3).eval()
    x, first, second = torch.randn(1, 5, 4), torch.tensor([0]), torch.tensor([1])
    before = encoder(x, first)
    torch.testing.assert_close(before, encoder.trunk(x))
    torch.nn.init.normal_(encoder.stems[1])
    torch.testing.assert_close(encoder(x, first), before)
    torch.testing.assert_close(encoder(x, second), encoder(x @ encoder.stems[1], first))


def test_one_person_needs_no_stem():
    assert len(ChannelEncoder(4, 1, reach=1).stems) == 0


def test_a_residual_block_only_adds_a_constant_before_training():
    block, x = ResidualBlock(3), torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(block(x), x + block.second.bias[:, None, None, None])


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_window_s_features_do_not_depend_on_the_other_windows_of_its_batch(batch):
    encoder = awake(VolumeEncoder(GRID, 1, n_features=3, width=2, n_places=4, hidden=4))
    volumes = torch.randn(5, 4, *GRID)
    order = torch.randperm(5)
    parts = torch.cat([encoder(part) for part in volumes[order].split(batch)])
    torch.testing.assert_close(parts, encoder(volumes)[order], atol=1e-4, rtol=1e-4)


def test_every_voxel_reaches_the_features():
    encoder = awake(VolumeEncoder(GRID, 0, n_features=3, width=2, n_places=4, hidden=4))
    volumes = torch.randn(1, 1, *GRID, requires_grad=True)
    encoder(volumes).square().sum().backward()
    assert bool((volumes.grad != 0).all())


def test_memory_format_changes_nothing():
    encoder = awake(VolumeEncoder(GRID, 0, n_features=3, width=2, n_places=4, hidden=4))
    volumes = torch.randn(2, 3, *GRID)
    before = encoder(volumes)
    encoder.space.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(encoder(volumes), before, atol=1e-4, rtol=1e-4)


def test_dropout_rests_in_evaluation():
    encoder, x = ChannelEncoder(4, 1, reach=1, dropout=0.5), torch.randn(1, 8, 4)
    person = torch.tensor([0])
    assert not torch.equal(encoder(x, person), encoder(x, person))
    encoder.eval()
    assert torch.equal(encoder(x, person), encoder(x, person))

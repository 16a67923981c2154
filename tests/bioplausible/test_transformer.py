"""Oracle: torch's scaled_dot_product_attention, and the formulas of the papers."""

from __future__ import annotations

import math

import pytest
import torch
from plasticode.bioplausible.transformer import (
    Attention,
    CharacterTransformer,
    FeedForward,
    Positions,
    causal_attention,
)
from plasticode.datasets.errors import WrongArgument
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention


def test_causal_attention_is_torch_s() -> None:
    query, key, value = torch.randn(3, 2, 4, 6, 5, dtype=torch.float64)
    expected = scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(causal_attention(query, key, value), expected)


def test_heads_share_the_features_between_them_in_order() -> None:
    block = Attention(6, 2, torch.Generator().manual_seed(0)).double()
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    seen = layer_norm(x, (6,))
    query, key, value = (linear(seen, s.weight, s.bias) for s in (block.query, block.key, block.value))
    heads = [slice(0, 3), slice(3, 6)]
    gathered = torch.cat([causal_attention(query[..., h], key[..., h], value[..., h]) for h in heads], -1)
    torch.testing.assert_close(block(x), x + linear(gathered, block.out.weight, block.out.bias))


def test_a_feed_forward_block_is_the_paper_s_formula() -> None:
    block = FeedForward(4, 9, "gelu", torch.Generator().manual_seed(0)).double()
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    hidden = gelu(linear(layer_norm(x, (4,)), block.first.weight, block.first.bias))
    torch.testing.assert_close(block(x), x + linear(hidden, block.second.weight, block.second.bias))


@pytest.mark.parametrize("width", [6, 5])
def test_positions_are_the_paper_s_sines_and_cosines(width: int) -> None:
    found = Positions()(torch.zeros(2, 4, width))
    for place in range(4):
        for i in range(width):
            angle = place / 10_000 ** ((i - i % 2) / width)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert found[1, place, i].item() == pytest.approx(expected, abs=1e-6)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(WrongArgument, match=r"width 10 for 4 heads.*multiple of the heads"):
        CharacterTransformer(width=10, heads=4)

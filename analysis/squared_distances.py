"""Signed squared distances of all pairs of rows, as matrix products in bounded memory.

Every distance of `distances.py` is d_ij = Σ_k w_k (u_ik - u_jk)² of some features u with signs w of 1 or -1. With
s_i = Σ_k w_k u_ik² that is s_i + s_j - 2 Σ_k w_k u_ik u_jk: a symmetric matrix product, of which only the strips above
the diagonal are computed, half the work of the whole.

Features and the s_i are computed in double precision, products in single, at most `DEPTH` features at a time, and
these parts are added in double. That holds seven digits of s_i + s_j, so fewer of a distance that is small beside
them. Where a pair of a strip is nearer than `NEAR` times Σ_k (u_ik² + u_jk²), the strip is computed again in double;
where a sample shows that more than `COMMON` of the pairs are so near, everything is. Features should be centred over
rows beforehand: what all rows share cancels in a distance, but costs digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

# Blocks of features (row feature) in double, one after the other, and the sign of each feature.
Block = tuple[Float64[Tensor, "row feature"], Float64[Tensor, " feature"]]
Features = Callable[[], Iterator[Block]]
Strip = tuple[int, int]  # rows from the one until before the other, against all rows from the one on

# Measured with 600 rows of 1,000 and 4,096 features: products of unit rows are off by 4e-7 at most, where rows agree.
NEAR = 0.3
COMMON = 0.01
DEPTH = 4096
PILOT = 128  # rows
BYTES_PER_PAIR = 32  # of a strip, with all that is held beside it
TALLEST = 256  # rows of a strip; taller ones leave the cache, and waste what symmetry saves


def squared_distances(
    features: Features,
    n: int,
    *,
    chunk: int,
    order: Int[Tensor, " row"] | None = None,
    device: torch.device | str = "cpu",
) -> Float64[Tensor, " pair"]:
    """d_ij for all pairs i < j, row by row (rsatoolbox's order).

    Parameters
    ----------
    features
        Called once or more; gives blocks (row feature) of all `n` rows, one after the other.
    chunk
        Bytes that may be taken beside the result.
    order
        Row r of the features is number order[r] of the result: whoever sorts rows beforehand gets every distance to
        the last bit the same, however they were ordered.
    """
    distances = torch.empty(n * (n - 1) // 2, dtype=torch.float64, device=device)
    height = max(1, min(TALLEST, chunk // (4 * BYTES_PER_PAIR * n)))
    strips = [(start, min(start + height, n)) for start in range(0, n - 1, height)]
    if _single_is_single():
        strips = _fill(_gathered(features, n, chunk // 2, torch.float32), distances, strips, order)
    if strips:
        _fill(_gathered(features, n, chunk // 2, torch.float64), distances, strips, order)
    return distances


# Features, their signs, and of each row the signed and the plain sum of squares.
Gathered = tuple[
    Float[Tensor, "row _feature"], Float64[Tensor, " _feature"], Float64[Tensor, " row"], Float64[Tensor, " row"]
]


def _gathered(features: Features, n: int, chunk: int, dtype: torch.dtype) -> Iterator[Gathered]:
    """The features in few wide blocks."""
    width = max(1, min(DEPTH, chunk // (3 * dtype.itemsize * n)))
    parts: list[Gathered] = []
    held = 0
    for values, signs in features():
        squares = values.square()
        parts.append((values.to(dtype), signs, squares @ signs, squares.sum(1)))
        held += len(signs)
        del values, squares
        if held >= width:
            block = _together(parts)
            parts, held = [], 0  # not held twice while the block is worked on
            yield block
            del block
    if parts:
        block = _together(parts)
        del parts
        yield block


def _together(parts: list[Gathered]) -> Gathered:
    values, signs, own, size = zip(*parts, strict=True)
    return torch.cat(values, 1), torch.cat(signs), torch.stack(own).sum(0), torch.stack(size).sum(0)


def _fill(
    blocks: Iterator[Gathered],
    distances: Float64[Tensor, " pair"],
    strips: list[Strip],
    order: Int[Tensor, " row"] | None,
) -> list[Strip]:
    """Write the strips' distances; the strips that single precision did not serve."""
    sizes: list[Float64[Tensor, " row"]] = []
    single = False
    for values, signs, own, size in blocks:
        single = values.dtype == torch.float32
        if single and not sizes and _mostly_near(values, signs):
            return strips
        for strip in strips:
            places, found = _places(strip, len(own), order, distances.device), _of_strip(values, signs, own, strip)
            if sizes:
                distances[places] += found
            else:
                distances[places] = found
        sizes.append(size)
    total = torch.stack(sizes).sum(0)
    if not single or bool(distances.aminmax().min >= 2 * NEAR * total.max()):
        return []
    return [strip for strip in strips if _holds_near(distances, total, strip, order)]


def _of_strip(
    values: Float[Tensor, "row feature"],
    signs: Float64[Tensor, " feature"],
    own: Float64[Tensor, " row"],
    strip: Strip,
) -> Float64[Tensor, " pair"]:
    """s_i + s_j - 2 Σ w u_i u_j of the pairs of a strip, for one block of features."""
    start, stop = strip
    product = (values[start:stop] * (-2 * signs).to(values.dtype)) @ values[start:].T
    own = own.to(values.dtype)
    product += own[start:stop, None]
    product += own[start:]
    return _above(product).double()


def _holds_near(
    distances: Float64[Tensor, " pair"],
    sizes: Float64[Tensor, " row"],
    strip: Strip,
    order: Int[Tensor, " row"] | None,
) -> bool:
    """Whether a pair of the strip is too near for single precision."""
    found = distances[_places(strip, len(sizes), order, distances.device)].abs()
    start, stop = strip
    return bool((found < NEAR * _above(sizes[start:stop, None] + sizes[start:])).any())


def _mostly_near(values: Float[Tensor, "row feature"], signs: Float64[Tensor, " feature"]) -> bool:
    """Whether, of evenly spread rows, more than `COMMON` of the pairs are too near for single precision."""
    some = values[torch.linspace(0, len(values) - 1, min(PILOT, len(values)), device=values.device).long()].double()
    sizes = some.square().sum(1)
    found = _of_strip(some, signs, some.square() @ signs, (0, len(some))).abs()
    return bool((found < NEAR * _above(sizes[:, None] + sizes)).double().mean() > COMMON)


def _places(
    strip: Strip, n: int, order: Int[Tensor, " row"] | None, device: torch.device
) -> slice | Int[Tensor, " pair"]:
    """Where the strip's pairs stand in the vector of all pairs."""
    start, stop = strip
    if order is None:
        return slice(_before(start, n), _before(stop, n))
    order = order[start:].to(device)
    low, high = torch.minimum(order[: stop - start, None], order), torch.maximum(order[: stop - start, None], order)
    return _above(_before(torch.arange(n, device=device), n)[low].add_(high).sub_(low).sub_(1))


def _before(row: int | Tensor, n: int) -> Any:
    """How many pairs stand before those of a row."""
    return row * (2 * n - row - 1) // 2


def _above(strip: Tensor) -> Tensor:
    """The strip's values right of the diagonal, row by row; through numpy on the CPU, thirty times as fast."""
    rows, columns = (torch.arange(size, device=strip.device) for size in strip.shape)
    mask: Bool[Tensor, "row column"] = columns > rows[:, None]
    if strip.device.type != "cpu":
        return strip[mask]
    return torch.from_numpy(strip.numpy()[mask.numpy()])


def _single_is_single() -> bool:
    """Not where the user let torch compute single-precision products in bfloat16 or TF32."""
    return torch.get_float32_matmul_precision() == "highest" and not torch.backends.cuda.matmul.allow_tf32

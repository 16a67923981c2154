"""Is channels-last faster for the volume encoder here? Forward and backward, both layouts in turn, one process.

python benchmarks/memory_format.py [--grid 18 22 18] [--windows 16]
"""

from __future__ import annotations

import argparse
import time

import torch
from plasticode.decoding.encoder import VolumeEncoder


def seconds(encoder: VolumeEncoder, volumes: torch.Tensor) -> float:
    start = time.perf_counter()
    encoder(volumes).square().mean().backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=int, nargs=3, default=[18, 22, 18])
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--widths", type=int, nargs="+", default=[12, 32])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    volumes = torch.randn(args.windows, 15, *args.grid)
    print(f"{'width':>6} {'contiguous, windows/s':>22} {'channels-last, windows/s':>25} {'ratio':>6}")
    for width in args.widths:
        encoders = [VolumeEncoder(tuple(args.grid), reach=5, width=width, channels_last=last) for last in (False, True)]
        pairs = [[seconds(encoder, volumes) for encoder in encoders] for _ in range(args.repeats + 1)][1:]
        plain, last = (sorted(pair[way] for pair in pairs)[len(pairs) // 2] for way in (0, 1))
        print(f"{width:>6} {args.windows / plain:>22.1f} {args.windows / last:>25.1f} {plain / last:>6.2f}")


if __name__ == "__main__":
    main()

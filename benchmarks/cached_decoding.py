"""Cached decoding against recomputing every prefix: the same text, and how many times faster.

    python benchmarks/cached_decoding.py [--characters 240] [--windows 1 16]

Both ways run in turn in one process, on the real demo's decoder size with random weights; the ratio is the result.
"""

from __future__ import annotations

import argparse
import time

import torch
from plasticode.decoding.characters import Characters
from plasticode.decoding.decoder import CharDecoder, Memory
from plasticode.decoding.search import Search, write


def seconds(decoder: CharDecoder, lengths: torch.Tensor, memory: Memory, cached: bool) -> tuple[float, list[str]]:
    start = time.perf_counter()
    characters = Characters(" 'abcdefghijklmnopqrstuvwxyz")
    texts = write(decoder, characters, lengths, memory, Search(hypotheses=1), cached=cached)
    return time.perf_counter() - start, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=240)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    decoder = CharDecoder(29, width=192, layers=4, heads=6, n_latent=64).eval()
    print(f"{'windows':>8} {'cached char/s':>14} {'recomputed char/s':>18} {'ratio':>6}  same text")
    for windows in args.windows:
        memory = Memory(torch.randn(windows, 10, 64), torch.arange(10.0).expand(windows, 10) * 24 + 12)
        lengths = torch.full((windows,), args.characters)
        pairs = [[seconds(decoder, lengths, memory, cached) for cached in (True, False)] for _ in range(args.repeats)]
        fast, slow = (sorted(pair[way][0] for pair in pairs)[len(pairs) // 2] for way in (0, 1))
        same = all(pair[0][1] == pair[1][1] for pair in pairs)
        written = windows * args.characters
        print(f"{windows:>8} {written / fast:>14.0f} {written / slow:>18.0f} {slow / fast:>6.1f}  {same}")


if __name__ == "__main__":
    main()

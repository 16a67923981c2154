"""Peak memory of `fit` against the length of the recordings.

    python benchmarks/memory_fit.py [--gigabytes 0.5 1 2]

Caches of growing size (float16, 40,000 channels: the order of a cortex's voxels) are written as `prepare` leaves
them; each is trained on for some steps in a process of its own, and the peak resident memory is read from the system.
Pages of the memory map that were touched count as resident until the system takes them back, so the peak of a machine
with free memory follows what was read, not what is needed: the anonymous part is printed beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHANNELS = 40_000
CHILD = """
import sys, torch, numpy as np, psutil
from plasticode.datasets.cache import MappedRows
from plasticode.datasets.study import Responses, Run, Word
from plasticode.datasets.windows import WindowShape
from plasticode.decoding.bottleneck import LatentBottleneck
from plasticode.decoding.characters import Characters
from plasticode.decoding.encoder import ChannelEncoder
from plasticode.decoding.text_features import TextFeatures
from plasticode.decoding.window_batches import RandomBatches, WindowSet
from plasticode.decoding.word_vectors import WordVectors
from pathlib import Path

words = tuple(Word(f"word{i % 50}", float(i), i + 0.5) for i in range(500))
paths = sorted(Path(sys.argv[1]).glob("*.npy"))
runs = [Run("b", "s", path.stem, 2.0, Responses(MappedRows(path)), words) for path in paths]
table = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
vectors = WordVectors([f"word{i}" for i in range(50)], table)
windows = WindowSet(runs, TextFeatures(vectors).fit(runs), Characters(" 0123456789dorw"), ["s"], WindowShape(), None)
batches = RandomBatches(windows, 4, 8, 0)
encoder = ChannelEncoder(runs[0].responses.n_channels, 1, 5, hidden=32, n_features=32).trunk
optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-3)
for step in range(int(sys.argv[2])):
    optimizer.zero_grad()
    encoder(batches[(2, step)].responses).square().mean().backward()
    optimizer.step()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
print(int(status["VmHWM"].split()[0]) / 1e3, int(status["RssAnon"].split()[0]) / 1e3)
"""


def measure(folder: Path, gigabytes: float, rows: int, steps: int) -> tuple[float, float]:
    count = max(4, round(gigabytes * 1e9 / (rows * CHANNELS * 2)))
    rng = np.random.default_rng(0)
    block = rng.normal(size=(rows, CHANNELS)).astype(np.float16)
    for i in range(count):
        np.save(folder / f"run{i:03d}.npy", block)
    out = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(steps)], capture_output=True, text=True, check=True
    ).stdout.split()
    return float(out[-2]), float(out[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    print(f"{'GB in the cache':>16} {'peak MB':>9} {'of it anonymous MB':>19}")
    for gigabytes in args.gigabytes:
        with tempfile.TemporaryDirectory() as folder:
            peak, anonymous = measure(Path(folder), gigabytes, args.rows, args.steps)
        print(f"{gigabytes:>16.2f} {peak:>9.0f} {anonymous:>19.0f}")


if __name__ == "__main__":
    main()

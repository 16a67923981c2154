"""Memory of `prepare` against the length of the recording.

    python benchmarks/memory_prepare.py --megabytes 250 500 1000 2000
    python benchmarks/memory_prepare.py --megabytes 250 500 1000 --runs 8

Each size is a raw BIDS data set of one run (or of several people with a share each) of 64 x 64 x 36 voxels in int16,
prepared by a process of its own, whose peak resident memory is read with getrusage. The images are written by yet
another process, because a child's peak starts from that of its parent. 1000 MB are 1/20 of 20 GB; a slope near 0 says
that 20 GB take no more.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = 64, 64, 36
SECONDS = 2.0


def write_runs(root: Path, megabytes: int, suffix: str, n_runs: int) -> int:
    """Runs of about this size together before compression; returns the number of volumes of each."""
    n_volumes = megabytes * 10**6 // (2 * int(np.prod(SHAPE)) * n_runs)
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in SHAPE), indexing="ij"))
    brain = (grid**2).sum(axis=0) < 1
    func = root / "sub-01" / "func"
    func.mkdir(parents=True)
    # Noise from a short tape read at shifting places: making the noise must not take longer than reading it.
    tape = random.normal(0, 20, (200, brain.sum())).astype(np.int16)
    data = np.lib.format.open_memmap(root / "draft.npy", "w+", np.int16, (n_volumes, *SHAPE[::-1]))
    for volume in range(n_volumes):
        image = np.full(SHAPE, 20, np.int16)
        image[brain] = 1000 + np.roll(tape[volume % 200], volume // 200)
        data[volume] = image.T
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(data.T, np.diag([3.0, 3.0, 3.5, 1.0]), header)
    image.header.set_zooms((3.0, 3.0, 3.5, SECONDS))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, func / f"sub-01_task-long_bold{suffix}")
    (func / "sub-01_task-long_bold.json").write_text(json.dumps({"RepetitionTime": SECONDS}))
    (root / "draft.npy").unlink()
    for number in range(2, n_runs + 1):  # the same content under another subject: it is prepared again
        (root / f"sub-{number:02d}" / "func").mkdir(parents=True)
        for path in func.iterdir():
            os.link(path, root / f"sub-{number:02d}" / "func" / path.name.replace("sub-01", f"sub-{number:02d}"))
    return n_volumes


def measure(root: Path) -> None:
    """In a process of its own: prepare, then print estimate, peak (MB) and time (s)."""
    from plasticode.datasets.bids import BidsStudy
    from plasticode.datasets.prepare import estimate, prepare

    study, start = BidsStudy(root), time.perf_counter()
    foreseen = estimate(study).peak_memory_bytes / 1e6
    prepare(study, root / "cache", progress=False)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps({"foreseen": foreseen, "peak": peak, "seconds": time.perf_counter() - start}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--suffix", default=".nii", choices=[".nii", ".nii.gz"])
    options = parser.parse_args()
    print("| input, MB | of 20 GB | runs x volumes | peak memory, MB | estimated, MB | time, s |")
    print("|---|---|---|---|---|---|")
    peaks = [report(size, options.suffix, options.runs) for size in options.megabytes]
    if len(peaks) > 1:
        slope = np.polyfit(np.array(options.megabytes) / 1000, peaks, 1)[0]
        at_twenty = max(peaks) + max(slope, 0) * (20 - options.megabytes[-1] / 1000)
        print(f"\nslope: {slope:.1f} MB per GB of input; at 20 GB: {at_twenty:.0f} MB")


def report(megabytes: int, suffix: str, n_runs: int) -> float:
    """Prints the line of one size; returns its peak in MB."""
    with tempfile.TemporaryDirectory() as folder:
        write = "print(write_runs(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))"
        n_volumes = int(alone(write, folder, str(megabytes), suffix, str(n_runs)))
        found = json.loads(alone("measure(Path(sys.argv[1]))", folder))
    factor = f"1/{20_000 / megabytes:g}"
    values = f"{found['peak']:.0f} | {found['foreseen']:.0f} | {found['seconds']:.0f}"
    print(f"| {megabytes} | {factor} | {n_runs} x {n_volumes} | {values} |", flush=True)
    return float(found["peak"])


def alone(statement: str, *arguments: str) -> str:
    """What a statement with the names of this file prints in a process of its own."""
    command = [sys.executable, "-c", f"import sys; from memory_prepare import *; {statement}", *arguments]
    here = Path(__file__).parent
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=here).stdout


if __name__ == "__main__":
    main()

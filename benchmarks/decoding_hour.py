"""How long does it take to decode an hour of recordings?

    python benchmarks/decoding_hour.py RUN_DIR --root DIR [--subject UTS03] [--beams 20 50] [--minutes 60]

Any run folder: a brain model's or that of `fit-encoding`. Recordings that the run has not used are read and written one
after the other until there are so many minutes; what is timed is reading and writing, the model loaded and warm. Prints
a table.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from plasticode.decoding.decoders import load_decoder, reader_of
from plasticode.decoding.defaults import search_of
from plasticode.decoding.held_out import held_out
from plasticode.decoding.run_folder import RunFolder
from plasticode.decoding.scoring import prepared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--subject")
    parser.add_argument("--beams", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--minutes", type=float, default=60.0)
    args = parser.parse_args()
    model, search = load_decoder(args.run_dir), search_of(RunFolder.existing(args.run_dir))
    chosen = held_out(model, args.root, [args.subject] if args.subject else None)
    people = [args.subject] if args.subject else [model.subjects[0]]
    runs = prepared(chosen.study, [one for one in chosen.recordings if one[0] in people])
    print(f"{args.run_dir}, {people[0]}, {torch.get_num_threads()} threads")
    print("| beam | minutes of recording | s to read | s to write | s per hour | limit |\n|---|---|---|---|---|---|")
    for beam in args.beams:
        reader, told = reader_of(model), replace(search, hypotheses=beam)
        reader.write(reader.read(runs[0]), told)  # what is worked out once
        minutes, reading_s, writing_s = 0.0, 0.0, 0.0
        for run in runs:
            began = time.perf_counter()
            reading = reader.read(run)
            read = time.perf_counter()
            reader.write(reading, told)
            reading_s, writing_s = reading_s + read - began, writing_s + time.perf_counter() - read
            minutes += run.responses.n_rows * run.repetition_time / 60
            if minutes >= args.minutes:
                break
        hourly = (reading_s + writing_s) * 60 / minutes
        print(
            f"| {beam} | {minutes:.1f} | {reading_s:.1f} | {writing_s:.1f} | {hourly:.0f} | 120 s (beam 50) |",
            flush=True,
        )


if __name__ == "__main__":
    main()

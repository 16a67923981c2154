"""The null battery: what a decoder writes that was given no brain, the wrong brain, or no trained encoder.

Every null runs free through the decoder's own path: encode, text rate, write, score. What each means:
- noise input: responses with their spectra and covariances but random phases. Must be at chance.
- zero input: the mean of every channel, all the time. Must be at chance.
- time-reversed responses: every sample, backwards. Must be at chance, but for what a story has about its middle.
- untrained encoder: weights drawn anew between responses and latent (or, of an encoding model, between text and
  responses), the rest as trained. Must be at chance.
- another person's brain: somebody else's responses to the same story, read as this person's. Where brains lie on one
  grid they share what they heard: identification above chance is then expected, and says how much of the decoder is not
  this person's own. Where channels have no place (principal components), two people's have nothing to do with
  each other, and this is a null like the others.
- shifted latents: identification only, 1,000 draws (see `null_shifts`).
The permuted pairing and the language model alone are in every table without being asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..datasets.errors import PlasticodeError, WrongArgument
from ..datasets.study import Run
from .brain_reading import BrainReader
from .network import SAME_TIME
from .null_encoder import untrained_reader
from .null_responses import in_place_of, noise_input, time_reversed, zero_input

NOISE, ZERO, REVERSED = "noise input", "zero input", "time-reversed responses"
UNTRAINED, OTHER, SHIFTED = "untrained encoder", "another person's brain", "shifted latents"
ALONE_AS_NOISE = "language model alone, as long as noise input"
NULL_SYSTEMS = (NOISE, ALONE_AS_NOISE, ZERO, REVERSED, UNTRAINED, OTHER, SHIFTED)
MUST_FAIL = (NOISE, ZERO, REVERSED, UNTRAINED, SHIFTED)  # these know nothing of the story
N_DRAWS = 20

Inputs = Iterator[tuple[BrainReader, Run]]


def _nobody(run: Run) -> Sequence[Run]:
    return ()


@dataclass(frozen=True)
class Battery:
    """Which nulls are scored.

    Parameters
    ----------
    names
        Keys of `NULLS` (see `named`).
    n_draws
        Draws of the nulls that are drawn and need the encoder; p cannot fall below 1 / (n_draws + 1).
    others
        Other people's recordings of a run's story.
    """

    names: tuple[str, ...] = ("permuted",)
    n_draws: int = N_DRAWS
    others: Callable[[Run], Sequence[Run]] = _nobody

    def __post_init__(self) -> None:
        if self.n_draws < 1:
            raise WrongArgument(f"{self.n_draws} draws", "--null-draws", "Give at least 1.")

    @property
    def inputs(self) -> dict[str, InputNull]:
        """The chosen nulls that are inputs, by name."""
        return {name: INPUTS[name] for name in self.names if name in INPUTS}

    @property
    def systems(self) -> list[str]:
        """What the chosen nulls are called in tables, but for what is always there."""
        return [system for name, system in NULLS.items() if name in self.names and system]


@dataclass(frozen=True)
class InputNull:
    """A null that is another input to the decoder, or another encoder.

    Parameters
    ----------
    system
        What tables call it.
    draws
        The readers and recordings to read with them, given the decoder's own and the battery.
    alone
        What the language model alone is called that writes as much as this null did; "" to leave it out.
    needs_others
        Whether it depends on other people's recordings.
    """

    system: str
    draws: Callable[[BrainReader, Run, Battery], Inputs]
    alone: str = ""
    needs_others: bool = False


def _noise(reader: BrainReader, run: Run, battery: Battery) -> Inputs:
    for draw in range(battery.n_draws):
        yield reader, noise_input(run, draw)


def _zero(reader: BrainReader, run: Run, battery: Battery) -> Inputs:
    yield reader, zero_input(run)


def _reversed(reader: BrainReader, run: Run, battery: Battery) -> Inputs:
    yield reader, time_reversed(run)


def _untrained(reader: BrainReader, run: Run, battery: Battery) -> Inputs:
    for draw in range(battery.n_draws):
        yield untrained_reader(reader, draw), run


def _other(reader: BrainReader, run: Run, battery: Battery) -> Inputs:
    for other in battery.others(run):
        exchanged = in_place_of(run, other)
        if abs(other.repetition_time - run.repetition_time) <= SAME_TIME and _accepted(reader, exchanged):
            yield reader, exchanged


def _accepted(reader: BrainReader, run: Run) -> bool:
    try:
        reader.accepts(run)
    except PlasticodeError:
        return False
    return True


INPUTS: Mapping[str, InputNull] = {
    "noise": InputNull(NOISE, _noise, ALONE_AS_NOISE),
    "zero": InputNull(ZERO, _zero),
    "reversed": InputNull(REVERSED, _reversed),
    "untrained": InputNull(UNTRAINED, _untrained),
    "other-brain": InputNull(OTHER, _other, needs_others=True),
}
# By their names on the command line; "" where a null needs no system of its own.
NULLS: Mapping[str, str] = {
    "permuted": "",
    "alone": "",
    **{name: null.system for name, null in INPUTS.items()},
    "shifted": SHIFTED,
}


def named(asked: str) -> tuple[str, ...]:
    """Keys of `NULLS` from "all" or a list with commas. Raises `WrongArgument` for a name that is none."""
    names = tuple(name.strip() for name in asked.split(",") if name.strip())
    if names == ("all",):
        return tuple(NULLS)
    unknown = [name for name in names if name not in NULLS]
    if unknown or not names:
        raise WrongArgument(
            f"no null {', '.join(unknown) or 'named'}", "--nulls", f'Give "all", or some of: {", ".join(NULLS)}.'
        )
    return names

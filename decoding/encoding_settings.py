"""What `plasticode fit-encoding` is told: a YAML file and options, read by jsonargparse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from ..datasets.errors import WrongArgument
from ..datasets.windows import WindowShape
from .word_beam import WordBeam


@dataclass(frozen=True)
class EncodingData:
    """What is read.

    Parameters
    ----------
    study, root, subjects, study_options
        Where the recordings are, whose are fitted (all by default), and further parameters of the study's reader.
    paths
        Prose for word vectors and language model: .txt files, folders or tar archives.
    minutes
        New people: of each only so many minutes of the training stories are used, and everybody else lends a model
        (see `adaptation`), fitted on the stories that all who lend have heard.
    validation_stories, test_stories
        Held out by name: never fitted on, and no word of theirs is counted. Only the audit looks at their words.
    window
        Length of a window's text, s.
    """

    study: str
    root: str
    subjects: list[str] | None = None
    study_options: dict[str, Any] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    validation_stories: list[str] = field(default_factory=list)
    test_stories: list[str] = field(default_factory=list)
    minutes: dict[str, float] = field(default_factory=dict)
    window: WindowShape = field(default_factory=WindowShape)

    def __post_init__(self) -> None:
        if wrong := {who: minutes for who, minutes in self.minutes.items() if not minutes > 0}:
            raise WrongArgument(f"minutes {wrong}", "data.minutes", "Give numbers above 0.")


@dataclass(frozen=True)
class EncodingFit:
    """Settings of `plasticode fit-encoding`.

    Parameters
    ----------
    data
        What is read.
    beam
        How text is written.
    story_share
        Weight of the training stories beside prose in the n-grams that propose words.
    proposer
        A causal language model of Hugging Face that proposes in place of the n-grams: a local folder or a name in the
        cache. What it has read is not known, and the audit says so.
    """

    data: EncodingData
    beam: WordBeam = field(default_factory=lambda: WordBeam(hypotheses=20, evidence=2.0))
    story_share: float = 0.5
    proposer: str | None = None


def read_settings(arguments: Sequence[str]) -> EncodingFit:
    """From `--config FILE` and `--key value`; raises `WrongArgument` for what does not fit."""
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["plasticode"])
    parser = ArgumentParser(exit_on_error=False, prog="plasticode fit-encoding")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(EncodingFit, None)
    try:
        found = yaml.safe_load(parser.dump(parser.parse_args(list(arguments)), skip_unset=False))
    except (ArgumentError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        remedy = "See `plasticode fit-encoding --help`."
        raise WrongArgument(reason, "plasticode fit-encoding", remedy) from error
    data = {**found["data"], "window": WindowShape(**found["data"]["window"])}
    return EncodingFit(EncodingData(**data), WordBeam(**found["beam"]), found["story_share"], found["proposer"])

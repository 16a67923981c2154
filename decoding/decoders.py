"""The two kinds of decoder that a run folder may hold, and what reads with them."""

from __future__ import annotations

from pathlib import Path

from .brain_reading import BrainReader
from .encoding_decoder import FORM, EncodingDecoder
from .encoding_reader import EncodingReader
from .language_model import form_of
from .reading import Reader
from .trained import TrainedModel

Decoder = TrainedModel | EncodingDecoder


def load_decoder(folder: Path) -> Decoder:
    """The run's decoder; raises `MissingData` or `BrokenData` naming the folder."""
    return EncodingDecoder.load(folder) if form_of(folder) == FORM else TrainedModel.load(folder)


def reader_of(model: Decoder) -> BrainReader:
    """What reads recordings with it."""
    return EncodingReader(model) if isinstance(model, EncodingDecoder) else Reader(model)

"""Which recordings under a folder may be scored with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..datasets.errors import Leak, MissingData
from ..datasets.study import Study, open_study
from .decoders import Decoder

Recording = tuple[str, str, str]


@dataclass(frozen=True)
class HeldOut:
    """Recordings that may be scored, and what was passed over, each with its reason."""

    study: Study
    recordings: list[Recording]
    passed_over: dict[str, str]


def held_out(
    model: Decoder, root: str | Path, subjects: Sequence[str] | None = None, stories: Sequence[str] | None = None
) -> HeldOut:
    """Recordings under `root` of stories that nobody was trained on and that did not choose the checkpoint.

    Raises `Leak`, naming them, when stories that were used in training are asked for or nothing else is there, and
    `MissingData` when the folder has no recording of the model's kind.
    """
    study = open_study(model.split.study, root, model.split.options)
    found = study.recordings(subjects, stories)
    if not found:
        raise MissingData("no recording", root, f"Give a folder of study {study.name}.")
    used = used_stories(model)
    refused = {story: used[story] for _, story, _ in found if story in used}
    fresh = [recording for recording in found if recording[1] not in used]
    if refused and (stories or not fresh):
        named = ", ".join(f"{story} ({why})" for story, why in sorted(refused.items()))
        raise Leak(f"the run has seen: {named}", root, "Score stories that it has not seen.")
    people = model.subjects
    strangers = {s for s, _, _ in fresh if s not in people} if not model.carries_over and not subjects else set()
    if strangers:
        fresh = [recording for recording in fresh if recording[0] not in strangers]
        refused |= dict.fromkeys(sorted(strangers), "not trained on; channels without a place cannot be carried over")
    return HeldOut(study, fresh, refused)


def used_stories(model: Decoder) -> dict[str, str]:
    """Stories that training, the choice of its checkpoint or the language model has used, and for what."""
    split = model.split
    read = [name.split("/", 1)[1] for name in model.language_stories if name.startswith(f"{split.study}/")]
    used = dict.fromkeys(read, "read by the language model")
    used |= dict.fromkeys((story for _, story in split.validation), "chose the checkpoint")
    return used | dict.fromkeys(split.trained_stories(), "trained on")

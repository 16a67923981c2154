"""On which recordings everything was fitted that stands between a recording and its score.

A split records, for each such thing, the (subject, story) pairs it was fitted on, or in words that it is fitted on
each recording by itself, or not used. A scope that holds a scored story, of whatever person, is a leak: the text of a
story that anybody heard in training is seen. What is not recorded is said to be so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..datasets.study import Run
from .split_audit_findings import NOT_RECORDED, PASSED, Check, Finding

EXPECTED = (
    "response scaling",
    "mask",
    "voxel selection",
    "PCA",
    "alignment",
    "text standardisation",
    "word vectors",
    "language model",
    "encoder and decoder",
    "choice of checkpoint",
)
UNKNOWN = "not recorded"
ITSELF = "each recording by itself"
NONE = "none"
FEW_CHANNELS = 1000  # lebel2023 comes as 200 components or as some 90,000 voxels
MAKERS = {
    "lebel2023": f"{UNKNOWN}: the components of the reduced form were fitted by its makers, who do not say on which "
    "stories; scored stories may be among them"
}

Pairs = Sequence[tuple[str, str]]


def makers_pca(study: str, n_channels: int) -> str:
    """What is known of a PCA that was done before the study came here; "none" where there was none."""
    return MAKERS.get(study, NONE) if n_channels <= FEW_CHANNELS else NONE


def recorded(
    training: Pairs, watched: Pairs, read: Sequence[str], study: str, n_channels: int, *, volumes: bool
) -> dict[str, Any]:
    """The scopes of a run of `StoryWindows`. `read` are the language model's stories, as "study/story"."""
    own = [name.split("/", 1)[1] for name in read if name.startswith(f"{study}/")]
    texts = [["its text", story] for story in own]
    return {
        "response scaling": ITSELF,
        "mask": _listed([*training, *watched]) if volumes else NONE,
        "voxel selection": _listed(training) if volumes else NONE,
        "PCA": NONE if volumes else makers_pca(study, n_channels),
        "alignment": NONE,
        "text standardisation": _listed(training),
        "word vectors": texts,
        "language model": texts,
        "encoder and decoder": _listed(training),
        "choice of checkpoint": _listed(watched or training),
    }


def scope_checks(fitted: Mapping[str, Any], scored: Sequence[Run], study: str) -> list[Check]:
    """One check for each thing that is expected or recorded; a scope that holds a scored story is a leak."""
    names = [*EXPECTED, *(name for name in fitted if name not in EXPECTED)]
    return [_scope(name, fitted.get(name), scored, study) for name in names]


def _scope(name: str, scope: Any, scored: Sequence[Run], study: str) -> Check:
    label = f"scope: {name}"
    if scope is None:
        known = MAKERS.get(study, "") if name == "PCA" else ""
        return Check(label, UNKNOWN, NOT_RECORDED, known.removeprefix(f"{UNKNOWN}: "))
    if isinstance(scope, str):
        note = scope.removeprefix(f"{UNKNOWN}: ")
        return Check(label, UNKNOWN, NOT_RECORDED, note) if note != scope else Check(label, scope, PASSED)
    pairs = {(str(subject), str(story)) for subject, story in scope}
    stories = {story for _, story in pairs}
    findings = [
        Finding.of(label, run, f"{name} was fitted on {_what(run, pairs)}") for run in scored if run.story in stories
    ]
    return Check.judged(label, f"{len(scope)} recordings of {len(stories)} stories", findings)


def _what(run: Run, pairs: set[tuple[str, str]]) -> str:
    return "this recording" if (run.subject, run.story) in pairs else "this story"


def _listed(pairs: Pairs) -> list[list[str]]:
    return [list(pair) for pair in dict.fromkeys(pairs)]

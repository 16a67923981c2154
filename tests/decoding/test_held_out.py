"""Which recordings may be scored: by a split that is known, on a study in memory."""

from dataclasses import replace

import pytest
from plasticode.datasets.errors import Leak, MissingData
from plasticode.decoding import held_out as module
from plasticode.decoding.held_out import held_out, used_stories
from plasticode.decoding.trained import Split

STORIES = {"trained": "trained on", "watched": "chose the checkpoint", "read": "read by the language model"}


@pytest.fixture
def offer(tiny, tmp_path, monkeypatch):
    """Put recordings (subject, story) under a root."""

    def under(*recordings):
        study = tiny.study(tmp_path, [tiny.run(subject, story) for subject, story in recordings])
        monkeypatch.setattr(module, "open_study", lambda name, root, options: study)
        return tmp_path

    return under


@pytest.fixture
def everything(offer):
    return offer(*(("S1", story) for story in ("fresh", "other", *STORIES)))


def test_stories_that_nothing_has_used_are_held_out_and_the_others_named_with_their_use(tiny, everything):
    chosen = held_out(tiny.model(), everything)
    assert chosen.recordings == [("S1", "fresh", ""), ("S1", "other", "")]
    assert chosen.passed_over == STORIES


@pytest.mark.parametrize(("story", "use"), STORIES.items())
def test_asking_for_a_used_story_is_refused_by_name_and_use(tiny, everything, story, use):
    with pytest.raises(Leak, match=rf"the run has seen: {story} \({use}\)"):
        held_out(tiny.model(), everything, stories=["fresh", story])


def test_a_folder_with_used_stories_only_is_refused(tiny, offer):
    root = offer(*(("S1", story) for story in STORIES))
    with pytest.raises(Leak, match=r"read \(read by the .* trained \(trained on\), watched \(chose the checkpoint\)"):
        held_out(tiny.model(), root)


def test_a_story_that_somebody_else_was_trained_on_is_refused_for_everybody(tiny, offer):
    model = tiny.model((4, 4, 4))
    with pytest.raises(Leak, match="trained"):
        held_out(model, offer(("S9", "trained")))


def test_a_story_that_the_language_model_read_in_another_study_is_not_the_same_story(tiny, everything):
    model = replace(tiny.model(), language_stories=("elsewhere/read",))
    assert ("S1", "read", "") in held_out(model, everything).recordings


def test_being_trained_on_says_more_than_having_been_read(tiny):
    split = Split("arrays", (("S1", "read"),), (("S1", "read"),))
    assert used_stories(replace(tiny.model(), split=split)) == {"read": "trained on"}


def test_only_the_asked_for_are_offered(tiny, everything):
    assert held_out(tiny.model(), everything, ["S1"], ["other"]).recordings == [("S1", "other", "")]


def test_people_whose_channels_cannot_be_carried_over_are_passed_over(tiny, offer):
    root = offer(("S1", "fresh"), ("S9", "fresh"))
    chosen = held_out(tiny.model(), root)
    assert chosen.recordings == [("S1", "fresh", "")]
    assert "cannot be carried over" in chosen.passed_over["S9"]
    assert len(held_out(tiny.model((4, 4, 4)), root).recordings) == 2


@pytest.mark.parametrize(("subjects", "stories"), [(["S7"], None), (None, ["nowhere"])])
def test_unknown_people_and_stories_are_named(tiny, everything, subjects, stories):
    with pytest.raises(MissingData, match=r"no (subject S7|story nowhere) in study arrays"):
        held_out(tiny.model(), everything, subjects, stories)


def test_an_empty_folder_is_refused(tiny, offer):
    with pytest.raises(MissingData, match="no recording"):
        held_out(tiny.model(), offer())

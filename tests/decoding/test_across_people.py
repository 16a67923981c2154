"""Oracles: planted people who share what they hear, cells counted by hand, work that is kept, refusals."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from plasticode.datasets.errors import Leak, MissingData, WrongArgument
from plasticode.datasets.study import Responses, VoxelMask
from plasticode.decoding.across_people import AcrossPeople, Cell
from plasticode.decoding.encoding_features import Band, EncodingFeatures, VectorSource, WordCount, words_by_row
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_windows import Layout
from plasticode.decoding.figures_minutes import minutes_figure
from plasticode.decoding.kept_scores import KeptScores
from plasticode.decoding.protocol import EVERYBODY, METRICS, Protocol, basis_of, gains, table
from plasticode.decoding.protocol_command import minutes_of, ways_of, with_no_minutes
from rich.console import Console

LAYOUT = Layout(delays=(1, 2), rows=5, reach=1)
TRAINED, SCORED = "abcdef", "uvwxyz"
ROWS, CHANNELS = 105, 8
GRID = VoxelMask(np.ones((2, 2, 2), bool), np.eye(4))


def person(tiny, who, stories, alike=False, mask=None):
    """Hears through weights of its own (or everybody's), and feels what the text does not say, like everybody else."""
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)]
    features = EncodingFeatures(bands).fit([words_by_row(tiny.run(seed=99))])
    found = {}
    for story in stories:
        run = tiny.run(subject=f"p{who}", story=story, n_rows=ROWS, seed=ord(story))
        x = LAYOUT.of_run(features(words_by_row(run)))
        weights = np.random.default_rng(50).normal(size=(x.shape[1], CHANNELS))
        shared = x @ weights + 2 * np.random.default_rng(ord(story)).normal(size=(ROWS, CHANNELS))
        own = np.eye(CHANNELS) if alike else np.random.default_rng(who).normal(size=(CHANNELS, CHANNELS))
        noise = (1 if alike else 25) * np.random.default_rng(ord(story) * 10 + who).normal(size=(ROWS, CHANNELS))
        found[f"p{who}", story] = replace(run, responses=Responses((shared @ own + noise).astype(np.float32), mask))
    return found


def people_of(tiny, **settings):
    runs = {}
    for who in range(3):
        runs |= person(tiny, who, TRAINED + SCORED, **settings)
    features = EncodingFeatures([Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)])
    return AcrossPeople(runs, TRAINED, SCORED, EncodingModel(features, LAYOUT, penalties=(1.0, 10.0, 100.0)))


def minutes_for(people, rows):
    return rows * next(iter(people.runs.values())).repetition_time / 60


@pytest.fixture
def people(tiny):
    return people_of(tiny)


def test_other_people_aligned_beat_the_same_few_minutes_alone(people):
    few = minutes_for(people, 120)
    scores = Protocol(people, ("within", "adapt"), [few, math.inf], draws=2).scores()
    rows = table(scores).set_index(["metric", "subject", "way", "minutes"])["value"]
    top1 = METRICS[0]
    assert rows[top1, EVERYBODY, "adapt", few] > rows[top1, EVERYBODY, "within", few]
    assert rows[top1, EVERYBODY, "adapt", math.inf] > 0.5
    better = gains(scores)
    assert set(better["subject"]) == {"p0", "p1", "p2", EVERYBODY}
    one = better[(better["subject"] == "p0") & (better["minutes"] == few) & (better["metric"] == top1)].iloc[0]
    expected = rows[top1, "p0", "adapt", few] - rows[top1, "p0", "within", few]
    assert one["value"] == pytest.approx(expected)


def test_without_minutes_voxels_of_one_space_are_carried_over_and_other_channels_are_not(tiny, people):
    alike = people_of(tiny, alike=True, mask=GRID)
    scores = Protocol(alike, ("cross",), [0.0]).scores()
    rows = table(scores)
    found = rows[(rows["metric"] == METRICS[0]) & (rows["subject"] == EVERYBODY)].iloc[0]
    assert found["value"] > 0.8
    assert found["p"] < 0.01
    assert found["quadrant"] == "unseen subject, unseen story"
    with pytest.raises(WrongArgument, match="channels that have no place"):
        people.fitted(Cell("p0", "cross", 0.0))


def test_nobodys_scored_story_is_in_any_model(people):
    cell = Cell("p1", "adapt", minutes_for(people, 150), draw=1)
    assert {stretch.story for stretch in people.stretches(cell)} <= set(TRAINED)
    model = people.fitted(cell)
    trained = {story for donor in model.donors for story in donor.stories}
    assert not trained & set(SCORED)
    assert len(model.donors) == 2


def test_minutes_of_the_wrong_pairing_are_of_no_use(people):
    """The donors' recordings of other stories than the person's: what aligns then is chance."""
    turned = dict(zip(TRAINED, TRAINED[1:] + TRAINED[:1], strict=True))
    runs = {
        key: people.runs[key[0], turned[key[1]]] if key[0] == "p0" and key[1] in turned else run
        for key, run in people.runs.items()
    }
    runs = {key: replace(run, story=key[1], words=people.runs["p1", key[1]].words) for key, run in runs.items()}
    wrong = replace(people, runs=runs)
    right, broken = (
        table(Protocol(group, ("adapt",), [math.inf]).scores()).set_index(["metric", "subject"])["value"]
        for group in (people, wrong)
    )
    assert broken[METRICS[0], "p0"] < right[METRICS[0], "p0"] / 2


def test_cells_are_everybody_in_every_way_and_draw(people):
    few = minutes_for(people, 120)
    cells = Protocol(people, ("within", "adapt"), [0.0, few, 1e6, math.inf], draws=3).cells()
    assert len(cells) == 3 * 2 * (3 + 1)  # nobody has a million minutes
    assert len({cell.name for cell in cells}) == len(cells)


def test_what_is_kept_is_not_fitted_again_and_gives_the_same(people, tmp_path, monkeypatch):
    work = KeptScores(tmp_path, basis_of(people, ""))
    one = Protocol(people, ("within",), [math.inf], work=work)
    first = table(one.scores())
    monkeypatch.setattr(AcrossPeople, "fitted", None)
    pd.testing.assert_frame_equal(table(one.scores()), first)
    other = replace(people, shrinkage=0.1)
    assert basis_of(other, "") != basis_of(people, "") != basis_of(people, "other vectors")


def test_fewer_than_two_people_are_refused(tiny, people):
    with pytest.raises(MissingData, match="1 people with 6 stories"):
        AcrossPeople(person(tiny, 0, TRAINED + SCORED), TRAINED, SCORED, people.model)
    with pytest.raises(WrongArgument, match="only `cross` is possible"):
        people.fitted(Cell("p0", "adapt", 0.0))


def test_a_story_that_is_trained_on_is_never_scored(people):
    with pytest.raises(Leak, match="trained on and scored: a"):
        replace(people, scored="a" + SCORED)
    with pytest.raises(MissingData, match="nobody heard a scored story"):
        replace(people, scored=["never told"])


def test_first_windows_are_not_scored_and_short_leftovers_do_no_harm(people):
    run = people.runs["p0", "u"]
    assert people.starts(run)[0] == LAYOUT.rows
    few = minutes_for(people, ROWS + 3)  # three rows of the second story: less than a window
    assert people.stretches(Cell("p0", "adapt", few))[-1].stop == 3
    for way in ("within", "adapt"):
        assert people.fitted(Cell("p0", way, few)).log_likelihood(run, people.starts(run)).shape[0] > 2


def test_what_cannot_be_computed_is_refused_before_anything_is(people):
    for wrong in ({"minutes": [0.0]}, {"minutes": [math.nan]}, {"draws": 0}):
        with pytest.raises(WrongArgument, match="Give one draw or more"):
            Protocol(people, ("within",), **{"minutes": [math.inf]} | wrong)
    with pytest.raises(WrongArgument, match="no place in one space"):
        Protocol(people, ("within", "cross"), [math.inf])


def test_no_minutes_are_other_people_in_one_space_and_impossible_elsewhere(tiny, people, capsys):
    alike, console = people_of(tiny, alike=True, mask=GRID), Console(width=200)
    assert with_no_minutes(("adapt",), [0.0, 10.0], alike, console) == ("adapt", "cross")
    assert with_no_minutes(("adapt",), [10.0], alike, console) == ("adapt",)
    assert capsys.readouterr().out == ""
    assert with_no_minutes(("adapt",), [0.0, 10.0], people, console) == ("adapt",)
    assert "0 minutes are impossible here" in capsys.readouterr().out


def test_the_curve_shows_every_person_and_way():
    rows = pd.DataFrame(
        [
            (who, way, minutes, 0.5, 0.4, 0.6, 0.1, 0.02, 0.1)
            for who in ("a", "b")
            for way, minutes in (("within", 10), ("within", math.inf), ("adapt", 10), ("adapt", math.inf), ("cross", 0))
        ],
        columns=["subject", "way", "minutes", "value", "ci_low", "ci_high", "null_mean", "null_sd", "chance"],
    )
    figure = minutes_figure(rows, "top-1")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["10", "all"]
    assert len(figure.axes[0].lines) == 4  # two ways, other people without minutes, chance


def test_ways_and_minutes_are_read_or_refused():
    assert ways_of("adapt, within") == ("within", "adapt")
    assert minutes_of("0,10,all") == (0.0, 10.0, math.inf)
    with pytest.raises(WrongArgument, match="Give some of within, cross, adapt"):
        ways_of("adapt,alone")
    for wrong in ("ten", "-1", ""):
        with pytest.raises(WrongArgument, match="Give numbers of minutes"):
            minutes_of(wrong)

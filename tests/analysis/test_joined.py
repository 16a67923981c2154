"""Oracles: the matrices themselves, entry by entry; rsatoolbox's own reordering; the promise of each refusal."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.joined import join, join_patterns, pair_order
from plasticode.datasets.errors import BrokenData, MissingData
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

IDS = ["ape", "bee", "cat", "dog", "elk", "fox"]


def rdms(ids: list[str], seed: int = 0, **descriptors: list[str]) -> RDMs:
    """RDMs in which the dissimilarity of two ids is the same whatever their order."""
    weight = {name: np.random.default_rng([seed, ord(name[0])]).random(2) for name in ids}
    matrix = np.array([[np.abs(weight[a] - weight[b]) for b in ids] for a in ids]).transpose(2, 0, 1)
    return RDMs(
        matrix, pattern_descriptors={"stimulus": ids, "size": [len(i) for i in ids]}, rdm_descriptors=descriptors
    )


def test_joined_rdms_are_those_of_the_first_order() -> None:
    other = ["fox", "cat", "ape", "elk", "dog", "bee"]
    first, second = join(rdms(IDS), rdms(other, name=["x", "y"]))
    np.testing.assert_array_equal(second.dissimilarities, first.dissimilarities)
    assert second.pattern_descriptors["stimulus"] == IDS
    assert second.rdm_descriptors["name"] == ["x", "y"]


def test_joining_is_rsatoolboxs_reordering() -> None:
    order = np.random.default_rng(1).permutation(9)
    values = np.random.default_rng(2).random((3, 36))
    oracle = RDMs(values.copy())
    oracle.reorder(order)
    np.testing.assert_array_equal(values[:, pair_order(order)], oracle.dissimilarities)


def test_what_is_in_order_is_returned_as_it_is() -> None:
    one, other = rdms(IDS), rdms(IDS, 1)
    assert join(one, other) == (one, other)
    assert join(one, other)[1] is other


def test_patterns_are_joined_by_row() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    turned = Dataset(rows[::-1], obs_descriptors={"stimulus": IDS[::-1]})
    _, joined = join_patterns(Dataset(rows, obs_descriptors={"stimulus": IDS}), turned)
    np.testing.assert_array_equal(joined.measurements, rows)
    assert list(joined.obs_descriptors["stimulus"]) == IDS


@pytest.mark.parametrize(("first", "second", "where"), [(IDS, IDS[:-1], 2), (IDS[:-1], IDS, 1)])
def test_a_dropped_id_is_an_error_that_names_it(first: list[str], second: list[str], where: int) -> None:
    with pytest.raises(
        MissingData, match=rf"conditions are missing: 'fox' \(set {where} of the 2 to be joined\)\. Comp"
    ):
        join(rdms(first), rdms(second))


def test_many_missing_ids_are_counted() -> None:
    ids = [chr(65 + i) for i in range(12)]
    with pytest.raises(MissingData, match=r"'E', 'F', 'G', 'H', 'I' and 3 more"):
        join(rdms(ids), rdms(ids[:4]))


def test_a_repeated_id_is_an_error_that_names_it() -> None:
    with pytest.raises(BrokenData, match=r"repeated condition ids: 'ape' \(V1\)\. Give each condition one row"):
        join(rdms(IDS), rdms([*IDS[:-1], "ape"], name=["V1", "V2"]))
    twice = Dataset(np.zeros((6, 2)), descriptors={"name": "V1"}, obs_descriptors={"stimulus": [*IDS[:5], "bee"]})
    with pytest.raises(BrokenData, match=r"repeated condition ids: 'bee' \(V1\)"):
        join_patterns(twice)


def test_three_conditions_are_too_few() -> None:
    with pytest.raises(BrokenData, match=r"3 conditions are too few \(RDMs\)\. Comparing RDMs needs at least 4"):
        join(rdms(IDS[:3]))


def test_conditions_need_ids_that_are_strings() -> None:
    with pytest.raises(MissingData, match=r"there is no descriptor 'stimulus' among \['index'\]"):
        join(RDMs(np.ones((1, 6))))
    with pytest.raises(BrokenData, match=r"the condition id 1 is not a string"):
        join(RDMs(np.ones((1, 6)), pattern_descriptors={"stimulus": [1, 2, 3, 4]}))

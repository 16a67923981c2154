"""Every rule of the zoo, on every small network that it runs on, keeps the promises of `check_learning_rule`."""

import pytest
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.zoo import SMALL, rule_classes, rule_of, small_network
from plasticode.datasets.errors import WrongArgument

PAIRS = [(path, name) for path in rule_classes() for name in SMALL]


@pytest.mark.parametrize(("path", "name"), PAIRS, ids=[f"{path.rpartition('.')[2]}-{name}" for path, name in PAIRS])
def test_every_rule_keeps_its_promises_or_says_why_it_cannot_run(path, name):
    kind = rule_classes()[path]
    reason = kind().refusal(SMALL[name]())
    if reason is None:
        assert check_learning_rule(kind, SMALL[name])
    else:
        with pytest.raises(WrongArgument, match="cannot run on this network"):
            kind().bind(SMALL[name]())


@pytest.mark.parametrize("path", list(rule_classes()))
def test_every_rule_runs_somewhere_and_states_its_source(path):
    kind = rule_classes()[path]
    assert any(kind().refusal(make()) is None for make in SMALL.values())
    assert any(mark in kind.facts.paper for mark in ("doi:", "arXiv", "NeurIPS"))
    assert issubclass(kind, LearningRule)


def test_a_rule_is_found_by_its_name_and_by_its_path():
    for path, kind in rule_classes().items():
        assert type(rule_of(path)) is kind
        assert type(rule_of(kind.__name__)) is kind


@pytest.mark.parametrize("path", ["NoSuchRule", "plasticode.bioplausible.rules.backprop.NoSuchRule"])
def test_an_unknown_rule_is_refused(path):
    with pytest.raises(WrongArgument, match="no rule"):
        rule_of(path)


def test_a_class_outside_the_package_is_not_imported():
    with pytest.raises(WrongArgument, match="may not be imported"):
        rule_of("subprocess.Popen")


def test_an_unknown_network_is_refused():
    with pytest.raises(WrongArgument, match="no network 'rnn'"):
        small_network("rnn")

"""Oracles: the forward pass written out layer by layer, the network's state before, and the same extraction again."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plasticode.analysis.activations import activations
from plasticode.analysis.feature_source import FeatureSource
from plasticode.analysis.module_features import ModuleFeatures
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from torch import Tensor, nn

IDS = [f"stimulus {i}" for i in range(11)]


def images(n_channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (len(IDS), n_channels, 20, 18), np.uint8)


def network(seed: int = 0) -> nn.Sequential:
    """With what extraction must not disturb: batch norm, dropout, an activation in place."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 16, 5)
    )
    return made.train()


def source(made: nn.Module | None = None, **settings: Any) -> ModuleFeatures:
    return ModuleFeatures(network() if made is None else made, shape=(3, 6, 6), **settings)


def test_every_layer_is_what_the_forward_pass_gives_there() -> None:
    made = network()
    found = activations(source(made), images(), IDS)
    assert isinstance(source(made), FeatureSource)
    x = torch.from_numpy(images()).float() / 255
    x = nn.functional.interpolate(x, (6, 6), mode="bilinear", antialias=True)
    assert list(found.layers) == ["0", "1", "2", "3", "4", "5"]
    for layer, module in zip(found.layers, copy.deepcopy(made).eval(), strict=True):
        # The convolution is read before the activation overwrites what follows it.
        x = module(x.clone())
        np.testing.assert_allclose(found.layers[layer], x.detach().flatten(1), rtol=1e-5, atol=1e-6)


def test_the_network_is_left_as_it_was_also_after_an_error() -> None:
    made = network()
    made[3].eval()  # a mode of its own
    before, modes = copy.deepcopy(made.state_dict()), [module.training for module in made.modules()]
    activations(source(made), images(), IDS)
    for wrong in (lambda x: x[:, :1], lambda x: 1 / 0):
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            activations(source(made, prepare=wrong), images(), IDS)
    assert [module.training for module in made.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert all(not module._forward_hooks for module in made.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_size_of_batches_changes_nothing(tmp_path: Path, on_disk: bool) -> None:
    def extracted(size: int) -> dict[str, np.ndarray]:
        folder = tmp_path / str(size) if on_disk else None
        return activations(source(), images(), IDS, batch_size=size, folder=folder).layers

    whole = extracted(100)
    for size in (1, 4, 11):
        for layer, values in extracted(size).items():
            np.testing.assert_allclose(values, whole[layer], rtol=1e-5, atol=1e-6)


class Counted(ModuleFeatures):
    """Counts the stimuli that it sees."""

    seen = 0

    def features(self, images: Tensor) -> dict[str, Tensor]:
        self.seen += len(images)
        return super().features(images)


def test_a_finished_extraction_is_memory_mapped_and_used_again(tmp_path: Path) -> None:
    first, again = (Counted(network(), shape=(3, 6, 6)) for _ in range(2))
    once, twice = (activations(made, images(), IDS, folder=tmp_path) for made in (first, again))
    assert (first.seen, again.seen) == (len(IDS) + 1, 1)
    assert all(isinstance(values, np.memmap) for values in twice.layers.values())
    assert all(np.array_equal(twice.layers[layer], values) for layer, values in once.layers.items())
    (entry,) = entries(tmp_path)
    assert json.loads((entry / "activations.json").read_text())["ids"] == IDS


@pytest.mark.parametrize("change", ["weights", "images", "ids", "resolution", "layers", "prepare"])
def test_another_extraction_is_never_taken_for_this_one(tmp_path: Path, change: str) -> None:
    activations(source(), images(), IDS, folder=tmp_path)
    made = {
        "weights": source(network(1)),
        "layers": source(layers=["0", "5"]),
        "prepare": source(prepare=lambda x: x - 0.5),  # which no fingerprint sees
    }.get(change, source())
    given = images(seed=1) if change == "images" else images()
    ids = IDS[::-1] if change == "ids" else IDS
    resolution = 3 if change == "resolution" else None
    found = activations(made, given, ids, folder=tmp_path, resolution=resolution)
    expected = activations(made, given, ids, resolution=resolution)
    assert found.ids == expected.ids
    assert list(found.layers) == list(expected.layers)
    for layer, values in expected.layers.items():
        assert np.array_equal(found.layers[layer], values)


class Interrupted(Counted):
    """Ends after the probe and two batches of three."""

    def features(self, images: Tensor) -> dict[str, Tensor]:
        if self.seen > 5:
            raise KeyboardInterrupt
        return super().features(images)


def test_an_interrupted_extraction_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        activations(Interrupted(network(), shape=(3, 6, 6)), images(), IDS, folder=tmp_path, batch_size=3)
    assert entries(tmp_path) == []
    again = Counted(network(), shape=(3, 6, 6))
    found = activations(again, images(), IDS, folder=tmp_path, batch_size=3)
    assert again.seen == 1 + len(IDS) - 6
    expected = activations(source(), images(), IDS, batch_size=3)
    assert all(np.array_equal(found.layers[layer], values) for layer, values in expected.layers.items())
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("damage", ["cut", "other rows", "no number"])
def test_what_is_left_of_another_or_broken_extraction_is_not_gone_on_with(tmp_path: Path, damage: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        activations(Interrupted(network(), shape=(3, 6, 6)), images(), IDS, folder=tmp_path, batch_size=3)
    (part,) = tmp_path.glob(".*.part")
    if damage == "cut":
        (part / "000.npy").write_bytes((part / "000.npy").read_bytes()[:-4])
    elif damage == "no number":
        (part / "progress.json").write_text("{}")
    else:
        np.load(part / "003.npy", mmap_mode="r+")[0] += 1
    found = activations(source(), images(), IDS, folder=tmp_path)
    expected = activations(source(), images(), IDS)
    assert all(np.array_equal(found.layers[layer], values) for layer, values in expected.layers.items())


def test_of_two_that_want_the_same_one_makes_it(tmp_path: Path) -> None:
    sources = [Counted(network(), shape=(3, 6, 6)) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda made: activations(made, images(), IDS, folder=tmp_path), sources))
    assert sorted(made.seen for made in sources) == [1, 1, len(IDS) + 1]
    assert all(np.array_equal(one.layers["5"], found[0].layers["5"]) for one in found)


def entries(folder: Path) -> list[Path]:
    """What is whole."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_damaged_extraction_is_made_again(tmp_path: Path) -> None:
    expected = activations(source(), images(), IDS, folder=tmp_path)
    (entry,) = entries(tmp_path)
    whole = (entry / "000.npy").read_bytes()
    (entry / "000.npy").write_bytes(whole[:-4])
    found = activations(source(), images(), IDS, folder=tmp_path)
    assert (entry / "000.npy").read_bytes() == whole
    assert np.array_equal(found.layers["5"], expected.layers["5"])


def test_rows_are_joined_to_conditions_by_id() -> None:
    found = activations(source(rule="backprop", seed=3), images(), IDS)
    order = np.random.default_rng(1).permutation(len(IDS))
    moved = activations(source(), images()[order], [IDS[i] for i in order])
    wanted = [IDS[7], IDS[2], IDS[5]]
    dataset = found.dataset("5", wanted)
    assert list(dataset.obs_descriptors["stimulus"]) == wanted
    assert np.array_equal(dataset.measurements, found.layers["5"][[7, 2, 5]])
    np.testing.assert_allclose(moved.dataset("5", wanted).measurements, dataset.measurements, rtol=1e-5, atol=1e-6)
    facts = {"rule": "backprop", "seed": 3, "layer": "5", "network": "Sequential", "resolution": 6}
    assert dataset.descriptors == facts | {"name": "Sequential 5 6 px"}
    assert len({made.descriptors["name"] for made in found.datasets()}) == 6


class Branching(nn.Module):
    """Modules that give several tensors, or are called twice, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.idle, self.several, self.lstm = nn.ReLU(), nn.ReLU(), Several(), nn.LSTM(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.several(self.relu(x))
        self.lstm(x[:, 0].transpose(0, 1))
        return self.relu(-parts["pair"][0])


class Several(nn.Module):
    """A mapping that holds a tuple, and nothing."""

    def forward(self, x: Tensor) -> Mapping[str, Any]:
        return {"one": x[:, 0], "pair": (x, 2 * x), "none": None}


def test_parts_of_an_output_and_repeated_calls_have_names_of_their_own() -> None:
    found = activations(source(Branching(), layers=["relu", "several"]), images(), IDS).layers
    assert set(found) == {"relu:1", "relu:2", "several[one]", "several[pair][0]", "several[pair][1]"}
    assert np.array_equal(found["several[pair][1]"], 2 * found["relu:1"])
    assert np.array_equal(found["several[one]"], found["relu:1"].reshape(11, 3, -1)[:, 0])
    assert not found["relu:2"].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ["idle"]}, "layer idle is never called"),
        ({"layers": ["lstm"]}, r"layer lstm\[0\] gives shape \(6, \d+, 4\) for \d+ stimuli"),
        ({"layers": ["rleu"]}, r"no layer rleu.*One of: relu, idle, several, lstm"),
        ({"layers": []}, "gives no layer"),
    ],
)
def test_layers_that_have_no_row_for_each_stimulus_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongArgument, match=message):
        activations(source(Branching(), **settings), images(), IDS)


class Function(nn.Module):
    """One leaf that computes what it is given."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.leaf = nn.Identity()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.leaf(self.function(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x + 0j, "layer leaf gives complex numbers"),
        (lambda x: "text", "layer leaf gives a str"),
        (lambda x: x.sum(), r"layer leaf gives shape \(\)"),
        (lambda x: x.flatten(1)[:, : len(x)], "stimulus 0 and those that follow give layers of other sizes"),
    ],
)
def test_outputs_that_are_no_features_are_refused(function: Any, message: str) -> None:
    with pytest.raises(WrongArgument, match=message):
        activations(source(Function(function)), images(), IDS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named_by_layer_and_stimulus(tmp_path: Path, value: float) -> None:
    given = images()
    given[7] = 0

    def spoilt(x: Tensor) -> Tensor:
        return torch.where(x.sum((1, 2, 3), keepdim=True) == 0, value, x)

    with pytest.raises(BrokenData, match=r"layer leaf is not finite for stimulus stimulus 7 \(1 of 3 stimuli"):
        activations(source(Function(spoilt)), given, IDS, batch_size=3, folder=tmp_path)
    assert entries(tmp_path) == []
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("ids", "size", "message"),
    [
        (IDS[:-1], 1, "10 ids for 11 stimuli"),
        ([*IDS[:-2], "stimulus 0", "stimulus 1"], 1, "ids repeat: stimulus 0, stimulus 1"),
        (IDS, 0, "batch size 0"),
    ],
)
def test_ids_that_do_not_name_each_stimulus_are_refused(ids: list[str], size: int, message: str) -> None:
    with pytest.raises(WrongArgument, match=message):
        activations(source(), images(), ids, batch_size=size)


def test_unknown_layers_and_conditions_are_named() -> None:
    found = activations(source(), images(), IDS)
    with pytest.raises(WrongArgument, match=r"no layer 'conv'.*One of: 0, 1, 2"):
        found.dataset("conv")
    with pytest.raises(MissingData, match="no activations for stimulus 11, face"):
        found.dataset("0", [IDS[0], "stimulus 11", "face"])


def test_half_precision_and_integers_become_single_precision() -> None:
    half = activations(source(network().bfloat16(), layers=["0"]), images(), IDS).layers["0"]
    single = activations(source(layers=["0"]), images(), IDS).layers["0"]
    assert half.dtype == single.dtype == np.float32
    np.testing.assert_allclose(half, single, atol=0.02)
    counts = activations(source(Function(lambda x: (255 * x).long())), images(), IDS).layers["leaf"]
    assert counts.dtype == np.float32


def test_a_bare_module_is_read_in_all_its_layers() -> None:
    found = activations(network()[:3], images(), IDS)
    assert {layer: values.shape[1] for layer, values in found.layers.items()} == dict.fromkeys("012", 4 * 18 * 16)


def test_stimuli_of_any_kind_reach_a_network_that_reads_them() -> None:
    tokens = np.random.default_rng(2).integers(0, 9, (len(IDS), 5))
    made = ModuleFeatures(nn.Sequential(nn.Embedding(9, 4)), name="words")
    found = activations(made, tokens, IDS)
    np.testing.assert_array_equal(found.layers["0"], made.network[0].weight.detach()[tokens].reshape(len(IDS), -1))
    assert found.dataset("0").descriptors == {"name": "words 0", "network": "words", "layer": "0"}

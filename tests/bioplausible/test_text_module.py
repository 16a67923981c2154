"""Oracles: the text itself; an epoch's keys, which seed and epoch fix; the shipped config run for one batch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.text_module import ShuffledWindows, TextWindows, Windows
from plasticode.bioplausible.training import RuleTraining
from plasticode.bioplausible.transformer import CharacterTransformer
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.fitting import quieten, run_lightning

TEXT = "".join(chr(97 + i * i % 23) for i in range(1000))
CONFIG = Path(__file__).parents[2] / "configs" / "bioplausible" / "tinyshakespeare.yaml"


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return str(file)


def opened(path: str, **given: Any) -> TextWindows:
    module = TextWindows([path], **{"length": 10, "shares": (0.6, 0.2, 0.2), **given})
    module.setup("test")
    return module


def starts(n_characters: int, length: int, batch_size: int, epoch: int = 0, seed: int = 0, **share: int) -> list[Any]:
    sampler = ShuffledWindows(n_characters, length, batch_size, seed, **share)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler)
    return found


def test_the_target_is_the_character_that_follows() -> None:
    x, target = Windows(torch.arange(100), 7)[torch.tensor([0, 20])]
    assert x.tolist() == [list(range(7)), list(range(20, 27))]
    assert target.tolist() == [list(range(1, 8)), list(range(21, 28))]


def test_validation_and_test_are_read_once_in_order_and_hold_no_training_text(path: str) -> None:
    module = opened(path)
    for name, loader, begin in (("validation", module.val_dataloader(), 600), ("test", module.test_dataloader(), 800)):
        x = torch.cat([batch[0] for batch in loader])
        assert module.text.decode(x.flatten().numpy()) == TEXT[begin : begin + 190]  # 200 - 1 characters have a next
        target = torch.cat([batch[1] for batch in loader])
        assert module.text.decode(target.flatten().numpy()) == TEXT[begin + 1 : begin + 191]
        assert module.facts()[f"{name}_characters"] == 200
    assert module.text.decode(module.parts["train"].ids.numpy()) == TEXT[:600]


@pytest.mark.parametrize(("n_characters", "length"), [(100, 7), (101, 10), (22, 10), (11, 10), (21, 10), (2, 1)])
def test_windows_of_an_epoch_lie_in_the_text_side_by_side(n_characters: int, length: int) -> None:
    for epoch in range(30):
        found = torch.cat(starts(n_characters, length, 1, epoch)).sort().values
        assert found[0] >= 0
        assert found[-1] + length + 1 <= n_characters
        assert (found.diff() == length).all()


def test_every_character_has_its_turn_at_every_place_of_a_window() -> None:
    offsets = {int(torch.cat(starts(100, 7, 1, epoch)).min()) for epoch in range(200)}
    assert set(range(7)) <= offsets


def test_seed_and_epoch_fix_the_batches_and_each_epoch_has_its_own() -> None:
    first = torch.stack(starts(500, 10, 4, epoch=3, seed=1))
    assert torch.equal(first, torch.stack(starts(500, 10, 4, epoch=3, seed=1)))
    for epoch, seed in ((4, 1), (3, 2)):
        assert not torch.equal(first, torch.stack(starts(500, 10, 4, epoch, seed)))


def test_processes_share_each_batch_out() -> None:
    whole = starts(500, 10, 4)
    halves = [starts(500, 10, 4, rank=rank, processes=2) for rank in (0, 1)]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(torch.stack(parts, 1).flatten(), batch)


def test_training_text_can_be_cut_to_what_lies_nearest_to_validation(path: str) -> None:
    module = opened(path, train_characters=50)
    assert module.text.decode(module.parts["train"].ids.numpy()) == TEXT[550:600]
    assert module.facts()["train_characters"] == 50


def test_what_cannot_be_cut_into_windows_is_refused(path: str) -> None:
    with pytest.raises(WrongArgument, match=r"windows of 200 characters.*The validation text has 200: name fewer"):
        opened(path, length=200)
    with pytest.raises(WrongArgument, match=r"batch size 9.*There are 8 training windows"):
        starts(90, 10, 9)


def trainer(epochs: int) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(
        accelerator="cpu", max_epochs=epochs, enable_model_summary=False, use_distributed_sampler=False, **quiet
    )


def training(n_symbols: int) -> RuleTraining:
    network = CharacterTransformer(n_symbols, length=10, width=4, heads=2, depth=1)
    return RuleTraining(Backprop(), network, monitored=0)


def test_training_gets_each_epoch_s_own_windows(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    step = RuleTraining.training_step

    def noting(self: RuleTraining, batch: Any, batch_idx: int) -> None:
        seen.append(batch[0].clone())
        step(self, batch, batch_idx)

    monkeypatch.setattr(RuleTraining, "training_step", noting)
    module = TextWindows([path], length=10, batch_size=20, shares=(0.6, 0.2, 0.2))
    with warnings.catch_warnings():
        quieten()
        trainer(2).fit(training(23), datamodule=module)
    train = module.parts["train"]
    expected = [train[key][0] for epoch in (0, 1) for key in starts(600, 10, 20, epoch)]
    assert len(seen) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_a_text_with_more_characters_than_the_network_knows_is_refused(path: str) -> None:
    n_found = len(set(TEXT))
    with pytest.raises(WrongArgument, match=rf"the text has {n_found} characters, the network 4.*n_symbols={n_found}"):
        trainer(1).fit(training(4), datamodule=TextWindows([path], length=10))


def test_the_shipped_config_runs(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    smaller = ["--data.length=8", "--data.batch_size=4", "--model.network.depth=1", "--model.network.width=8"]
    dry = ["--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    run_lightning("fit", ["--config", str(CONFIG), f'--data.paths=["{path}"]', *smaller, *dry], str(tmp_path / "run"))

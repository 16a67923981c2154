"""Oracles: an uninterrupted run, one process, torch's own optimisers; every rule of the zoo is walked."""

import json
import warnings

import pytest
import torch
import torch.distributed as dist
from lightning import Trainer
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.image_module import ImageBatches, Images, ShuffledBatches
from plasticode.bioplausible.rule import Pace
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.bioplausible.trained import TrainedNetwork
from plasticode.bioplausible.training import RuleTraining, accuracy_interval, average
from plasticode.bioplausible.zoo import SMALL, rule_classes
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.labelled_images import LabelledImages
from plasticode.decoding.fitting import quieten
from torch import multiprocessing, nn

CLASSES = tuple("abcd")


def images(shape, n, seed=0):
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(CLASSES), (n,), generator=draws)
    pixels = torch.randint(0, 60, (n, *shape), generator=draws) + 60 * labels.view(-1, 1, 1, 1)
    return LabelledImages(pixels.to(torch.uint8).numpy(), labels.numpy(), CLASSES)


class Tiny(Images):
    """Forty images in memory, of a shape and of classes that a small network has."""

    def __init__(self, shape, n_classes, batch_size=8):
        super().__init__("tiny", "nowhere", batch_size=batch_size, validation=8)
        self.shape, self.n_classes = shape, n_classes

    def setup(self, stage):
        all_images = images(self.shape, 40)
        all_images.labels[:] %= self.n_classes
        self.mean, self.deviation = torch.zeros(self.shape[0], 1, 1), torch.ones(self.shape[0], 1, 1)
        self.classes, self.notes, self.content = list(CLASSES), [], ""
        for part, index in {"train": range(32), "validation": range(32, 40), "test": range(32, 40)}.items():
            self.parts[part] = ImageBatches(all_images, torch.tensor(index), self.mean, self.deviation)


def home_name(kind):
    """The first small network of images that the rule runs on."""
    names = [name for name in ("mlp", "cnn", "spiking") if name in SMALL]
    return next((name for name in names if kind().refusal(SMALL[name]()) is None), None)


def home_of(kind):
    """A network that the rule runs on, and its data."""
    network = SMALL[home_name(kind)]()
    shape = network.example if len(network.example) == 3 else (1, 1, network.example[0])
    return network, Tiny(shape, network.shapes()[-1][-1])


def trainer(folder, epochs, **more):
    return Trainer(
        max_epochs=epochs,
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **more,
    )


def fit(runner, model, data, **options):
    with warnings.catch_warnings():
        quieten()  # what Lightning says about choices made on purpose
        runner.fit(model, data, **options)


def fitted(folder, kind, epochs, resume=None, **options):
    network, data = home_of(kind)
    model = RuleTraining(kind(), network, monitored=0, **options)
    schedule = {"max_epochs": 2}  # of the learning rate: the whole training's, however far this call goes
    runner = trainer(folder, schedule["max_epochs"])
    runner.fit_loop.max_epochs = epochs if resume is None else schedule["max_epochs"]
    fit(runner, model, data, ckpt_path=resume, weights_only=True if resume else None)
    return model, runner


@pytest.mark.parametrize("path", [path for path, kind in rule_classes().items() if home_name(kind)])
def test_interrupted_is_uninterrupted_bit_for_bit(tmp_path, path):
    kind = rule_classes()[path]
    whole, _ = fitted(tmp_path, kind, 2, cosine=False)
    first, runner = fitted(tmp_path, kind, 1, cosine=False)
    runner.save_checkpoint(tmp_path / "half.ckpt")
    assert not all(torch.equal(v, whole.state_dict()[k]) for k, v in first.state_dict().items())
    resumed, _ = fitted(tmp_path, kind, 2, resume=tmp_path / "half.ckpt", cosine=False)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_accumulated_batches_step_like_one_large_batch(tmp_path):
    states = []
    for size, accumulate in ((16, 1), (8, 2)):
        network, data = home_of(Backprop)
        data.batch_size = size
        model = RuleTraining(Backprop(), network.double(), accumulate=accumulate, monitored=0, cosine=False)
        runner = trainer(tmp_path, 1, precision="64-true")
        fit(runner, model, data)
        assert runner.global_step == 2
        states.append(network.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-9, atol=1e-9)


def test_batches_left_at_an_epoch_s_end_make_a_step_of_their_own(tmp_path):
    network, data = home_of(Backprop)
    model = RuleTraining(Backprop(), network, accumulate=3, monitored=0)
    runner = trainer(tmp_path, 2)
    fit(runner, model, data)  # four batches an epoch: 3 + 1
    assert runner.global_step == 4
    assert all(parameter.grad is None for parameter in network.parameters())
    assert model.lr_schedulers().get_last_lr() == pytest.approx([0.0], abs=1e-12)


def test_clipping_bounds_the_step(tmp_path):
    network, data = home_of(Backprop)
    before = nn.utils.parameters_to_vector(network.parameters()).clone()
    model = RuleTraining(Backprop(), network, Pace("sgd", 1.0), clip=1e-4, monitored=0, cosine=False)
    fit(trainer(tmp_path, 1), model, data)
    moved = nn.utils.parameters_to_vector(network.parameters()) - before
    assert 0 < moved.norm() <= 4 * 1e-4 * 1.0001  # four steps


def test_compiled_layers_give_the_update_of_eager_ones():
    x, target = torch.randn(6, 9), torch.tensor([0, 1, 2, 3, 0, 1])
    updates = []
    for compiled in (False, True):
        network = MLP([9, 7, 4])
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inductor's own
            model = RuleTraining(FeedbackAlignment(), network, compiled=compiled)
            model.rule.assign_gradients(network, x, target)
        updates.append([parameter.grad for parameter in network.parameters()])
    for mine, theirs in zip(*updates, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_interval_of_an_accuracy_is_wilson_s_for_images_and_over_windows_for_text():
    right = (torch.arange(200) % 4 > 0).float()
    low, high = accuracy_interval(right)  # p = .75, n = 200: the published formula by hand
    z, n, p = 1.959964, 200, 0.75
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-6)
    alike = right[:, None].expand(-1, 50)  # characters that say nothing new do not narrow it
    wide = accuracy_interval(alike)
    assert wide[1] - wide[0] == pytest.approx(high - low, rel=0.02)


def test_an_unknown_optimiser_is_named(tmp_path):
    network, data = home_of(Backprop)
    with pytest.raises(WrongArgument, match="no optimiser 'newton'"):
        fit(trainer(tmp_path, 1), RuleTraining(Backprop(), network, Pace("newton")), data)


def _share(rank, port, paths, results):
    torch.set_num_threads(1)  # OpenMP's threads do not survive a fork, and waiting for them would be for ever
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        results[rank] = [update_of(path, rank, 2) for path in paths]
    finally:
        dist.destroy_process_group()


def update_of(path, rank=0, processes=1):
    torch.manual_seed(rank)
    kind = rule_classes()[path]
    network, data = home_of(kind)
    network = network.double()
    data.setup("fit")
    rule = kind()
    rule.bind(network)
    rule = rule.double()
    sampler = ShuffledBatches(32, 8, 0, rank, processes)
    x, target = data.parts["train"][next(iter(sampler))]
    rule.begin_step(0, (rank, processes))
    with torch.no_grad():
        rule.assign_gradients(network, x.double().reshape(len(x), *network.example), target)
    parameters = [p for p in [*network.parameters(), *rule.parameters()] if p.grad is not None]
    average(parameters)
    return [parameter.grad.clone() for parameter in parameters]


def test_two_gloo_processes_give_the_update_of_one_for_every_rule_without_a_label_against_it():
    kinds = rule_classes()
    labelled = [path for path, kind in kinds.items() if kind.facts.online_only or kind.facts.reads_batch]
    paths = [path for path, kind in kinds.items() if path not in labelled and home_name(kind)]
    assert len(paths) > 10
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        multiprocessing.start_processes(_share, (free_port(), paths, results), nprocs=2, start_method="fork")
        shared = results[0]
    for path, update in zip(paths, shared, strict=True):
        for mine, theirs in zip(update_of(path), update, strict=True):
            torch.testing.assert_close(theirs, mine, rtol=1e-9, atol=1e-12, msg=path)


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_epoch_s_batches_depend_on_seed_and_epoch_only():
    def keys(epoch, rank=0, processes=1):
        sampler = ShuffledBatches(30, 8, 1, rank, processes)
        sampler.set_epoch(epoch)
        return [(places.tolist(), draw) for places, draw in sampler]

    assert keys(3) == keys(3)
    assert keys(3) != keys(4)
    assert len(keys(3)) == 3
    for whole, first, second in zip(keys(3), keys(3, 0, 2), keys(3, 1, 2), strict=True):
        assert sorted(first[0] + second[0]) == sorted(whole[0])
        assert first[1] == whole[1] == second[1]


@pytest.mark.parametrize(
    ("n", "size", "processes", "said"), [(30, 7, 2, "multiple of the 2"), (5, 8, 1, "There are 5")]
)
def test_batches_that_cannot_be_are_refused(n, size, processes, said):
    with pytest.raises(WrongArgument, match=said):
        ShuffledBatches(n, size, 0, 0, processes)


def test_shifted_and_mirrored_images_hold_the_same_pixels():
    source = images((1, 6, 6), 20)
    plain = ImageBatches(source, torch.arange(20), torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    moved = ImageBatches(source, torch.arange(20), torch.zeros(1, 1, 1), torch.ones(1, 1, 1), flip=True, shift=1)
    x, _ = plain[(torch.arange(20), 5)]
    y, labels = moved[(torch.arange(20), 5)]
    assert torch.equal(labels, plain.labels)
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    places = [padded[:, :, a : a + 6, b : b + 6] for a in range(3) for b in range(3)]
    candidates = torch.stack([c for p in places for c in (p, p.flip(-1))])
    assert (candidates == y).flatten(2).all(2).any(0).all()
    assert len({int((c == y).flatten(1).all(1).sum()) for c in candidates}) > 1
    assert torch.equal(moved[(torch.arange(20), None)][0], x)  # what only looks is left as it is


def test_what_was_exported_infers_as_it_did(tmp_path):
    network, data = home_of(FeedbackAlignment)
    model = RuleTraining(FeedbackAlignment(seed=3), network, monitored=1)
    fit(trainer(tmp_path, 1), model, data)
    model.export(tmp_path)
    loaded = TrainedNetwork.load(tmp_path)
    x, _ = next(iter(data.val_dataloader()))
    assert torch.equal(loaded.rule.infer(loaded.network, x), model.rule.infer(network, x))
    assert torch.equal(loaded.rule.feedback_1_0, model.rule.feedback_1_0)
    assert loaded.facts["classes"] == list(CLASSES)


def test_what_cannot_be_loaded_says_why(tmp_path):
    with pytest.raises(MissingData, match="no trained network"):
        TrainedNetwork.load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"network": None, "rule": None}))
    with pytest.raises(BrokenData, match="made in code"):
        TrainedNetwork.load(tmp_path)
    evil = {"class_path": "os.system", "init_args": {}}
    (tmp_path / "model.json").write_text(json.dumps({"network": evil, "rule": evil}))
    with pytest.raises(WrongArgument, match=r"os\.system may not be imported"):
        TrainedNetwork.load(tmp_path)

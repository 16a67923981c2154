"""`plasticode fit | validate | test | predict`: LightningCLI in subclass mode, writing into a run folder."""

from __future__ import annotations

import logging
import os
import pickle
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, set_parsing_settings
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import save_file

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.whole_file import whole_file, write_text
from .corpus_module import TextCorpus
from .run_folder import RunFolder
from .split_audit_corpus import Sketch, spelled

# A config may name these and nothing else: importing a class runs its module's code.
ALLOWED = ["plasticode", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim"]
EXTRA_ALLOWED = "PLASTICODE_ALLOW_IMPORTS"  # comma-separated packages of a user who trusts their own


class RecordSplit(Callback):
    """Writes split.json and audits it before the first step; the audit's manifest goes into every checkpoint.

    An interrupted run says too who was trained on what. Raises `Leak` for a split that leaks.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        split = getattr(trainer.datamodule, "split", None)  # type: ignore[attr-defined]  # Lightning sets it
        if split is not None:
            self.run.write_json(self.run.split.name, vars(split))
        if audit := getattr(trainer.datamodule, "audit", None):  # type: ignore[attr-defined]  # the same
            audit(self.run)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["split_audit"] = getattr(trainer.datamodule, "manifest", None)  # type: ignore[attr-defined]  # the same


class RunCLI(LightningCLI):
    """A LightningCLI whose `fit` fills a run folder: config and split before, logs during, the model after."""

    def __init__(self, arguments: Sequence[str], run: RunFolder) -> None:
        self.run_folder = run
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            args=list(arguments),
            parser_kwargs={"exit_on_error": False},
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.set_defaults({"trainer.log_every_n_steps": 10, "trainer.num_sanity_val_steps": 0})

    def _parse_ckpt_path(self) -> None:
        """Leave the config alone: it names the model's class, which Lightning does not find in our checkpoints."""

    def instantiate_classes(self) -> None:
        """Values of the right type that a class refuses are the user's error too."""
        try:
            super().instantiate_classes()
        except (TypeError, ValueError, MisconfigurationException) as error:
            where = f"plasticode {self.subcommand}"
            raise WrongArgument(_reason(error), where, f"See `{where} --print_config`.") from error

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        """The config's trainer, with the run's loggers, checkpoints and progress bar; bf16 where there is a GPU."""
        chosen = self.config_init[self.subcommand]["trainer"]
        if self.subcommand == "fit" and not chosen.get("fast_dev_run"):
            logs = self.run_folder.path / "logs"
            settings["logger"] = [CSVLogger(logs, name="csv"), TensorBoardLogger(str(logs), name="tensorboard")]
            ours = [*self._savers(), RecordSplit(self.run_folder), RichProgressBar()]
            settings["callbacks"] = [*(chosen.get("callbacks") or []), *ours]
        elif self.subcommand != "fit":
            settings["logger"] = False
        if chosen.get("precision") is None and torch.cuda.is_available():
            settings["precision"] = "bf16-mixed"
        trainer: Trainer = super().instantiate_trainer(**settings)
        return trainer

    def _savers(self) -> list[ModelCheckpoint]:
        """Of the best epoch by what is watched, and of the last one.

        Two of them: `save_last` of one that watches writes nothing in an epoch that is not the best so far.
        """
        watched, best = getattr(self.model, "watched", ("validation/loss", "min"))
        # Epochs are the unit of resuming: their batches and noise depend on their number only.
        common: dict[str, Any] = {
            "dirpath": self.run_folder.path / "checkpoints",
            "save_on_train_epoch_end": True,
            "enable_version_counter": False,
        }
        return [
            ModelCheckpoint(filename="best", monitor=watched, mode=best, **common),
            ModelCheckpoint(filename="last", **common),
        ]

    def before_fit(self) -> None:
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it
            return
        run = self.run_folder
        text = self._parser(self.subcommand).dump(self.config[self.subcommand], skip_none=False)
        write_text(run.config, text)
        run.write_versions()

    def predict(self, **settings: Any) -> None:
        """Latents and expected counts of every test run, as `predictions.safetensors` in the run folder."""
        found = self.trainer.predict(**{**settings, "return_predictions": True}) or []
        names = self.datamodule.scored
        tensors = {
            f"{name}/{kind}": value.contiguous()
            for name, run in zip(names, found, strict=True)
            for kind, value in run.items()
        }
        with whole_file(self.run_folder.path / "predictions.safetensors") as draft:
            save_file(tensors, draft)

    def after_fit(self) -> None:
        """Export the best weights by validation, in the form that needs neither Lightning nor pickle."""
        saver = self.trainer.checkpoint_callback
        if self.trainer.fast_dev_run or saver is None:  # type: ignore[attr-defined]  # Lightning sets it
            return
        best = torch.load(saver.best_model_path, map_location="cpu", weights_only=True)  # type: ignore[attr-defined]
        self.model.load_state_dict(best["state_dict"])
        self.model.export(self.run_folder.path)
        if isinstance(self.datamodule, TextCorpus):
            self._store_read_text(self.datamodule)

    def _store_read_text(self, corpus: TextCorpus) -> None:
        """Numbers of what was read: an audit asks them whether a scored text was in it, without the corpus."""
        assert corpus.characters is not None
        symbols = corpus.characters.symbols
        texts = (text for part in corpus.parts for text in spelled(part.numpy(), symbols))
        Sketch.sample(texts).save(self.run_folder.path)


def run_lightning(verb: str, arguments: Sequence[str], run_dir: str | None = None, resume: str | None = None) -> Path:
    """Run one LightningCLI verb and return the run folder, which is there only if something was written.

    Parameters
    ----------
    verb
        "fit", "validate", "test" or "predict".
    arguments
        What LightningCLI takes: `--config`, overrides.
    run_dir
        Folder of a new run (`runs/fit-<date>` by default).
    resume
        Folder of an earlier run: its config is taken, with its last checkpoint to go on training, its best otherwise.

    Raises `WrongArgument` for what the config's schema refuses, `MissingData` for a run without a checkpoint, and
    `BrokenData` for a checkpoint that is damaged or of another model.
    """
    run = RunFolder.existing(resume) if resume else RunFolder(run_dir) if run_dir else RunFolder.dated(verb)
    given = [verb, *arguments]
    if resume:
        # The run's config first: what is given beside it has the last word.
        given = [verb, "--config", str(run.config), *arguments]
        # Training goes on from its last epoch; everything else uses what training exported.
        checkpoint = run.last if verb == "fit" else run.best
        if checkpoint.is_file():
            _require_readable(checkpoint)
            given += ["--ckpt_path", str(checkpoint), "--weights_only", "true"]
        elif verb != "fit":
            raise MissingData("no checkpoint", checkpoint, "Train the run first with `plasticode fit`.")
    elif verb == "fit" and "--trainer.fast_dev_run" not in " ".join(arguments):
        run.require_new()
    allowed = [*ALLOWED, *filter(None, os.environ.get(EXTRA_ALLOWED, "").split(","))]
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=allowed)
    try:
        with warnings.catch_warnings():
            quieten()
            RunCLI(given, run)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning ends the program where it should say so
            raise KeyboardInterrupt from stop
        raise
    except ArgumentError as error:
        raise WrongArgument(_reason(error), f"plasticode {verb}", f"See `plasticode {verb} --help`.") from error
    except UnicodeDecodeError as error:
        raise WrongArgument("a config is not UTF-8 text", f"plasticode {verb}", "Give a YAML file.") from error
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise BrokenData(
            f"the checkpoint is of another model: {_first_lines(error)}", run.last, "Use the config that it came from."
        ) from error
    finally:
        if not (resume or run_dir):
            with suppress(OSError):  # goes only if nothing was written into it
                run.path.rmdir()
    return run.path


def _require_readable(checkpoint: Path) -> None:
    try:
        torch.load(checkpoint, map_location="meta", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise BrokenData(
            f"the checkpoint cannot be read: {_first_lines(error)}", checkpoint, "Remove it to begin the run again."
        ) from error


def quieten() -> None:
    """Silence what Lightning says about choices that are made on purpose here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*LightningCLI's args parameter.*",  # the console script and the demo both pass them
        r"\s*By default only one JsonargparseDeprecationWarning",
        r"\s*\S+( parameter)? was deprecated in v4",  # Lightning 2.6 calls jsonargparse by its older names
        ".*callbacks used to create the checkpoint.*",  # only `fit` saves
        "The dirpath has changed.*",  # the same: elsewhere Lightning puts a saver of its own in the place of ours
        ".*does not have many workers.*",  # the windows come from a memory map: workers would only copy
        ".*isinstance.*LeafSpec.*",  # deprecation inside Lightning 2.6 with this torch
        ".*treespec, LeafSpec.*",
        ".*exists and is not empty.*",  # a resumed run goes on in its folder
        ".*resuming from a checkpoint that ended.*",
        ".*`srun` command is available.*",
        ".*GPU available but not used.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*tensorboardX.*",
        ".*The number of training batches.*",
        ".*LightningCLI's args parameter.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    for chatter in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(chatter).setLevel(logging.WARNING)


# What jsonargparse says beside the reason: the types that it tried.
NOISE = re.compile(
    "Does not validate|Subtypes|Errors:|Expected a <class 'NoneType'>|Given value|Not a valid subclass|Subclass types"
    "|a class path|a dict "
)
NOISE_REMEDY = re.compile(r"denied by the .* to allow it")


def _reason(error: Exception) -> str:
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    said = " ".join([line for line in lines if line and not NOISE.match(line)][:5])
    return NOISE_REMEDY.sub(f"name its package in the environment variable {EXTRA_ALLOWED} to allow it", said)


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:3])

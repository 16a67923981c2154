# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring your own network and your own brain data
#
# Any torch module, or your own `nn.Sequential` trained by one of the zoo's rules, against arrays of responses of your
# own. Three things have to be given: images with ids, networks, and a study of people. `rsa` does the rest, and puts
# baselines, untrained twins, intervals, permutation p and noise ceilings beside every number.
#
# The "people" here are simulated, so that the right answer is known: their voxels respond to the orientation and the
# spatial frequency of gratings, whatever the phase. A model of complex cells has to win, pixels have to lose.

# %%
# %matplotlib inline
import copy
from pathlib import Path

import numpy as np
import torch
from plasticode.analysis.figures_rules import rule_points
from plasticode.analysis.module_features import ModuleFeatures
from plasticode.analysis.rdm import dataset
from plasticode.analysis.rsa import rsa
from plasticode.analysis.rsa_config import RsaConfig
from plasticode.bioplausible.conversion import convert
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.datasets.image_study import ImageStudy, Stimuli
from torch import nn

# %% [markdown]
# ## The images, with ids
#
# Bytes (stimulus, channel, height, width). Here: 24 gratings of four orientations, three frequencies and two phases.
# Everything is joined by id from here on, never by position.


# %%
def grating(orientation, frequency, phase, size=32):
    """Bytes (3 size size); orientation and phase in rad, frequency in cycles an image."""
    y, x = np.mgrid[:size, :size] / size
    wave = np.sin(2 * np.pi * frequency * (x * np.cos(orientation) + y * np.sin(orientation)) + phase)
    return np.repeat(np.round(127.5 + 100 * wave)[None], 3, axis=0).astype(np.uint8)


design = [(o, f, p) for o in range(4) for f in (3, 5, 8) for p in range(2)]
IDS = tuple(f"orientation{o}_frequency{f}_phase{p}" for o, f, p in design)
orientation, frequency, phase = (np.array(values) for values in zip(*design, strict=True))
STIMULI = Stimuli(
    IDS,
    np.stack([grating(o * np.pi / 4, f, p * np.pi / 2) for o, f, p in design]),
    {"orientation": orientation, "frequency": frequency},
)
print(f"{len(STIMULI)} images of shape {STIMULI.images.shape[1:]}")

# %% [markdown]
# ## Your brain data: one class
#
# An `ImageStudy` says what it is and gives patterns (or RDMs, or both). The facts are checked when the class is made: a
# study without licence or citation is refused. Patterns are rsatoolbox's `Dataset`s: a row a trial, with its `stimulus`
# and its `run`. Put the same class into `datasets/my_study.py`, and a config can name it.


# %%
class MyStudy(ImageStudy):
    """Six people, four runs; 60 voxels of "V1" that see orientation and frequency, and 60 of "noise"."""

    study = "my_study"
    url, doi = "https://example.org", "none: simulated"
    licence, citation = "CC0", "This notebook."
    info = {"stimuli": 24, "subjects": 6, "runs": 4}  # noqa: RUF012  # a fact of the class

    @property
    def subjects(self):
        return tuple(f"sub-{number:02d}" for number in range(1, 7))

    @property
    def regions(self):
        return ("V1", "noise")

    def stimuli(self):
        return STIMULI

    def patterns(self, subject, region):
        """In reality: load your arrays of this person and region here."""
        random = np.random.default_rng([int(subject[-2:]), self.regions.index(region)])
        angle = np.pi / 2 * orientation  # an orientation comes round after half a turn
        seen = np.stack([np.cos(angle), np.sin(angle), np.log2(frequency) - np.log2(frequency).mean()], axis=1)
        tuning = random.normal(size=(3, 60)) * (region == "V1")
        trials = np.tile(seen @ tuning, (4, 1)) + 4 * random.normal(size=(4 * len(IDS), 60))
        return dataset(trials, IDS * 4, run=np.repeat(np.arange(4), len(IDS)))


study = MyStudy(Path())
print(study.gives(), study.patterns("sub-01", "V1").measurements.shape)

assert study.gives() == ("patterns",)

# %%
try:

    class Nameless(ImageStudy):
        """Says nothing of itself."""

        subjects = regions = ()

        def stimuli(self):
            return STIMULI

except TypeError as error:
    refusal = str(error)
print(refusal)

assert "without study, url, doi, licence, citation, info" in refusal

# %% [markdown]
# ## Your network: any torch module
#
# `ModuleFeatures` reads the layers you name through hooks and leaves the network as it is. What the network expects of
# its images goes into `prepare`.


# %%
class Mine(nn.Module):
    """Two branches, which no nn.Sequential holds."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 8, 5, stride=2), nn.Conv2d(3, 8, 11, stride=4)
        self.readout = nn.Linear(16, 4)

    def forward(self, x):
        both = [branch(x).relu().mean((2, 3)) for branch in (self.fine, self.coarse)]
        return self.readout(torch.cat(both, dim=1))


torch.manual_seed(0)
mine = ModuleFeatures(
    Mine().eval(),
    layers=["fine", "coarse", "readout"],
    shape=(3, 32, 32),
    prepare=lambda images: (images - 0.5) / 0.25,
    name="two branches",
    rule="as drawn",
    seed=0,
    baseline=True,  # it has learned nothing
)

# %% [markdown]
# ## Your `nn.Sequential`, taught by a rule of the zoo
#
# `convert` makes a network of the zoo with the very parameters of your module: what the rule teaches the network, your
# module knows. Here feedback alignment learns to name the orientation of noisy gratings of random phase.

# %%
torch.manual_seed(1)
sequential = nn.Sequential(
    nn.Conv2d(3, 16, 7, stride=2, padding=3),
    nn.ReLU(),
    nn.AvgPool2d(4),
    nn.Flatten(),
    nn.Linear(16 * 4 * 4, 32),
    nn.ReLU(),
    nn.Linear(32, 4),
)
network, rule = convert(sequential, (3, 32, 32)), FeedbackAlignment(seed=0)
rule.bind(network)
fresh = copy.deepcopy(sequential)  # as it was before it learned

random = np.random.default_rng(0)
answers = random.integers(0, 4, 600)
examples = [grating(a * np.pi / 4, random.uniform(2, 9), random.uniform(0, 2 * np.pi)) for a in answers]
images = (torch.from_numpy(np.stack(examples)).float() / 255 - 0.5) / 0.25
images = images + 0.5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
labels = torch.from_numpy(answers)
train, test = slice(0, 400), slice(400, 600)

optimiser = torch.optim.AdamW(rule.parameter_groups(network, {"lr": 3e-3}))
for step in range(120):
    batch = torch.arange(step * 50, step * 50 + 50) % 400
    rule.begin_step(step)
    rule.assign_gradients(network, images[train][batch], labels[train][batch])
    optimiser.step()
    rule.after_step(network)
    optimiser.zero_grad()
with torch.no_grad():
    accuracy = float((sequential(images[test]).argmax(1) == labels[test]).float().mean())
print(f"orientation of new gratings: {accuracy:.2f} right, chance 0.25")

assert accuracy > 0.6
assert not torch.equal(fresh[0].weight, sequential[0].weight)  # your own module has learned


# %% [markdown]
# ## The comparison
#
# Both networks, the Sequential as it was before it learned, and the usual baselines. `rsa` takes settings, sources and
# the study; the settings could as well be YAML (`plasticode rsa --config`). For each network the layer is chosen by
# leaving one person out, so that a network with many layers gains nothing by having many.

# %%
shown = {"layers": ["2", "5", "6"], "shape": (3, 32, 32), "prepare": lambda images: (images - 0.5) / 0.25, "seed": 0}
sources = [
    ModuleFeatures(sequential.eval(), name="sequential", rule="feedback alignment", **shown),
    ModuleFeatures(fresh.eval(), name="sequential, fresh", rule="untrained", baseline=True, **shown),
    mine,
]
config = RsaConfig(
    study="my_study",
    categories={"orientation": "orientation"},
    samples=200,
    permutations=200,
    pattern_measures=[],
    cache="activations",
)
found = rsa(config, sources, study)
people = found.rules[(found.rules["subject"] == "all") & found.rules["is_choice"] & found.rules["own_resolution"]]
columns = ["region", "label", "value", "low", "high", "p", "p_fdr", "ceiling_low", "ceiling_high"]
print(people[columns].round(3).to_string(index=False))

# %% [markdown]
# ## Reading the table
#
# In "V1" Gabor energy is at the ceiling and pixels, which see phase, are far from it. The Sequential is near the
# ceiling after learning and was not before: the task asked for orientation whatever the phase, and so do these voxels.
# (These are simulated people, made so that it must come out; one seed shows nothing about a rule.) The two branches
# average over the image and were never taught: nothing. In "noise" nothing is significant, and the lower ceiling says
# that there is nothing to explain.

# %%
at = people.set_index(["region", "label"])
v1 = at.loc["V1"]
assert v1.loc["Gabor energy", "value"] > v1.loc["Gabor energy", "ceiling_low"]
assert v1.loc["Gabor energy", "p_fdr"] < 0.05
assert v1.loc["pixels", "value"] < 0.2
assert v1.loc["feedback alignment", "value"] > v1.loc["untrained", "value"] + 0.1
assert v1.loc["as drawn", "p_fdr"] > 0.05
assert (at.loc["noise", "p_fdr"] > 0.05).all()
assert (at.loc["noise", "ceiling_low"] < 0.1).all()

# %% [markdown]
# Differences have intervals of their own: here of the taught network and pixels, both shown at 32 pixels a side.

# %%
difference = found.comparisons.query("kind == 'pixels' and region == 'V1'").iloc[0]
print(f"{difference['a']} - {difference['b']}: {difference['difference']:.2f}", end=" ")
print(f"[{difference['low']:.2f}, {difference['high']:.2f}], p {difference['p']:.3f}")

assert difference["low"] > 0

# %%
figure = rule_points(found.rules[found.rules["is_choice"] & found.rules["own_resolution"]], "spearman")
figure  # noqa: B018  # drawn below the cell

# %% [markdown]
# The other tables (`found.models`, `found.comparisons`, `found.map`) have every layer, every person and all pairs.
# `plasticode.analysis.rsa_folder.write(found, Path("my_rsa"))` makes the folder with tables, figures and the report.
# Features that were computed elsewhere need no network: give `.npz` files as `arrays` of the settings.

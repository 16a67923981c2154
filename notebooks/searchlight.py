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
# # Where in the brain is a geometry? A searchlight
#
# Around every voxel, the RDM of a small sphere is held against model RDMs. Beside the map stands its null: the models'
# conditions are permuted, alike in all spheres, and the largest value of each permuted map corrects for the number of
# spheres. What comes out are NIfTI images.
#
# First a volume whose truth is known, then a real recording (if the environment variable `PLASTICODE_DATA` names a
# folder that has it), from which this null keeps us from claiming too much.

# %%
# %matplotlib inline
import os
from pathlib import Path

import nibabel
import numpy as np
from matplotlib.figure import Figure
from plasticode.analysis.rdm import dataset
from plasticode.analysis.searchlight import searchlight
from plasticode.datasets.localizer_images import LocalizerImages
from plasticode.datasets.searchlight_volume import read_rows, write_maps
from rsatoolbox.rdm import RDMs
from scipy.ndimage import gaussian_filter

FOLDER = Path("searchlight")
FOLDER.mkdir(exist_ok=True)
SHAPE, MM, RADIUS = (14, 14, 10), 3.0, 6.5
IDS, RUNS = [f"image_{number:02d}" for number in range(16)], ["1", "2", "3", "4"]

# %% [markdown]
# ## A planted region, written as files
#
# Sixteen conditions in four runs, in a mask of an ellipsoid. Noise is smooth in space, as in a brain. A cube of 3 x 3 x
# 3 voxels has the geometry of the first model; the second is nowhere.

# %%
random = np.random.default_rng(1)
places = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
centre = (np.array(SHAPE) - 1) / 2
brain = (((places - centre) / (np.array(SHAPE) / 2)) ** 2).sum(axis=-1) <= 1
region = np.zeros(SHAPE, bool)
region[3:6, 6:9, 4:7] = True
affine = np.diag([MM, MM, MM, 1.0])


def noise(n):
    """Smooth noise of unit variance (x y z n)."""
    white = random.standard_normal((*SHAPE, n))
    smooth = gaussian_filter(white, (0.7, 0.7, 0.7, 0))
    return smooth / smooth.std()


def model(latent):
    """Squared distances of all pairs of conditions."""
    i, j = np.triu_indices(len(IDS), 1)
    return ((latent[i] - latent[j]) ** 2).sum(axis=1)


def write(name, volumes):
    """A 4D or 3D image on the grid."""
    nibabel.save(nibabel.Nifti1Image(volumes.astype(np.float32), affine), FOLDER / f"{name}.nii.gz")
    return FOLDER / f"{name}.nii.gz"


latents = random.standard_normal((2, len(IDS), 3))
models = RDMs(
    np.stack([model(one) for one in latents]),
    pattern_descriptors={"stimulus": IDS},
    rdm_descriptors={"name": ["planted", "nowhere"]},
)
signal = np.zeros((*SHAPE, len(IDS)))
signal[region] = random.standard_normal((region.sum(), 3)) @ latents[0].T
estimates = np.concatenate([0.6 * signal + noise(len(IDS)) for _ in RUNS], axis=-1)
mask = write("mask", brain)
betas = write("betas", estimates)
left = {run: write(f"residuals_{run}", noise(60)) for run in RUNS}

assert region[brain].sum() == 27

# %% [markdown]
# ## The searchlight
#
# Crossnobis distances between runs, with the noise of every run shrunk and inverted in each sphere. Voxels outside the
# mask are never used; a sphere is tested where half of it lies inside.

# %%
rows, inside = read_rows(betas, mask)
residuals = {run: read_rows(path, mask)[0] for run, path in left.items()}
patterns = dataset(rows, IDS * len(RUNS), run=np.repeat(RUNS, len(IDS)), name="planted")
given = {"radius": RADIUS, "method": "crossnobis", "noise": residuals, "permutations": 300}
found = searchlight(patterns, inside, models, **given)

truth = region[inside.volume]
for number, name in enumerate(found.names):
    best = np.nanargmax(found.value[number])
    chance = np.quantile(found.largest[number], 0.95)
    hits = found.p_max[number] <= 0.05
    print(f"{name:8} largest {found.value[number, best]:.2f} (95% of permuted maps stay below {chance:.2f}),")
    print(f"         {hits.sum()} of {np.isfinite(found.value[number]).sum()} spheres with p_max <= .05")

where = np.argwhere(inside.volume)
hits = where[found.p_max[0] <= 0.05]
reach = np.array([np.linalg.norm((where[truth] - hit) * MM, axis=1).min() for hit in hits])
print(f"found spheres hold the region: their centres are {reach.max():.1f} mm from it or nearer")

assert truth[np.nanargmax(found.value[0])]
assert len(hits) >= 10
assert (reach <= RADIUS).all()
assert not (found.p_max[1] <= 0.05).any()

# %% [markdown]
# A found voxel is the centre of a sphere that holds information, and need not hold any itself: the map is wider than
# the region, by up to a radius.
#
# ## The same without a region
#
# The whole chain on noise finds nothing, and uncorrected p below .05 are about as many as they should be.

# %%
planted = np.tile(0.6 * signal[inside.volume].T, (len(RUNS), 1))
empty = dataset(rows - planted, IDS * len(RUNS), run=np.repeat(RUNS, len(IDS)), name="noise")
nothing = searchlight(empty, inside, models, **given)
share = np.nanmean(nothing.p <= 0.05)
print(f"least p_max {np.nanmin(nothing.p_max):.2f}; {share:.1%} of spheres have an uncorrected p <= .05")

assert np.nanmin(nothing.p_max) > 0.05
assert share < 0.15  # neighbouring spheres share voxels, so this varies much

# %% [markdown]
# ## Images out
#
# The similarity, the mean and 95% quantile of its null, p, and corrected p, on the grid of the input.

# %%
files = write_maps(found.maps(0), found.mask, FOLDER / "planted")
value = nibabel.load(files["value"])
print(", ".join(sorted(path.name for path in files.values())))

assert np.array_equal(value.affine, affine)
assert value.shape == SHAPE
assert np.isnan(value.get_fdata()[~brain]).all()


def draw(maps, title):
    """Slices of the similarity, of its null's 95% quantile, and of the corrected p, through the largest similarity."""
    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    volumes = {name: nibabel.load(path).get_fdata() for name, path in maps.items()}
    tested = np.isfinite(volumes["value"])
    level = np.unravel_index(np.nanargmax(volumes["value"]), tested.shape)[2]
    shown = {
        "value": ("similarity (Spearman)", "PuOr_r", -1),
        "null_high": ("95% of its null", "PuOr_r", -1),
        "p_max": ("corrected p", "cividis_r", 0),
    }
    for axes, (name, (label, colours, low)) in zip(figure.subplots(1, 3), shown.items(), strict=True):
        part = np.where(tested, volumes[name], np.nan)[:, :, level].T
        image = axes.imshow(part, origin="lower", cmap=colours, vmin=low, vmax=1)
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(label, fontsize=9)
        axes.set_axis_off()
    figure.suptitle(f"{title}, slice {level}", fontsize=9)
    return figure


figure = draw(files, "planted region")
figure  # noqa: B018  # drawn below the cell

# %% [markdown]
# ## A real recording: what six conditions cannot show
#
# One run of a localizer (Sengupta et al. 2016): body, face, house, object, scene, scramble, two blocks each. The model
# says that scrambled pictures are far from all others, and animate ones apart from inanimate ones. Spheres reach high
# similarities, and a map of them alone would look like a discovery.
#
# Six conditions can be relabelled in 720 ways, 60 of which differ for this model: somewhere in 5,000 spheres, almost
# any relabelling fits as well. The corrected p says so. (One run, one person, folds that share its noise: this is the
# data's limit, not the method's. More conditions, runs and people are the remedy, not another threshold.) That far more
# than 5% of spheres have an uncorrected p below .05 is a hint and no more: neighbours share their voxels and noise.

# %%
LOCALIZER = Path(os.environ.get("PLASTICODE_DATA", "")) / "bold4d_studyforrest_localizer"
HAVE_LOCALIZER = LOCALIZER.is_dir()
figure = None
if HAVE_LOCALIZER:
    recorded = LocalizerImages(LOCALIZER).run_patterns("02")
    names = ["body", "face", "house", "object", "scene", "scramble"]
    apart = np.array([[0, 0], [0, 0], [1, 0], [1, 0], [1, 0], [0, 2]])  # animacy, scrambling
    i, j = np.triu_indices(len(names), 1)
    scrambled = (apart[i, 1] != apart[j, 1]) * 2.0
    geometry = np.maximum(scrambled, (apart[i, 0] != apart[j, 0]) * 1.0)
    one = RDMs(geometry[None], pattern_descriptors={"stimulus": names}, rdm_descriptors={"name": ["categories"]})
    real = searchlight(
        recorded.dataset,
        recorded.mask,
        one,
        radius=13.0,
        method="crossnobis",
        noise=recorded.residuals_by_run,
        permutations=300,
    )
    chance = np.quantile(real.largest[0], 0.95)
    print(f"{np.isfinite(real.value[0]).sum()} spheres; largest similarity {np.nanmax(real.value[0]):.2f},")
    print(f"95% of permuted maps stay at or below {chance:.2f}: p_max {np.nanmin(real.p_max[0]):.2f};")
    print(f"{np.nanmean(real.p[0] <= 0.05):.1%} of spheres have an uncorrected p <= .05")
    figure = draw(write_maps(real.maps(0), real.mask, FOLDER / "localizer"), "localizer, subject 02")

    assert np.nanmax(real.value[0]) > 0.85
    assert not (real.p_max[0] <= 0.05).any()
else:
    print("without PLASTICODE_DATA there is no localizer here, and this part is left out")
figure  # noqa: B018  # drawn below the cell

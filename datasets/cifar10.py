"""cifar10: photographs of ten kinds of things, 32 x 32 colour (Krizhevsky 2009, technical report, Toronto).

Two forms are recognised by what lies in the folder: the official *binary* version, and *sheets*, lossless pictures of
1000 images of a class each. The official pickled ("python") version is refused: opening a pickle can run code.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .cifar10_binary import ARCHIVE, SIZE, read_binary
from .cifar10_sheets import read_sheets, sheet_paths
from .errors import BrokenData, MissingData
from .labelled_images import Content, ImageCollection
from .remote import RemoteFile

PICKLED = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1", "test_batch")


class Cifar10(ImageCollection):
    """`cifar-10-binary.tar.gz`, its .bin files (in the folder or in `cifar-10-batches-bin`), or WebP sheets.

    The binary version keeps the published order; sheets go class by class, each in the published order. A folder of
    sheets may hold a part of the training images: `LabelledImages.is_partial` and its notes then say so.
    """

    dataset = "cifar10"
    url = "https://www.cs.toronto.edu/~kriz/cifar.html"
    doi = "none: a technical report"
    licence = "none stated; freely used for research"
    citation = "Krizhevsky (2009). Learning multiple layers of features from tiny images. University of Toronto."
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    info: ClassVar[dict[str, Any]] = {
        "train": 50_000,
        "test": 10_000,
        "shape": (3, 32, 32),
        "per_class": {"train": 5_000, "test": 1_000},
    }
    archive_md5: ClassVar[str] = "c32a1d4ab5d03f1284b67883e8d87530"

    @classmethod
    def published_files(cls) -> list[RemoteFile]:
        return [RemoteFile(f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}", ARCHIVE, SIZE, md5=cls.archive_md5)]

    def _read(self, split: str) -> Content:
        content = read_binary(self.root, split, self.archive_md5)
        if content is not None:
            return content
        if sheet_paths(self.root, split):
            return read_sheets(self.root, split, self.classes)
        raise self._absent(split)

    def _absent(self, split: str) -> BrokenData | MissingData:
        pickled = next((name for name in PICKLED if (self.root / name).exists()), None)
        if pickled is None:
            remedy = f"Give the folder that holds {ARCHIVE}, or bring it with `plasticode fetch cifar10`."
            return MissingData(f"no {split} images of cifar10", self.root, remedy)
        return BrokenData(
            "the pickled version of cifar10 is not read, because opening a pickle can run code",
            self.root / pickled,
            f"Bring the binary version ({ARCHIVE}) with `plasticode fetch cifar10`.",
        )

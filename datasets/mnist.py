"""mnist: handwritten digits, 28 x 28 grey (LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86:2278)."""

from __future__ import annotations

from typing import Any, ClassVar

from .idx import IdxFile, IdxSource
from .labelled_images import Content, ImageCollection
from .remote import RemoteFile


class Mnist(ImageCollection):
    """Four idx files, plain or .gz, in the folder itself or in torchvision's `MNIST/raw`.

    A file is known by the md5 of its unpacked content, so that a .gz that somebody packed anew is as good as the
    official one; any other content is `BrokenData`.
    """

    dataset = "mnist"
    url = "https://yann.lecun.com/exdb/mnist/"
    doi = "10.1109/5.726791"
    licence = "CC BY-SA 3.0"
    citation = "LeCun, Bottou, Bengio, Haffner (1998). Proceedings of the IEEE 86:2278."
    classes = tuple("0123456789")
    info: ClassVar[dict[str, Any]] = {"train": 60_000, "test": 10_000, "shape": (1, 28, 28)}
    # The official address often refuses; this mirror serves the official bytes.
    source: ClassVar[IdxSource] = IdxSource(
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            IdxFile(
                "train-images-idx3-ubyte",
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            IdxFile(
                "train-labels-idx1-ubyte",
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624",
            ),
            IdxFile(
                "t10k-images-idx3-ubyte",
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "2646ac647ad5339dbf082846283269ea",
            ),
            IdxFile(
                "t10k-labels-idx1-ubyte",
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        ),
    )

    @classmethod
    def published_files(cls) -> list[RemoteFile]:
        return cls.source.remote_files()

    def _read(self, split: str) -> Content:
        return self.source.read(self.root, split)

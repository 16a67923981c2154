"""fashion_mnist: articles of clothing, 28 x 28 grey, in MNIST's format (Xiao, Rasul and Vollgraf 2017, 1708.07747)."""

from __future__ import annotations

from typing import Any, ClassVar

from .idx import IdxFile, IdxSource
from .labelled_images import Content, ImageCollection
from .remote import RemoteFile


class FashionMnist(ImageCollection):
    """Four idx files, plain or .gz, in the folder itself or in torchvision's `FashionMNIST/raw`.

    Published is the md5 of the .gz files only (README of the authors' repository). Files that were unpacked or packed
    anew are held against the published counts of images and of each class, and a note says so.
    """

    dataset = "fashion_mnist"
    url = "https://github.com/zalandoresearch/fashion-mnist"
    doi = "10.48550/arXiv.1708.07747"
    licence = "MIT"
    citation = "Xiao, Rasul, Vollgraf (2017). arXiv 1708.07747."
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    info: ClassVar[dict[str, Any]] = {
        "train": 60_000,
        "test": 10_000,
        "shape": (1, 28, 28),
        "per_class": {"train": 6_000, "test": 1_000},
    }
    # The authors' bucket answers without TLS only; their repository holds the same files.
    source: ClassVar[IdxSource] = IdxSource(
        "FashionMNIST",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        (
            IdxFile("train-images-idx3-ubyte", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            IdxFile("train-labels-idx1-ubyte", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            IdxFile("t10k-images-idx3-ubyte", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            IdxFile("t10k-labels-idx1-ubyte", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    )

    @classmethod
    def published_files(cls) -> list[RemoteFile]:
        return cls.source.remote_files()

    def _read(self, split: str) -> Content:
        return self.source.read(self.root, split)

"""What went wrong, where, and the remedy: the only errors that a user is meant to see."""

from pathlib import Path


class PlasticodeError(Exception):
    """An error in the user's input; the console shows its one line and exits with code 2.

    Parameters
    ----------
    what
        What is wrong, as a clause without a final stop.
    where
        The file, folder, argument or run it concerns.
    remedy
        What the user can do about it, as a sentence.
    """

    def __init__(self, what: str, where: str | Path, remedy: str) -> None:
        super().__init__(what, str(where), remedy)
        self.what, self.where, self.remedy = what, str(where), remedy

    def __str__(self) -> str:
        return f"{self.what} ({self.where}). {self.remedy}"


class MissingData(PlasticodeError):
    """A file, subject, story or column that should be there is not."""


class BrokenData(PlasticodeError):
    """A file is there but does not hold what its format promises."""


class Leak(PlasticodeError):
    """What is to be scored was seen in training."""


class WrongArgument(PlasticodeError):
    """An argument or a combination of arguments that cannot be meant."""

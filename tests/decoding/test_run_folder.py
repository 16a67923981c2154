"""Where runs are put."""

from concurrent.futures import ThreadPoolExecutor

from plasticode.decoding import run_folder
from plasticode.decoding.run_folder import RunFolder


class Noon(run_folder.datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 21, 12)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "datetime", Noon)
    paths = [RunFolder.dated("fit", tmp_path).path for _ in range(3)]
    assert [path.name for path in paths] == [f"fit-20261121-120000{suffix}" for suffix in ("", "-2", "-3")]


def test_runs_that_begin_at_once_do_not_share_a_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: RunFolder.dated("fit", tmp_path).path, range(40)))
    assert len(set(paths)) == 40

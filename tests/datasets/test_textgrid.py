"""Oracles: Praat's format description; the same grid written in both forms; the words that were derived by others."""

from pathlib import Path

import pandas as pd
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.textgrid import Interval, TextGrid, read_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "word"
        xmin = 0
        xmax = 2.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1
            text = "say ""hi"" ! 7"
        intervals [2]:
            xmin = 1
            xmax = 2.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "click"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"word"
0
2.5
2
0
1
"say ""hi"" ! 7"
1
2.5
""
"TextTier"
"clicks"
0
2.5
1
0.5
"click"
"""


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "story.TextGrid"
    path.write_bytes(text.encode(encoding))
    return path


def content(grid: TextGrid) -> tuple[object, ...]:
    return grid.start, grid.end, grid.tiers


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_long_and_short_form_hold_the_same_grid(tmp_path: Path, encoding: str) -> None:
    long = content(read_textgrid(written(tmp_path, LONG, encoding)))
    assert long == content(read_textgrid(written(tmp_path, SHORT, encoding)))


def test_a_grid_reads_as_it_was_written(tmp_path: Path) -> None:
    grid = read_textgrid(written(tmp_path, LONG))
    assert grid.tier("WORDS", "Word").intervals == (Interval(0, 1, 'say "hi" ! 7'), Interval(1, 2.5, ""))
    assert grid.tier("clicks").intervals == (Interval(0.5, 0.5, "click"),)


def test_comments_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    commented = SHORT.replace("2.5\n<exists>", '2.5 ! seconds, "not" 3 tokens\n<exists>').replace("\n", "\r\n")
    assert content(read_textgrid(written(tmp_path, commented))) == content(read_textgrid(written(tmp_path, LONG)))


def test_a_grid_without_tiers_is_empty(tmp_path: Path) -> None:
    text = 'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n1\n<absent>\n'
    assert read_textgrid(written(tmp_path, text)).tiers == ()


def test_an_absent_tier_is_an_error_that_lists_the_tiers(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no tier named phone .*story\.TextGrid.*word, clicks"):
        read_textgrid(written(tmp_path, SHORT)).tier("phone")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"ooTextFile"', '"Praat chronological TextGrid text file"', "does not begin with"),
        ('"click"\n', "", "ends where the point mark should be"),
        ('"click"\n', '"click"\n7\n', "more after the last tier"),
        ('1\n2.5\n""', '"1"\n2.5\n""', "line 16 holds '\"1\"' where the start of an interval should be"),
        ('1\n2.5\n""', '0.5\n2.5\n""', "overlap or are out of order"),
        ('1\n2.5\n""', '3\n2.5\n""', "ends at 2.5 s before it starts at 3.0 s"),
        ("<exists>\n2\n", "<exists>\n2.5\n", "number of tiers is 2.5"),
        ("TextTier", "CurveTier", "unknown class 'CurveTier'"),
        ("2.5\n<exists>", "1e999\n<exists>", "end of the grid is not finite"),
    ],
)
def test_a_departure_from_the_format_is_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in SHORT
    with pytest.raises(BrokenData, match=r"Save it from Praat") as error:
        read_textgrid(written(tmp_path, SHORT.replace(old, new, 1)))
    assert what in error.value.what


def test_other_bytes_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "story.TextGrid"
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(BrokenData, match="neither UTF-8 nor UTF-16"):
        read_textgrid(path)


def test_the_published_alice_grid_holds_the_published_words(real_data: Path) -> None:
    folder = real_data / "alice_fmri_roi"
    tier = read_textgrid(folder / "DownTheRabbitHole.TextGrid").tier("word")
    published = pd.read_csv(folder / "words.tsv", sep="\t", dtype=str, keep_default_na=False)
    spoken = [interval for interval in tier.intervals if interval.text not in ("sp", "")]
    assert len(tier.intervals) == 2423
    assert [interval.text for interval in spoken] == published["word"].tolist()
    assert [interval.start for interval in spoken] == pytest.approx(published["onset"].astype(float), abs=1e-4)

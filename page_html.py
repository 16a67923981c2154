"""Pieces of a report's HTML. Every piece takes plain text and escapes it, except where it says `markup`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from .page_style import STYLE

# Nothing is loaded and nothing is run, whatever a text on the page may contain.
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class Picture:
    """A figure's bytes, its media type ("svg+xml" or "png") and its width in CSS pixels."""

    media: str
    data: bytes
    width: int


@dataclass(frozen=True)
class Markup:
    """HTML that is safe to put on the page as it is."""

    html: str

    def __add__(self, other: Markup) -> Markup:
        return Markup(self.html + other.html)


def document(title: str, sections: Iterable[Markup]) -> str:
    """The whole page, which asks for nothing from outside."""
    return PAGE.substitute(title=escape(title), style=STYLE, body=joined(sections).html)


def escaped(value: str | Markup) -> str:
    """HTML of plain text, with its special characters escaped; markup stays as it is."""
    return value.html if isinstance(value, Markup) else escape(value)


def joined(pieces: Iterable[Markup]) -> Markup:
    """The pieces, one per line."""
    return Markup("\n".join(piece.html for piece in pieces))


def element(tag: str, content: str | Markup, **attributes: str) -> Markup:
    """`<tag>` around the content; `kind` is the class, a Python word; empty attributes are left out."""
    names = {"kind": "class"}
    written = "".join(f' {names.get(name, name)}="{escape(value)}"' for name, value in attributes.items() if value)
    return Markup(f"<{tag}{written}>{escaped(content)}</{tag}>")


def image(picture: Picture, alt: str) -> Markup:
    """The picture inside the page, with a text that says what it shows."""
    code = base64.b64encode(picture.data).decode("ascii")
    source = f"data:image/{picture.media};base64,{code}"
    return Markup(f'<img src="{source}" width="{picture.width}" alt="{escape(alt)}">')


def panels(images: Sequence[Markup], caption: str | Markup) -> Markup:
    """Images side by side where there is room, over one caption."""
    inside = element("div", joined(images), kind="panels") + element("figcaption", caption)
    return element("figure", inside)


def details(summary: str, content: Markup, *, opened: bool = False) -> Markup:
    """A part of the page that opens and closes under its summary."""
    return Markup(f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{content.html}</details>")


def absent(message: str) -> Markup:
    """What a run does not have, said in place."""
    return element("p", message, kind="absent")


def section(title: str, *content: Markup) -> Markup:
    """A headed section of the page."""
    return element("section", element("h2", title) + joined(content))


def head_row(names: Sequence[str | Markup], first_numeric: int, first_other: int = 99) -> Markup:
    """Column heads; `first_numeric` and `first_other` as in `row`."""
    cells = (
        element("th", name, scope="col", kind=_kind(column, first_numeric, first_other))
        for column, name in enumerate(names)
    )
    return element("thead", element("tr", joined(cells)))


def row(cells: Sequence[str | Markup], first_numeric: int, first_other: int = 99) -> Markup:
    """The first cell heads the row; from `first_numeric` on are numbers, from `first_other` on those of others."""
    head = element("th", cells[0], scope="row")
    rest = (
        element("td", cell, kind=_kind(column, first_numeric, first_other))
        for column, cell in enumerate(cells[1:], start=1)
    )
    return element("tr", head + joined(rest))


def _kind(column: int, first_numeric: int, first_other: int) -> str:
    if column < first_numeric:
        return ""
    return "number other" if column >= first_other else "number"


def scrolled(table: Markup, title: str) -> Markup:
    """A table that scrolls by itself where the page is narrower; reachable by keyboard."""
    return element("div", table, kind="scroll", tabindex="0", role="region", **{"aria-label": title})


def definitions(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and values in two columns."""
    rows = (element("div", element("dt", name) + element("dd", value)) for name, value in pairs)
    return element("dl", joined(rows))

"""A table of texts, as a page and a notebook show it."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """The first column is of names, the others are of numbers unless said otherwise."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_text_columns: int = 1

    def as_html(self) -> str:
        """An element of a page; its texts are escaped."""

        def line(cells: Sequence[str], tag: str) -> str:
            texts = self.n_text_columns
            opened = [f'<{tag} class="text">'] * texts + [f"<{tag}>"] * (len(cells) - texts)
            inner = zip(opened, map(html.escape, cells), strict=True)
            return "<tr>" + "".join(f"{start}{cell}</{tag}>" for start, cell in inner) + "</tr>"

        body = "\n".join(line(row, "td") for row in self.rows)
        return (
            f'<div class="wide"><table><thead>{line(self.head, "th")}</thead>\n'
            f"<tbody>\n{body}\n</tbody></table></div>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.as_html()


def number(value: float | None, *, form: str = ".3f") -> str:
    """Empty where a JSON file has null: it is not known."""
    return "" if value is None else format(value, form)


def with_interval(one: Mapping[str, Any], *, form: str = ".3f") -> str:
    """A number of a JSON file beside the ends of its interval."""
    if one["value"] is None:
        return ""
    low, high = (number(one[name], form=form) for name in ("low", "high"))
    ends = f" ({low} to {high})" if low and high else ""  # too few values have none
    return number(one["value"], form=form) + ends


def with_null(one: Mapping[str, Any]) -> str:
    """A share, its interval, and in brackets what it is by chance, all in percent."""
    if one["value"] is None:
        return ""
    value, low, high, null = (
        "?" if one[name] is None else f"{100 * one[name]:.1f}"
        for name in ("value", "low", "high", "null")
    )
    return f"{value}, {low} to {high} ({null})"

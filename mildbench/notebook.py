"""What a notebook shows of our objects: plain HTML tables, and pictures inside the page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def line(text: str) -> str:
    """A line of text, which is escaped."""
    return f"<div>{_text(text)}</div>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table of texts, which are escaped; a line break stays one. Rows may be shorter than the header."""
    head = "".join(f"<th>{_text(title)}</th>" for title in header)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    below = "".join(map(line, notes))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{below}</small>"


def pictures(shown: Mapping[str, np.ndarray], height: int = 160) -> str:
    """Pictures uint8[H, W, 3] in a row, so many pixels high, each above its name."""
    from mildbench.images import encode_png

    figures = [
        '<figure style="display:inline-block;margin:4px">'
        f'<img height="{height}" src="data:image/png;base64,{base64.b64encode(encode_png(pixels)).decode()}">'
        f"<figcaption>{_text(name)}</figcaption></figure>"
        for name, pixels in shown.items()
    ]
    return f"<div>{''.join(figures)}</div>"


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")

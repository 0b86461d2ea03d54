"""The explorer as a piece of HTML that lives by itself: no kernel, no network, no manager.

Without JavaScript (or where a viewer strips it) the static picture and the derivation stand
there; the script puts the live one in their place.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("page")
_IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./([\w-]+\.js)";\n?', re.MULTILINE)
# Strings over several lines are the page's styles alone, which mean the same without indents.
_LEFT_OUT = re.compile(
    r"^[ \t]*/\*\*.*?\*/\n|^[ \t]*//[^\n]*\n|^[ \t]+|^\n", re.MULTILINE | re.DOTALL
)
_DEFAULT = re.compile(r"^export default .*;$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@lru_cache(maxsize=1)
def source() -> str:
    """The page's modules in one, those first that others import, without comments and indents:
    each output holds all of it."""
    parts: dict[str, str] = {}

    def visit(name: str) -> None:
        if name in parts:
            return
        text = (_PAGE / name).read_text(encoding="utf-8")
        parts[name] = ""  # a circle ends here
        for other in _IMPORT.findall(text):
            visit(other)
        del parts[name]
        parts[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    visit("index.js")
    return _LEFT_OUT.sub("", "\n".join(parts.values()))


def live(payload: dict[str, Any], picture: str, words: str, static: str) -> str:
    """`static` under the picture, and the script that brings both to life.

    Nothing in the payload can end the script: "<" is written as an escape. The place has a name
    of its own each time: a result may be shown twice on a page.
    """
    identity = f"tapemagic-{uuid.uuid4().hex[:12]}"
    data = json.dumps(payload, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    # What JavaScript took for line ends until 2019.
    data = data.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    page = _DEFAULT.sub("", source())
    script = f'{page}\nmount(document.getElementById("{identity}"), {data}, {{}});'
    # No module: it would wait, and all be laid out once for nothing.
    return (
        f'<div id="{identity}" class="tapemagic-explorer">\n{image(picture, words)}\n{static}\n'
        f'</div>\n<script>\n(() => {{\n"use strict";\n{script}\n}})();\n</script>'
    )


def image(picture: str, words: str) -> str:
    """An SVG as an image: viewers that strip SVG elements keep it."""
    data = base64.b64encode(picture.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(words)}" '
        f'style="max-width:100%;height:auto">'
    )

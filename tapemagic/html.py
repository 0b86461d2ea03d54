"""Derivations as a fragment of HTML that needs no script, no network and no library.

A front end that strips `style` elements strips MathML too (JupyterLab does, for a notebook
that is not trusted). So each formula is there twice: in plain text, which our style hides,
and in MathML with the attribute `hidden`, which our style overrules.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tapemagic import document as d
from tapemagic.formula import Formula
from tapemagic.layout import Width
from tapemagic.mathml import MathmlPrinter, element
from tapemagic.text import TextPrinter

# Colours come from the page (JupyterLab and VS Code say theirs in variables; elsewhere the
# text's own), dimmed by opacity: right on light and on dark ground alike.
STYLE = """\
.tapemagic{color:var(--jp-content-font-color1,var(--vscode-editor-foreground,inherit));
 font-size:1rem;line-height:1.6;max-width:64em;overflow-x:auto;padding:.2em .1em}
.tapemagic .tapemagic-plain{display:none!important}
.tapemagic .tapemagic-math{display:inline-block!important;white-space:nowrap;margin:.12em 0}
.tapemagic math{font-family:"Latin Modern Math","STIX Two Math","Cambria Math",
 "Libertinus Math","DejaVu Math TeX Gyre",math,serif;font-size:1.15em}
.tapemagic .tapemagic-title{font-size:1.1em;font-weight:600;margin:.2em 0 .5em}
.tapemagic .tapemagic-title math{font-size:1.3em}
.tapemagic .tapemagic-rows+.tapemagic-title{margin-top:1.5em;border-top:1px solid;
 border-color:color-mix(in srgb,currentColor 20%,transparent);padding-top:.7em}
.tapemagic .tapemagic-rows{display:grid;align-items:baseline;gap:.65em .45em;margin:.3em 0;
 grid-template-columns:fit-content(13em) max-content minmax(min-content,1fr) repeat(2,max-content)}
.tapemagic .tapemagic-row{display:contents}
.tapemagic .tapemagic-label{padding-right:1.2em;opacity:.8}
.tapemagic .tapemagic-left{text-align:right}
.tapemagic .tapemagic-whole{grid-column:2/4}
.tapemagic .tapemagic-long{display:block;padding-left:1.8em}
.tapemagic .tapemagic-long>.tapemagic-math:nth-child(2){margin-left:-1.8em}
.tapemagic .tapemagic-letter{font-style:italic}
.tapemagic .tapemagic-number{padding-left:1em;text-align:right}
.tapemagic .tapemagic-source{opacity:.7;font-size:.85em;padding-left:.6em;cursor:help}
.tapemagic .tapemagic-note,.tapemagic .tapemagic-fold{grid-column:1/-1;margin:.1em 0}
.tapemagic .tapemagic-note{display:flex;gap:.6em;max-width:min(48em,96cqw)}
.tapemagic .tapemagic-mark{flex:none;min-width:1em;font-weight:700}
.tapemagic .tapemagic-code{grid-column:1/-1;margin:.2em 0 .4em 1.6em;padding:.3em .6em;
 width:max-content;max-width:100%;overflow-x:auto;background:#8882;color:inherit;
 font-family:monospace}
.tapemagic .tapemagic-warning{border-left:.2em solid currentColor;padding-left:.6em}
.tapemagic .tapemagic-fold>summary{cursor:pointer;opacity:.8}
.tapemagic .tapemagic-fold>.tapemagic-rows{margin:.5em 0 .5em 1.2em}
.tapemagic .tapemagic-matrix{padding:.1em .15em;margin:0 .15em;
 border:solid currentColor;border-width:0 .08em;
 background:linear-gradient(currentColor,currentColor) 0 0/.35em .08em,
 linear-gradient(currentColor,currentColor) 100% 0/.35em .08em,
 linear-gradient(currentColor,currentColor) 0 100%/.35em .08em,
 linear-gradient(currentColor,currentColor) 100% 100%/.35em .08em;background-repeat:no-repeat;
 print-color-adjust:exact}
@media (forced-colors:active){.tapemagic .tapemagic-matrix{forced-color-adjust:none;
 color:CanvasText}}
.tapemagic .tapemagic-cases mtd{text-align:left}
@media (max-width:36em){.tapemagic .tapemagic-rows{row-gap:.3em;
 grid-template-columns:max-content minmax(min-content,1fr) repeat(2,max-content)}
.tapemagic .tapemagic-label{grid-column:1/-1}.tapemagic .tapemagic-label:empty{display:none}
.tapemagic .tapemagic-whole{grid-column:1/3}
.tapemagic .tapemagic-fold>.tapemagic-rows{margin-left:0}}
.tapemagic .tapemagic-copy{display:inline-block!important;font:inherit;font-size:.8em;
 color:inherit;background:transparent;border:1px solid currentColor;border-radius:.3em;
 padding:.1em .6em;margin:.4em 0 .1em;opacity:.7;cursor:pointer}
.tapemagic .tapemagic-copy:hover,.tapemagic .tapemagic-copy:focus-visible{opacity:1}
@media print{.tapemagic{font-size:.8rem;overflow:visible}
.tapemagic .tapemagic-copy{display:none!important}}
"""

_COPY = (
    "(function(b){var t=b.getAttribute('data-latex'),w=b.textContent;if(!t)return;"
    "function done(){b.textContent='copied';setTimeout(function(){b.textContent=w},1500)}"
    "function old(){var a=document.createElement('textarea');a.value=t;"
    "document.body.appendChild(a);a.select();"
    "try{if(document.execCommand('copy'))done()}finally{a.remove()}}"
    "if(navigator.clipboard&&navigator.clipboard.writeText)"
    "navigator.clipboard.writeText(t).then(done,old);else old()})(this)"
)

_LONG = 60  # columns
_MATHML, _TEXT = MathmlPrinter(), TextPrinter(one_line=True)


def document(doc: d.Document, latex_source: str) -> str:
    """The derivation, with a button that copies `latex_source`."""
    sections = "\n".join(_section(section) for section in doc.sections)
    # The class names in the middle keep MathJax from reading dollars in labels as TeX.
    return (
        f'<div class="tapemagic tex2jax_ignore mathjax_ignore">\n<style>\n{STYLE}</style>\n'
        f"{sections}\n{_button(latex_source)}</div>"
    )


def formula(node: Formula) -> str:
    """`node` in MathML, and in plain text where MathML is stripped."""
    return _both(_MATHML.show(node), str(_TEXT.show(node)))


def _both(markup: str, text: str) -> str:
    return (
        f'<span class="tapemagic-plain">{escape(text)}</span>'
        f'<span class="tapemagic-math" hidden="hidden">{element(markup)}</span>'
    )


def _button(latex_source: str) -> str:
    if not latex_source:
        return ""
    return (
        f'<button type="button" class="tapemagic-copy" hidden="hidden"'
        f' data-latex="{_attribute(latex_source)}"'
        f' onclick="{escape(_COPY)}">copy LaTeX</button>\n'
    )


def _attribute(text: str) -> str:
    return escape(text).replace("\n", "&#10;")


def _section(section: d.Section) -> str:
    parts = [escape(section.title)] if section.title else []
    parts += [formula(section.heading)] if section.heading else []
    if not parts:
        return _items(section.items)
    # Not all voices read MathML.
    spoken = str(_TEXT.show(section.heading)) if section.heading else ""
    words = escape(" ".join(filter(None, (section.title, spoken))))
    role = f'role="heading" aria-level="3" aria-label="{words}"'
    title = f'<div class="tapemagic-title" {role}>{" ".join(parts)}</div>\n'
    return title + _items(section.items)


def _items(items: Sequence[d.Item]) -> str:
    rows = "\n".join(_item(item) for item in items)
    return f'<div class="tapemagic-rows">\n{rows}\n</div>'


def _item(item: d.Item) -> str:
    if isinstance(item, d.Statement):
        return _statement(item)
    if isinstance(item, d.Note):
        return _note(item)
    summary = f"<summary>{escape(item.summary)}</summary>"
    return f'<details class="tapemagic-fold">{summary}\n{_items(item.items)}\n</details>'


def _statement(statement: d.Statement) -> str:
    """Five cells of the grid; the spaces between are for readers without our style."""
    left = formula(statement.sides[0])
    label = f'<span class="tapemagic-label">{escape(statement.label)}</span>'
    if statement.relations:
        pairs = zip(statement.relations, statement.sides[1:])
        right = "".join(_side(relation, side) for relation, side in pairs)
        sides = f'<span class="tapemagic-left">{left}</span> <span>{right}</span>'
    else:
        sides = f'<span class="tapemagic-whole">{left}</span>'
    number = f"({statement.number})" if statement.number is not None else ""
    number = f'<span class="tapemagic-number">{number}</span>'
    cells = " ".join((label, sides, number, _source(statement.source)))
    return f'<div class="tapemagic-row"{_recorded(statement)}>{cells}</div>'


def _recorded(item: d.Statement | d.Note) -> str:
    """A mark for what the page hides as soon as a slider leaves the recorded point."""
    return " data-recorded" if item.recorded else ""


def _side(relation: str, side: Formula) -> str:
    """A relation and what follows, in pieces between which the browser may break the line."""
    pieces: list[str] = []
    for markup, text in zip(_MATHML.chunks(side), _TEXT.chunks(side)):
        first = not pieces
        sign = [_MATHML.operator(relation)] if first else []
        if first and markup.startswith("<mtext"):  # which counts as space: it gets none after "="
            sign.append(_MATHML.gap())
        words = f"{relation} {text}" if first else str(text).strip()
        pieces.append(_both(_MATHML.row([*sign, markup]), words + " "))
    # A long side stands alone, so that its further lines can be indented.
    long = len(pieces) > 1 and Width().show(side) > _LONG
    name = "tapemagic-step tapemagic-long" if long else "tapemagic-step"
    return f'<span class="{name}">{"<wbr>".join(pieces)}</span><wbr>'


def _source(source: d.Source | None) -> str:
    if source is None:
        return '<span class="tapemagic-source"></span>'
    title = f' title="{_attribute(source.text)}"'
    return f'<span class="tapemagic-source"{title}>line {source.number}</span>'


def _note(note: d.Note) -> str:
    mark = {"check": "✓", "warning": "⚠"}.get(note.kind, "")
    if note.kind == "check" and note.agrees is not True:
        mark = "✗" if note.agrees is False else "–"
    shown = f'<span class="tapemagic-mark">{mark}</span> ' if mark else ""
    kind = " tapemagic-warning" if note.kind == "warning" else ""
    told = f'<div class="tapemagic-note{kind}"{_recorded(note)}>{shown}'
    told += f"<span>{escape(note.text)}</span></div>"
    if note.code:
        told += f'<pre class="tapemagic-code"{_recorded(note)}>{escape(note.code)}</pre>'
    return told

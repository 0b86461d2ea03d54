"""Errors that TensorFlow raises over tapes, explained under the user's own traceback."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from types import CodeType, TracebackType

from tapemagic import codes, in_tensorflow, remedies
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import finding, repaired
from tapemagic.rewriting import Fix, Source, combined, function_name
from tapemagic.trace import Line

_ATTRIBUTE = re.compile(r"'([\w.]+)' object has no attribute '(?:dtype|_id|shape|_shape_tuple)'")
_WATCHED = re.compile(r"Passed in object .* of type '(\w+)', not tf\.Tensor", re.DOTALL)
_TAPES = (os.path.join("eager", "backprop.py"), os.path.join("eager", "imperative_grad.py"))
_UNREGISTERED = re.compile(r"(?:no entry for: |op type: )(\w+)")
_MIXED = (
    re.compile(r"expected to be a (\w+) tensor but is a (\w+) tensor"),
    re.compile(r"has type (\w+) that does not match type (\w+)"),
    re.compile(r"requested dtype (\w+) for Tensor with dtype (\w+)"),
)


def explained(
    error: BaseException,
    line: Line | None,
    block: Line | None = None,
    at: Line | None = None,
    numeric: bool = False,
    left: Line | None = None,
) -> Diagnosis | None:
    """What the error means: `line` raised it, `block` is where the tape's `with` stands, `at` the
    line of the op that it is about. `numeric`: the target is a number, and `left` where the last
    value left TensorFlow. None for errors that are not about tapes."""
    text = str(error)
    if isinstance(error, RuntimeError) and "non-persistent GradientTape" in text:
        return _expired(line, block)
    if isinstance(error, LookupError) and (found := _UNREGISTERED.search(text)):
        return _no_gradient(found[1], line, at)
    if isinstance(error, ValueError) and (found := _WATCHED.search(text)):
        return _watched(found[1], "Variable path=" in text, line)
    by_tape = isinstance(error, AttributeError) and _is_raised_by_a_tape(error)
    if by_tape and (found := _ATTRIBUTE.search(text)):
        return _numeric_target(found[1], line, left) if numeric else _no_tensor(found[1], line)
    for pattern in _MIXED:
        if found := pattern.search(text):
            return _mixed(found[1], found[2], line)
    return None


def _is_raised_by_a_tape(error: BaseException) -> bool:
    """Whether the error passed through a tape's methods: what lacks a dtype elsewhere is none of
    our business."""
    tb = error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename.endswith(_TAPES):
            return True
        tb = tb.tb_next
    return False


def is_about_none(error: BaseException) -> bool:
    """Whether a None in place of a gradient may have led to the error."""
    return "NoneType" in str(error) or "No gradients provided" in str(error)


def attach(error: BaseException, diagnosis: Diagnosis | None) -> None:
    """The explanation as a note of the exception, once."""
    known = [str(note) for note in getattr(error, "__notes__", None) or ()]
    if diagnosis is None or any(note.startswith("tapemagic") for note in known):
        return
    note = f"tapemagic ({diagnosis.cause}): {diagnosis.message}"
    if diagnosis.fix:
        note += f"\n\n{diagnosis.fix}\n"
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:  # Python 3.10 shows no notes: we show them
        error.__notes__ = [*known, note]  # type: ignore[attr-defined]


def raised_at(tb: TracebackType | None, is_user: Callable[[CodeType], bool]) -> Line | None:
    """The innermost line of the user's in a traceback."""
    found = None
    while tb is not None:
        code, number = tb.tb_frame.f_code, tb.tb_lineno
        if is_user(code):
            text = codes.line_text(code.co_filename, number)
            found = Line(number, text, code.co_filename, code.co_name)
        tb = tb.tb_next
    return found


def _expired(line: Line | None, block: Line | None) -> Diagnosis:
    message = (
        "this tape has answered already, and a tape answers once unless it is persistent: it lets "
        "go of what it recorded. Ask for all sources in one call, or make it persistent."
    )
    fix = repaired(block, lambda s, n: remedies.keyword(s, n, "GradientTape", "persistent", "True"))
    return finding("expired", line, message, fix)


def _no_gradient(kind: str, line: Line | None, at: Line | None) -> Diagnosis:
    where_ = f" (line {at.number}: {at.text})" if at is not None else ""
    message = (
        f"the op {kind}{where_} has no derivative in TensorFlow: none was ever registered. Compute "
        "the same with other ops, or give it one with tf.custom_gradient."
    )
    return finding("no_gradient", line, message, None)


def _watched(kind: str, keras: bool, line: Line | None) -> Diagnosis:
    if kind == "Variable" and keras:
        message = (
            "a variable of Keras 3 wraps one of TensorFlow's, and tape.watch wants that one: it is "
            "the variable's .value. (Trainable variables are watched without being asked.)"
        )
        return finding("keras_variable", line, message, repaired(line, _with_value))
    if kind == "KerasTensor":
        message = (
            "this is a symbolic tensor of Keras: a place in a model, without a value. Watch the "
            "tensor that you call the model with."
        )
        return finding("not_a_tensor", line, message, None)
    message = f"this is a {kind}, no tensor, and only tensors and variables can be watched."
    return finding("not_a_tensor", line, message, repaired(line, _as_constant))


def _numeric_target(kind: str, line: Line | None, left: Line | None) -> Diagnosis:
    message = (
        f"the target is a {kind.split('.')[-1]}, no tensor: a number does not remember what it was "
        "computed from. A target is what TensorFlow computed from the sources."
    )
    return finding("not_a_tensor", line, message, _kept_tensor(line, left))


def _kept_tensor(line: Line | None, left: Line | None) -> Fix | None:
    """The target as it was before it left TensorFlow, where that is what the call was given."""
    if line is None or left is None or left.file != line.file:
        return None
    source = Source(line.file)
    made = source.statement(left.number)
    calls = [n for n in ast.walk(source.statement(line.number) or ast.Pass()) if _asks(n)]
    given = codes.written(calls[0].args[0], line.file) if calls else ""  # type: ignore[attr-defined]
    target = codes.last_assignment(line.file, given, line.number)
    function = codes.function_name(line.file, left.number)
    inside = target is not None and function in {function_name(n) for n in ast.walk(target)}
    if target is None or (made is not target and not inside):
        return None
    return repaired(left, lambda s, n: in_tensorflow.rewritten(s, n, line.number))


def _asks(node: ast.AST) -> bool:
    return function_name(node) == "gradient" and isinstance(node, ast.Call) and bool(node.args)


def _no_tensor(kind: str, line: Line | None) -> Diagnosis:
    kind = kind.split(".")[-1]
    message = (
        f"a source is a {kind} here, no tensor: the tape has never seen it. Sources are "
        "tf.Variable or watched tensors."
    )
    return finding("not_a_tensor", line, message, repaired(line, _as_variable))


def _mixed(one: str, other: str, line: Line | None) -> Diagnosis:
    message = (
        f"{one} and {other} meet in one op, and TensorFlow does not convert tensors by itself: "
        "make both the same with tf.cast. (A tape follows floating tensors only.)"
    )
    return finding("dtype", line, message, None)


def _with_value(source: Source, number: int) -> Fix | None:
    def change(node: ast.AST) -> str | None:
        if function_name(node) != "watch" or not isinstance(node, ast.Call) or not node.args:
            return None
        text = source.text(node.args[0])
        several = text.endswith(("variables", "weights")) or text.startswith("[")
        value = f"[v.value for v in {text}]" if several else f"{text}.value"
        return f"{source.text(node.func)}({value})"

    return source.rewritten(number, change)


def _as_constant(source: Source, number: int) -> Fix | None:
    return _made(source, number, "watch", 0, "tf.convert_to_tensor({})")


def _as_variable(source: Source, number: int) -> Fix | None:
    found = _made(source, number, "gradient", 1, "tf.Variable({})")
    return found or source.rewritten(number, lambda n: _variables(source, n))


def _variables(source: Source, node: ast.AST) -> str | None:
    if function_name(node) == "get_weights" and isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Attribute)
        return f"{source.text(node.func.value)}.trainable_variables"
    return None


def _made(source: Source, number: int, method: str, place: int, shape: str) -> Fix | None:
    """The assignment of the call's argument, its value as a tensor."""
    node = source.statement(number)
    for call in ast.walk(node) if node is not None else ():
        if function_name(call) == method and isinstance(call, ast.Call) and len(call.args) > place:
            argument = call.args[place]
            name = argument.id if isinstance(argument, ast.Name) else ""
            made = codes.last_assignment(source.file, name, number)
            plain = made is not None and not isinstance(made.value, ast.Name)
            if made is not None and plain:
                new = source.exchanged(made.value, shape.format(source.text(made.value)))
                used = in_tensorflow.used(source, name, made.lineno, number)
                return combined(source, [new, used])
    return None

"""The same without a notebook: `differentiate(fn, x)` and `with record("x") as recorded:`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import tensorflow as tf

from tapemagic.keys import is_plain_name
from tapemagic.options import GradError, Options
from tapemagic.progress import Terminal
from tapemagic.result import Result
from tapemagic.session import Session


def differentiate(
    function: Callable[..., Any], *arguments: Any, order: int = 1, **options: Any
) -> Result:
    """The derivatives of `function` by each of its floating arguments, derived.

    `arguments` are tensors, variables or Python floats; `options` are those of the magic line,
    by their long names (`kind="hessian"`, `steps="full"` …). The key is named after the
    function and its parameters: "df/dx". Raises `ValueError` for what cannot be differentiated.

    >>> differentiate(lambda x: x**2, 3.0)["dy/dx"].value
    """
    names = _parameters(function, len(arguments))
    namespace = {name: _tensor(value) for name, value in zip(names, arguments)}
    target = getattr(function, "__name__", "y")
    if not is_plain_name(target) or target in namespace:
        target = "y"
    sources = tuple(n for n, v in namespace.items() if not isinstance(v, (int, str, list)))
    session = Session(Options(sources, (target,), order, **options), namespace, "", "", Terminal())
    with session, _as_value_error():
        session.before()
        with _locals_bound(function, session):
            value = function(*(namespace[name] for name in names))
        namespace[target] = session.bound(target, value)
        return session.finish(None)


def _parameters(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional parameters; x, y … where there are none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain][:count]
    return names + [f"x{i}" for i in range(len(names) + 1, count + 1)]


def _tensor(value: Any) -> Any:
    return tf.constant(value) if isinstance(value, float) else value


@contextmanager
def _locals_bound(function: Callable[..., Any], session: Session) -> Iterator[None]:
    """The function's own names become the names of the equations, as it returns."""
    code, before = getattr(function, "__code__", None), sys.getprofile()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            for name, value in frame.f_locals.items():
                session.named(name, value)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


class Recorded:
    """What `record` yields; `result` is there when the block has ended."""

    result: Result


@contextmanager
def record(*wrt: str, **options: Any) -> Iterator[Recorded]:
    """Record the block; `recorded.result` has the derivatives by the names `wrt`.

    `wrt` name tensors that exist before the block, or variables; without them it is every
    trainable variable that the block reads. `of="z"` names the target; the other options are
    those of the magic line. The block runs as it is, in any script or editor.

    >>> x = tf.constant(3.0)
    >>> with tapemagic.record("x", of="y") as recorded:
    ...     y = x**2
    >>> recorded.result["dy/dx"].value
    """
    frame = sys._getframe(2)  # over contextlib's own frame
    of = options.pop("of", ())
    targets = (of,) if isinstance(of, str) else tuple(of)
    namespace = {**frame.f_globals, **frame.f_locals}
    before = dict(namespace)
    session = Session(Options(wrt, targets, **options), namespace, "", "", Terminal())
    recorded = Recorded()
    with session, _as_value_error():
        session.before()
        yield recorded
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if value is not before.get(name):
                namespace[name] = session.bound(name, value)
        recorded.result = session.finish(None)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """The one-line complaints of the magic line, as Python has them."""
    try:
        yield
    except GradError as error:
        raise ValueError(str(error)) from None

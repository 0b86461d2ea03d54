"""A source that the tape does not follow: not watched, or not the tensor that was used."""

from __future__ import annotations

import ast

from tapemagic import codes, remedies, smoothing
from tapemagic.case import Case
from tapemagic.dependence import Edge
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import Repair, Told, finding, together
from tapemagic.rewriting import Source
from tapemagic.slopes import hidden
from tapemagic.trace import Line


def _made(case: Case, key: int | None = None) -> Line | None:
    """Where a source came to be: its binding, else the op that made it."""
    key = case.source.key if key is None else key
    keys = {key, *(case.source.reads if case.source.is_variable else ())}
    bound = [b for b in case.trace.bindings if b.tensor in keys and b.line is not None]
    named = [b for b in bound if b.name.split(".")[-1] == case.source.text.split(".")[-1]]
    if named or bound:
        return (named or bound)[0].line
    made = [op for op in case.trace.operations if key in op.outputs and op.line is not None]
    return made[-1].line if made else None


def integer_source(case: Case) -> Diagnosis:
    line = _made(case) or case.call
    text, dtype = case.source.text, case.source.dtype
    repairs: tuple[Repair, ...] = ()
    if not as_index(case, {case.source.key}):
        repairs = (Repair(line, smoothing.as_float), *(_watch(case) if _is_late(case) else ()))
    fix = together(repairs)
    return finding(
        "integer",
        line,
        f"{text} is {dtype}: integers have no slope, and the tape follows floating tensors only. "
        f"Make it a floating tensor.",
        fix,
    )


def _is_late(case: Case) -> bool:
    """Whether the tape was told of a tensor only after its first use, or not at all."""
    if case.source.is_variable:
        return False
    known = case.tape.watched.get(case.source.key)
    first = next((op.at for op in case.trace.operations if case.source.key in op.inputs), 2**62)
    return known is None or known[0] > first


def as_index(case: Case, keys: set[int]) -> bool:
    """Whether integers serve as places, by whatever integers that are made of them: those must
    stay integers."""
    known = {*keys, *(key for k in keys for key in case.trace.variables.get(k, ()))}
    for op in case.trace.operations:
        if not known.intersection(op.inputs):
            continue
        if "Gather" in op.kind or op.kind in ("OneHot", "ScatterNd", "StridedSlice"):
            return True
        kinds = [case.trace.tensors[key].dtype for key in op.outputs if key in case.trace.tensors]
        if all(kind.startswith(("int", "uint")) for kind in kinds):
            known.update(op.outputs)
    return False


def not_watched(case: Case, way: list[Edge]) -> Told | None:
    """That the tape was not told of the source, or too late."""
    source, tape = case.source, case.tape
    if source.is_variable:
        known = tape.watched.get(source.key)
        if known is not None or (source.trainable and tape.accessed):
            return None
        return _unwatched_variable(case)
    known = tape.watched.get(source.key)
    if known is None:
        return _unwatched_tensor(case)
    first = min((e.operation.at for e in way[:1] if e.operation is not None), default=0)
    if known[0] > first:
        message = (
            f"tape.watch({source.text}) came after {source.text} had been used: what ran before "
            "is not followed."
        )
        if way[0].cut is not None and way[0].cut.cause == "outside_tape":
            return None  # that is said; moved into the block, it comes after the watch
        line = known[1] or case.call
        return Told("not_watched", line, message + hidden(case), _watch(case))
    return None


def _unwatched_variable(case: Case) -> Told:
    source, tape = case.source, case.tape
    line = _made(case) or tape.block or case.call
    if source.trainable:
        line = tape.block or line
        why = (
            f"the tape was made with watch_accessed_variables=False, and {source.text} was not "
            "given to watch()."
        )
        return Told("not_watched", line, why + hidden(case), _watch(case))
    why = f"{source.text} is a variable with trainable=False, which tapes do not watch."
    trainable = Repair(line, remedies.variable, (), (("name", source.text),))
    repairs = (trainable,) if together([trainable]) is not None else _watch(case)
    return Told("not_watched", line, why + hidden(case), repairs)


def _unwatched_tensor(case: Case) -> Told:
    source = case.source
    line = _made(case)
    made = [op for op in case.trace.operations if source.key in op.outputs]
    same = {
        b.tensor for b in case.trace.bindings if b.name == source.text and b.tensor != source.key
    }
    before = [t for t in same if t in case.tape.watched]
    variables = [key for key, reads in case.trace.variables.items() if same & set(reads)]
    each = Repair(line, remedies.assign, (), (("name", source.text),))
    listed = "[" in source.text and together([each]) is not None  # w of [w - g for w, g in …]
    whole = _variable_s_name(case)
    if whole is not None:
        why = (
            f"{source.text} is a copy of the value of the variable {whole}, a tensor of its own: "
            f"the tape watches {whole}. Ask for the derivative by that."
        )
        instead = _source_instead(case, whole)
        return Told("not_watched", line or case.call, why + hidden(case), instead)
    repairs: tuple[Repair, ...] = ()
    if (variables or listed) and line is not None:
        why = (
            f"at line {line.number} the name {source.text} was bound to a new tensor: it no longer "
            "holds the variable, and tapes watch variables by themselves, tensors only if told to."
        )
        repairs = (each, *_siblings(case, line)) if together([each]) is not None else ()
    elif before and line is not None:
        why = (
            f"{source.text} was made anew at line {line.number}, after the tape had been told to "
            f"watch another tensor of that name."
        )
    else:
        kind = "a tensor that was computed" if made else "a constant"
        why = f"{source.text} is {kind}, and tapes watch by themselves only variables."
    at = line or case.tape.block or case.call
    return Told("not_watched", at, why + hidden(case), repairs or _watch(case))


def _siblings(case: Case, line: Line) -> tuple[Repair, ...]:
    """Other variables that are replaced by tensors beside this line: to mend one alone would only
    shift the complaint to the next."""
    variables = {*case.trace.variables, *_reads(case)}
    held = {b.name for b in case.trace.bindings if b.tensor in variables}
    found = []
    for number in codes.suite_lines(line.file, line.number):
        name = codes.assigned_name(line.file, number)
        one = Line(number, codes.line_text(line.file, number), line.file)
        repair = Repair(one, remedies.assign, (), (("name", name),))
        if number != line.number and name in held and together([repair]) is not None:
            found.append(repair)
    return tuple(found)


def _variable_s_name(case: Case) -> str | None:
    """The name of the variable whose value the source is, if it is one as it was read."""
    if case.source.key not in _reads(case):
        return None
    names = [b.name for b in case.trace.bindings if b.tensor == case.source.key]
    return next((name for name in names if name != case.source.text), None)


def _watch(case: Case) -> tuple[Repair, ...]:
    """tape.watch(x) under the block's header; where that cannot be, a variable in its place."""
    block, text, line = case.tape.block, case.source.text, _made(case)
    here = block is not None and line is not None and line.file == block.file
    if here and codes.is_inside(block.file, line.number, block.number):  # type: ignore[union-attr]
        number = block.number  # type: ignore[union-attr]
        return (Repair(line, remedies.watched_after, (number,), (("name", text),)),)
    node = codes.expression(text)
    if isinstance(node, ast.Subscript) and isinstance(node.value, (ast.Name, ast.Attribute)):
        text = ast.unparse(node.value)  # all members of a list or dict
    if block is not None and _is_there(text):
        watched = Repair(block, remedies.watch, (), (("name", text),))
        if together([watched]) is not None:
            return (watched,)
    return (Repair(line, remedies.variable, (), (("name", text),)),) if line is not None else ()


def _is_there(text: str) -> bool:
    """Whether an expression only looks up what is there: x, self.x, inputs[0]."""
    node = codes.expression(text)
    plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.expr_context)
    return node is not None and all(isinstance(part, plain) for part in ast.walk(node))


def nothing_asked(call: Line, method: str, sources: str) -> Diagnosis:
    """The list of sources was empty, as a layer's variables are before it is built."""
    file = Source(call.file)
    made = codes.last_assignment(call.file, sources, call.number)
    message = (
        f"{sources} was an empty list: a layer has no variables before it is built, and a list "
        "taken then stays empty. List them after the first call."
    )
    if made is None:
        return finding("not_watched", call, message, None)
    value = file.text(made.value)
    line = Line(made.lineno, codes.line_text(call.file, made.lineno), call.file)
    fix = remedies.other_source(file, call.number, method, sources, value)
    return finding("not_watched", line, message, fix)


def in_its_place(case: Case) -> Diagnosis | None:
    """The target depends on what the source was made from, or on its namesake."""
    key, text = case.source.key, case.source.text
    if case.source.is_variable:
        return _namesake(case)
    above = case.graph.ancestors(case.target)
    common = (case.graph.ancestors(key) - {key}) & above
    producer = next((op for op in case.trace.operations if key in op.outputs), None)
    if producer is None or not common:
        return _namesake(case)
    line = _made(case) or producer.line or case.call
    earlier = _rebound(case, common)
    if earlier is not None:
        return earlier
    parts = {k: v for k, v in _named(case).items() if k in common}
    origin = next(iter(parts.values()), "what it was made from")
    message = (
        f"{text} is a new tensor, made from {origin} by {producer.kind}; {case.target_text} "
        f"was computed from {origin}, not from it. Ask for the derivative by {origin}."
    )
    repairs = _source_instead(case, origin)
    seen = {k for k in common if k in case.tape.watched or k in _reads(case)}
    if not any(parts.get(k) == origin for k in seen):
        watch = Repair(case.tape.block, remedies.watch, (), (("name", origin),))
        repairs = (*repairs, watch) if repairs else ()
    return finding("not_watched", line, message, together(repairs))


def _rebound(case: Case, common: set[int]) -> Diagnosis | None:
    """The tensor that the tape follows had the source's name, until that was bound anew."""
    text = case.source.text
    bound = [b for b in case.trace.bindings if b.name == text]
    followed = {b.tensor for b in bound if b.tensor in case.tape.watched} & common
    after = [b for b in bound if followed and b.tensor not in followed and b.line is not None]
    after = [b for b in after if b.at > min(o.at for o in bound if o.tensor in followed)]
    if not after or not text.isidentifier():
        return None
    line, before = after[0].line, f"{text}_before"
    assert line is not None
    message = (
        f"at line {line.number} the name {text} was bound to a new tensor: the one that the tape "
        f"watches is the {text} from before. Keep it under a name of its own, and ask for that."
    )
    kept = Repair(line, remedies.kept_before, (), (("name", text), ("new", before)))
    return finding("not_watched", line, message, together([kept, *_source_instead(case, before)]))


def _reads(case: Case) -> set[int]:
    """What was read of any variable."""
    return {key for reads in case.trace.variables.values() for key in reads}


def _namesake(case: Case) -> Diagnosis | None:
    key, text = case.source.key, case.source.text
    own = {key, *case.source.reads}
    same = {b.tensor for b in case.trace.bindings if b.name == text} - own
    above = case.graph.ancestors(case.target)
    if not same & above:
        return None
    line = _made(case) or case.call
    message = (
        f"the name {text} holds another tensor by now than when {case.target_text} was computed "
        "from it. Keep the first one under a name of its own, and ask for that."
    )
    before = f"{text}_before"
    kept = Repair(line, remedies.kept_before, (), (("name", text), ("new", before)))
    repairs = (kept, *_source_instead(case, before)) if text.isidentifier() else ()
    return finding("not_watched", line, message, together(repairs))


def _named(case: Case) -> dict[int, str]:
    return {b.tensor: b.name for b in case.trace.bindings if not b.name.startswith("_")}


def _source_instead(case: Case, origin: str) -> tuple[Repair, ...]:
    """Ask for another source."""
    if case.call is None or not origin.replace(".", "_").isidentifier():
        return ()
    named = (("method", case.method), ("old", case.source.text), ("new", origin))
    return (Repair(case.call, remedies.other_source, (), named),)

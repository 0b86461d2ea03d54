"""Every row of `lifting` and `whole` against TensorFlow, at shapes of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rule_examples import E, Example, i, n
from tensor_check import lift, problems
from tensor_examples import ALL, spd

from tapemagic import rules
from tapemagic.tensors import lifting, whole
from tapemagic.tensors.nodes import Function, postorder
from tapemagic.tensors.operand import NotLiftable

SINGULAR = ("left_singular_vectors", "right_singular_vectors")

# Integers, and what depends on values: no whole-tensor form, and none is missed.
NONE = {
    *(
        "All Any ArgMax ArgMin Shape ShapeN Size Rank Range LinSpace Where InvertPermutation"
    ).split(),
    *("BroadcastGradientArgs OneHot").split(),
}


def _label(example: Example) -> str:
    return example.kind


@pytest.mark.parametrize("example", [e for e in ALL if e.kind not in NONE], ids=_label)
def test_row(example: Example) -> None:
    if example.kind in PARTLY:
        try:
            made = lift(example)
        except NotLiftable:
            return
    else:
        made = lift(example)
    assert problems(made) == []


# Some of their examples have no whole-tensor form: empty groups, paddings that vary.
PARTLY = {
    *("SegmentProd SegmentMax SegmentMin PadV2").split(),
    *("MatrixDiagV2 MatrixDiagV3 MatrixDiagPartV2 MatrixDiagPartV3").split(),
}


def _liftable() -> set[str]:
    found = set()
    for example in ALL:
        try:
            lift(example)
        except NotLiftable:
            continue
        found.add(example.kind)
    return found


def test_every_row_has_an_example() -> None:
    assert set(lifting.ROWS) - _liftable() <= SAME
    elementwise = {kind for kind, row in rules.ROWS.items() if row.elementwise}
    assert elementwise <= _liftable()
    assert len(elementwise | set(lifting.ROWS)) >= 250


# Other names of an op that has examples; they cannot be called by themselves.
SAME = {
    *("ResourceGather ResourceGatherNd FusedBatchNorm FusedBatchNormV2").split(),
    *("FusedBatchNormGrad FusedBatchNormGradV2").split(),
}


def test_the_other_names_share_a_row() -> None:
    for kind in SAME - {"ResourceGather"}:
        twin = {"ResourceGatherNd": "GatherNd"}.get(kind, kind.rstrip("V2") + "V3")
        assert lifting.ROWS[kind] is lifting.ROWS[twin]


def _functions() -> set[str]:
    found = set()
    for example in ALL:
        try:
            nodes = [node for node in lift(example).nodes if node is not None]
        except NotLiftable:
            continue
        found |= {node.function for node in postorder(nodes) if isinstance(node, Function)}
    return found


def test_every_function_has_an_example() -> None:
    # These stand in derivatives only, which the examples of their functions check; "logdet" is
    # what is recognised of others.
    inner = {"eigenvectors", *SINGULAR, "L_exp", "prod_of_others", "logdet"}
    assert set(whole.FUNCTIONS) - inner == _functions()


def _flipped(node: Any) -> Any:
    from tapemagic.formula import number
    from tapemagic.tensors.algebra import scaled

    return None if node is None else scaled(node, number(-1))


PLANTED = {
    "inverse": E("MatrixInverse", (spd(3, 3),)),
    "det": E("MatrixDeterminant", (spd(3, 3),)),
    "expm": E("expm", (n(3, 3),)),
    "pinv": E("pinv", (n(4, 2),)),
    "logabsdet": E("LogMatrixDeterminant", (spd(3, 3),)),
    "cholesky": E("Cholesky", (spd(3, 3),)),
    "eigenvalues": E("SelfAdjointEigV2", (spd(3, 3),), {"compute_v": False}),
    "singular_values": E("Svd", (n(3, 2),), {"compute_uv": True, "full_matrices": False}),
    "softmax": E("Softmax", (n(2, 3),)),
    "log_softmax": E("LogSoftmax", (n(2, 3),)),
    "logsumexp": E("CumulativeLogsumexp", (n(3), i(0))),
    "cross_entropy": E("SparseSoftmaxCrossEntropyWithLogits", (n(2, 3), i(2, 0))),
    "max": E("Max", (n(2, 3), i(1))),
    "min": E("Min", (n(2, 3), i(1))),
    "prod": E("Prod", (n(2, 3), i(1))),
    "prod_with_zero": E("Prod", (np.array([0.0, 2.0, 3.0]), i(0))),
}


def test_every_pullback_is_planted() -> None:
    silent = {"eigenvectors", *SINGULAR, "L_exp", "prod_of_others", "topk", "first_largest"}
    assert whole.row("logdet").pullback is whole.row("logabsdet").pullback
    assert set(PLANTED) == set(whole.FUNCTIONS) - silent - {"logdet"}


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_pullback_is_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    example, row = PLANTED[name], whole.FUNCTIONS[name]
    if example.kind == "CumulativeLogsumexp":
        example = replace(example, inputs=(example.inputs[0], np.array(0, np.int32)))
    assert problems(lift(example)) == []
    wrong = replace(row, pullback=lambda *a: [_flipped(part) for part in row.pullback(*a)])
    monkeypatch.setitem(whole.FUNCTIONS, name, wrong)
    assert problems(lift(example))


def test_the_list_tells_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    from tapemagic.rules.__main__ import main

    main()
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:] if line.endswith(("yes", "—"))}
    assert rows["MatMul"].endswith("yes") and "product" in rows["MatMul"]
    assert rows["Conv2D"].endswith("yes") and " — " in rows["Conv2D"]
    assert rows["ArgMax"].endswith("—")
    assert sum(line.endswith("yes") for line in rows.values()) >= 250
    assert "Qr" in lines[-1].split() and "MatMul" not in lines[-1].split()

"""Examples for whole tensors beside those of single entries: odd shapes, axes of one entry,
strides, paddings, groups, ties; one or more for each row of `lifting` and `whole`."""

from __future__ import annotations

from typing import Any

import numpy as np
from rule_examples import EXAMPLES, E, Example, b, i, k, n, r

_WINDOW = {"strides": [1, 2, 1, 1], "padding": "SAME"}


def spd(*shape: int) -> Any:
    """Symmetric positive definite matrices."""
    a = n(*shape)
    return a @ np.swapaxes(a, -1, -2) + 3 * np.eye(shape[-1])


def ids(*shape: int, below: int) -> Any:
    """Integers from 0."""
    return np.random.default_rng(2).integers(0, below, shape).astype(np.int32)


def pads(*rows: tuple[int, int]) -> Any:
    return np.array(rows, dtype=np.int32)


def bad(*values: float) -> Any:
    """Values with ties."""
    return np.array(values, dtype=np.float64)


PRODUCTS = [
    *(
        E("MatMul", (n(*one), n(*other)), options)
        for one, other, options in (
            ((1, 3), (3, 2), {}),
            ((3, 1), (1, 2), {}),
            ((2, 3), (3, 1), {}),
            ((1, 3), (3, 1), {}),
            ((1, 1), (1, 1), {}),
            ((3, 1), (3, 2), {"transpose_a": True}),
            ((1, 3), (2, 3), {"transpose_b": True}),
        )
    ),
    E("BatchMatMulV2", (n(2, 1, 2, 3), n(4, 3, 2))),
    E("BatchMatMulV2", (n(1, 2, 3), n(5, 3, 1))),
    E("BatchMatMulV2", (n(2, 3), n(2, 3, 2)), {"adj_x": False}),
    *(
        E("Einsum", ([n(*s) for s in shapes],), {"equation": equation})
        for equation, *shapes in (
            ("bqd,bkd->bqk", (2, 1, 3), (2, 4, 3)),
            ("bhqd,bhkd->bhqk", (2, 2, 3, 2), (2, 2, 4, 2)),
            ("ij->i", (2, 3)),
            ("ij->", (2, 3)),
            ("i,i->i", (3,), (3,)),
            ("ij,ij->ij", (2, 1), (2, 1)),
            ("...ij,...jk->...ik", (2, 1, 3, 2), (4, 2, 2)),
            ("a...,b...->ab...", (2, 3), (4, 3)),
            ("ii->", (3, 3)),
            ("iij->j", (2, 2, 3)),
        )
    ),
    E("BiasAdd", (n(2, 1), n(1))),
    E("BiasAdd", (n(1, 2, 3, 4), n(4))),
    E("BiasAddGrad", (n(2, 3, 1, 2),)),
    E("L2Loss", (n(1, 1),)),
    E("Select", (b(1, 0), n(2, 1, 3), n(2, 1, 3))),
    E("SelectV2", (np.array([[True], [False]]), n(2, 3), n(1, 3))),
    E("AddV2", (n(2, 1, 3), n(4, 1))),
    E("Mul", (n(1, 3), n(3, 1))),
    E("SquaredDifference", (n(2, 1), n(1, 3))),
    E("Maximum", (n(3), n())),
    E("Sum", (n(2, 1, 3), i(-1, 1))),
    E("Sum", (n(2, 3), i())),
    E("Mean", (n(1, 3), k(0))),
    E("Mean", (n(2, 3, 4), i(0, -1)), {"keep_dims": True}),
    E("EuclideanNorm", (n(1, 3), i(0, 1))),
    E("Max", (bad(1.0, 3.0, 3.0, 2.0), k(0))),
    E("Max", (n(2, 1, 3), k(1))),
    E("Min", (n(2, 3, 2), i(0, 2))),
    E("Prod", (n(2, 3), i(0, 1))),
    E("Prod", (bad(0.0, 2.0, 3.0), k(0))),
    E("Prod", (bad(0.0, 2.0, 0.0), k(0))),
    E("Prod", (np.array([[0.0, 2.0, 3.0], [1.0, 2.0, 4.0]]), k(1))),
    # The tape gives 0 for an entry that is 0.
    E("Cumprod", (np.array([[0.5, 2.0], [0.0, 3.0]]), k(0)), {"reverse": True}, tape=False),
    E("Cumprod", (n(3, 1), k(1)), {"exclusive": True}),
    E("Cumsum", (n(1, 3), k(0)), {"exclusive": True}),
    E("Cumsum", (n(2, 1, 4), k(-1)), {"exclusive": True, "reverse": True}),
    *(
        E("CumulativeLogsumexp", (n(2, 3), k(1)), {"exclusive": exclusive, "reverse": reverse})
        for exclusive, reverse in ((False, False), (False, True))
    ),
    E("Softmax", (n(3, 1),)),
    E("Softmax", (n(3),)),
    E("LogSoftmax", (n(1, 4),)),
    E("LogSoftmax", (n(2, 1),)),
    E("SoftmaxCrossEntropyWithLogits", (n(3, 4), r(1, 4)), wrt=(0,)),
    E("SoftmaxCrossEntropyWithLogits", (n(1, 3), np.array([[0.2, 0.3, 0.5]])), wrt=(0,)),
    E("SparseSoftmaxCrossEntropyWithLogits", (n(1, 3), i(2))),
    E("SparseSoftmaxCrossEntropyWithLogits", (n(4, 3), i(2, 0, 2, 1))),
]

_SYMMETRIC = spd(3, 3)
MATRICES = [
    E("MatrixInverse", (spd(2, 3, 3),), {"adjoint": True}),
    E("MatrixInverse", (n(2, 1, 1),)),
    *(E("expm", (scale * n(*s),)) for s in ((3, 3), (2, 1, 2, 2), (2, 1, 1)) for scale in (1, 9)),
    *(E("pinv", (n(*s),)) for s in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (3, 1), (2, 1, 3))),
    E("MatrixDeterminant", (n(3, 1, 1),)),
    E("MatrixDeterminant", (n(3, 3),)),
    E("LogMatrixDeterminant", (spd(2, 3, 3),)),
    E("LogMatrixDeterminant", (n(1, 1),)),
    E("Cholesky", (spd(3, 3),)),
    E("Cholesky", (spd(2, 3, 3),)),
    E("Cholesky", (r(1, 1),)),
    E("MatrixSolve", (spd(3, 3), n(3, 1))),
    E("MatrixSolve", (spd(2, 3, 3), n(2, 3, 2)), {"adjoint": True}),
    E("MatrixSolve", (r(1, 1), n(1, 2))),
    E("MatrixTriangularSolve", (spd(3, 3), n(3, 2)), {"lower": False, "adjoint": True}),
    E("MatrixTriangularSolve", (spd(2, 3, 3), n(2, 3, 1))),
    E("MatrixTriangularSolve", (r(1, 1), n(1, 2))),
    *(
        E("MatrixSolveLs", (n(*a), n(a[0], 2), np.array(0.3)), {"fast": True}, wrt=(0, 1))
        for a in ((4, 2), (2, 3), (3, 3), (3, 1))
    ),
    E("TridiagonalSolve", (n(3, 4) + np.array([[0.0], [6.0], [0.0]]), n(4, 2))),
    E("TridiagonalMatMul", (n(1, 4), n(1, 4), n(1, 4), n(4, 2))),
    E("TridiagonalMatMul", (n(2, 1, 3), n(2, 1, 3), n(2, 1, 3), n(2, 3, 1)), tape=False),
    E("SelfAdjointEigV2", (_SYMMETRIC,), {"compute_v": False}),
    E("SelfAdjointEigV2", (_SYMMETRIC + np.triu(n(3, 3), 1),)),
    E("SelfAdjointEigV2", (spd(2, 2, 2),), {"compute_v": False}),
    E("SelfAdjointEigV2", (n(1, 1),), {"compute_v": False}),
    *(
        E("Svd", (n(*shape),), {"compute_uv": uv, "full_matrices": False})
        for shape, uv in (((3, 2), True), ((2, 3), True), ((3, 3), True), ((2, 3, 2), True))
    ),
    E("Svd", (n(3, 1),), {"compute_uv": True, "full_matrices": False}),
    E("Cross", (n(2, 1, 3), n(2, 1, 3))),
    E("Cross", (n(3), n(3))),
]

PARTS = [
    E("Reshape", (n(2, 3), i(3, 2))),
    E("Reshape", (n(2, 3), i(6))),
    E("Reshape", (n(1, 6), i(2, 1, 3))),
    E("Squeeze", (n(1, 3, 1),)),
    E("Transpose", (n(2, 1, 3, 4), i(3, 1, 0, 2))),
    E("BroadcastTo", (n(), i(2, 3))),
    E("BroadcastTo", (n(3, 1), i(2, 3, 4))),
    E("Fill", (i(2, 1, 3), n())),
    E("IdentityN", ([n(2, 1), n()],)),
    E("Slice", (n(3, 1, 4), i(1, 0, 3), i(2, 1, 1))),
    E("StridedSlice", (n(5, 3), i(4, 0), i(0, 3), i(-2, 1)), {"end_mask": 1, "begin_mask": 3}),
    E("StridedSlice", (n(1, 3), i(0), i(1), i(1)), {"shrink_axis_mask": 1}),
    E("StridedSlice", (n(3), i(0), i(0), i(1)), {"new_axis_mask": 1}),
    E("StridedSliceGrad", (i(3, 4), i(0, 1), i(2, 4), i(1, 2), n(2, 2))),
    E(
        "StridedSliceGrad",
        (i(3, 4), i(-1, 0), i(0, 0), i(1, -1), n(4)),
        {"shrink_axis_mask": 1, "begin_mask": 2, "end_mask": 2},
    ),
    E("StridedSliceGrad", (i(1, 3), i(0, 1), i(1, 2), i(1, 1), n(1, 1))),
    E("TensorStridedSliceUpdate", (n(4, 3), i(1, 0), i(3, 3), i(1, 2), n(2, 2))),
    E("TensorStridedSliceUpdate", (n(4), i(2), i(3), i(1), n()), {"shrink_axis_mask": 1}),
    *(E(kind, (n(3, 2), np.array([[2, 0], [1, 1]], np.int32))) for kind in ("Gather",)),
    E("GatherV2", (n(1, 2), i(0, 0, 0), k(0))),
    E("GatherV2", (n(2, 3, 4), i(1), k(-1))),
    E("GatherV2", (n(2, 3, 4), ids(2, 5, below=4), k(2)), {"batch_dims": 1}),
    E("GatherV2", (n(2, 3, 4), ids(2, 3, below=4), k(2)), {"batch_dims": 2}),
    E("GatherNd", (n(3, 2, 2), ids(4, 2, below=2))),
    E("GatherNd", (n(3, 2), np.array([[[0, 1]], [[2, 0]]], np.int32))),
    E("GatherNd", (n(3, 1), np.array([[1, 0]], np.int32))),
    E("ScatterNd", (np.array([[0, 1], [1, 0], [0, 1]], np.int32), n(3, 2), i(2, 2, 2))),
    E("ScatterNd", (np.array([[2]], np.int32), n(1, 3), i(4, 3))),
    E("ScatterNdNonAliasingAdd", (n(4), np.array([[1], [1]], np.int32), n(2))),
    E("TensorScatterUpdate", (n(3, 2), np.array([[2, 0], [0, 1]], np.int32), n(2))),
    E("TensorScatterUpdate", (n(3, 2), np.array([[1]], np.int32), n(1, 2))),
    E("TensorScatterAdd", (n(3, 2), np.array([[2], [2]], np.int32), n(2, 2))),
    E("DynamicStitch", ([i(1), i(0, 2)], [n(1, 2), n(2, 2)])),
    E("DynamicPartition", (n(4, 2), i(0, 1, 0, 0)), {"num_partitions": 2}),
    E("DynamicPartition", (n(3), i(0, 1, 0)), {"num_partitions": 3}),
    E("ReverseSequence", (n(3, 4, 2), i(2, 4, 1)), {"seq_dim": 1, "batch_dim": 0}),
    E("ConcatV2", ([n(1, 3), n(1, 3), n(2, 3)], k(0))),
    E("Concat", (k(-1), [n(2, 1), n(2, 1)])),
    E("Pack", ([n(3, 1), n(3, 1)],), {"axis": -1}),
    E("Unpack", (n(1, 3),), {"num": 1, "axis": 0}),
    E("Split", (k(-1), n(1, 4)), {"num_split": 4}),
    E("SplitV", (n(5, 2), i(2, 1, 2), k(0)), {"num_split": 3}),
    E("Pad", (n(1, 3), pads((1, 0), (0, 2)))),
    E("PadV2", (n(2, 2), pads((1, 0), (0, 1)), np.array(1.5)), wrt=(0,)),
    E("PadV2", (n(2), pads((0, 0)), np.array(1.5)), wrt=(0,)),
    E("MirrorPad", (n(3, 2), pads((1, 2), (0, 0))), {"mode": "REFLECT"}),
    *(
        E("MirrorPadGrad", (n(5, 4), pads((1, 1), (0, 1))), {"mode": mode})
        for mode in ("REFLECT", "SYMMETRIC")
    ),
    E("Tile", (n(1, 3), i(2, 2))),
    E("Tile", (n(), i())),
    E("Reverse", (n(2, 1, 3), b(1, 1, 0))),
    E("ReverseV2", (n(2, 1, 3), i(1, -1))),
    E("Roll", (n(4), i(-1), i(0))),
    E("Roll", (n(4, 1), i(1, 1, 2), i(0, -2, 1))),
    E("DepthToSpace", (n(1, 2, 3, 8),), {"block_size": 2}),
    E("SpaceToDepth", (n(2, 4, 2, 3),), {"block_size": 2}),
    E("SpaceToBatchND", (n(1, 3, 4, 2), i(2, 2), pads((1, 0), (0, 0)))),
    E("SpaceToBatchND", (n(2, 5), i(3), pads((0, 1)))),
    E("BatchToSpaceND", (n(4, 2, 3, 1), i(2, 2), pads((0, 1), (1, 0)))),
    E("TopKV2", (n(5), k(1))),
    E("TopKV2", (bad(1.0, 2.0, 2.0, 0.5), k(3))),
    E("TopKV2", (n(3, 1), k(1))),
    E("Diag", (n(3),)),
    E("DiagPart", (n(3, 3),)),
    E("MatrixDiag", (n(2, 1),)),
    E("MatrixDiagPart", (n(2, 3),)),
    E("MatrixSetDiag", (n(2, 3, 2), n(2, 2))),
    *(
        E(f"MatrixDiag{v}", (x, diagonals, k(-1), k(-1), np.array(0.0)), options, wrt=(0,))
        for v, x, diagonals, options in (
            ("V3", n(3), k(0), {}),
            ("V3", n(2, 3), k(1), {}),
            ("V3", n(2), k(-2), {}),
            ("V3", n(2, 3), i(0, 1), {}),
            ("V3", n(3, 2), i(-1, 1), {}),
            ("V3", n(3, 2), i(-1, 1), {"align": "LEFT_RIGHT"}),
            ("V3", n(2, 3, 3), i(-1, 1), {"align": "RIGHT_RIGHT"}),
            ("V2", n(3), k(-1), {}),
        )
    ),
    *(
        E(f"MatrixDiagPart{v}", (x, diagonals, np.array(0.0)), options, wrt=(0,))
        for v, x, diagonals, options in (
            ("V3", n(3, 3), k(0), {}),
            ("V3", n(2, 3), k(1), {}),
            ("V3", n(4, 2, 3), i(-1, 1), {}),
            ("V3", n(3, 4), i(-1, 2), {"align": "LEFT_LEFT"}),
            ("V3", n(2, 3), k(2), {}),
            ("V2", n(3, 2), k(-1), {}),
        )
    ),
    E("MatrixSetDiagV3", (n(2, 3, 3), n(2, 3), k(0))),
    E("MatrixBandPart", (n(2, 3, 4), k(1), k(1))),
    E("MatrixBandPart", (n(2, 3), k(-1), k(-1))),
    E("MatrixBandPart", (n(1, 3), k(0), k(1))),
]

GROUPS = [
    *(
        E(f"Segment{fold}", (n(5, 2), i(0, 0, 1, 2, 2)))
        for fold in ("Sum", "Mean", "Prod", "Max", "Min")
    ),
    *(
        E(f"UnsortedSegment{fold}", (n(4, 1), i(2, 0, 2, 1), k(3)))
        for fold in ("Sum", "Prod", "Max", "Min")
    ),
    E("SegmentMax", (bad(1.0, 1.0, 3.0, 2.0), i(0, 0, 1, 1))),
    E("UnsortedSegmentSum", (n(4, 2), i(0, -1, 0, 0), k(1))),
    *(
        E(f"SparseSegment{fold}", (n(4, 2), i(3, 0, 3), i(0, 0, 1)))
        for fold in ("Sum", "Mean", "SqrtN")
    ),
    *(
        E(f"SparseSegment{fold}WithNumSegments", (n(4, 2), i(3, 0, 3), i(0, 0, 1), k(3)))
        for fold in ("Sum", "Mean", "SqrtN")
    ),
    *(
        E(
            "SparseTensorDenseMatMul",
            (np.array([[0, 1], [1, 0], [1, 2]], np.int64), n(3), np.array([2, 3], np.int64), right),
            options,
        )
        for right, options in (
            (n(3, 2), {}),
            (n(2, 2), {"adjoint_a": True}),
            (n(1, 3), {"adjoint_b": True}),
        )
    ),
]

_CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 5, 4, 2), (3, 2, 2, 3), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    ((1, 5, 4, 1), (3, 3, 1, 1), {"strides": [1, 2, 2, 1], "padding": "SAME"}),
    ((2, 1, 6, 2), (1, 3, 2, 2), {"strides": [1, 1, 2, 1], "padding": "SAME"}),
    (
        (1, 6, 6, 2),
        (2, 2, 2, 1),
        {"strides": [1, 1, 1, 1], "padding": "VALID", "dilations": [1, 2, 2, 1]},
    ),
    (
        (1, 4, 4, 2),
        (3, 3, 2, 2),
        {
            "strides": [1, 1, 1, 1],
            "padding": "EXPLICIT",
            "explicit_paddings": [0, 0, 2, 1, 0, 1, 0, 0],
        },
    ),
    ((2, 3, 3, 2), (1, 1, 2, 4), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    ((2, 3, 3, 2), (3, 3, 2, 4), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
]
_POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 4, 4, 2), {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}),
    ((1, 5, 4, 1), {"ksize": [1, 3, 2, 1], "strides": [1, 2, 1, 1], "padding": "SAME"}),
    ((1, 5, 1, 2), {"ksize": [1, 2, 1, 1], "strides": [1, 1, 1, 1], "padding": "VALID"}),
    ((1, 3, 3, 2), {"ksize": [1, 3, 3, 1], "strides": [1, 1, 1, 1], "padding": "VALID"}),
    ((2, 3, 3, 2), {"ksize": [1, 1, 1, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}),
]
_IMAGE = n(2, 4, 5, 2)
WINDOWS = [
    *(
        E("Conv2D", (n(*image), n(*kernel)), options, tape="dilations" not in options)
        for image, kernel, options in _CONVOLUTIONS
    ),
    # TensorFlow has no gradient of dilated or grouped convolutions on a CPU.
    E(
        "Conv2D",
        (n(1, 4, 4, 4), n(3, 3, 2, 6)),
        {"strides": [1, 1, 1, 1], "padding": "SAME"},
        tape=False,
    ),
    E(
        "Conv3D",
        (n(1, 3, 4, 3, 2), n(2, 2, 2, 2, 1)),
        {"strides": [1, 1, 2, 1, 1], "padding": "SAME"},
    ),
    *(
        E(
            "DepthwiseConv2dNative",
            (n(*image), n(*kernel)),
            {"strides": [1, 1, 1, 1], "padding": padding},
        )
        for image, kernel, padding in (
            ((2, 4, 5, 3), (3, 2, 3, 1), "SAME"),
            ((1, 4, 4, 2), (2, 2, 2, 3), "VALID"),
            ((1, 4, 4, 1), (2, 2, 1, 2), "VALID"),
        )
    ),
    E(
        "Conv2DBackpropInput",
        (i(2, 5, 4, 2), n(3, 2, 2, 3), n(2, 3, 4, 3)),
        _WINDOW | {"strides": [1, 2, 1, 1]},
    ),
    E(
        "Conv2DBackpropInput",
        (i(1, 6, 6, 1), n(2, 2, 1, 2), n(1, 3, 3, 2)),
        {"strides": [1, 2, 2, 1], "padding": "VALID"},
    ),
    E("Conv2DBackpropFilter", (n(2, 5, 4, 2), i(3, 2, 2, 3), n(2, 3, 4, 3)), _WINDOW),
    E(
        "Conv3DBackpropInputV2",
        (i(1, 3, 4, 3, 2), n(2, 2, 2, 2, 1), n(1, 2, 3, 2, 1)),
        {"strides": [1, 1, 1, 1, 1], "padding": "VALID"},
    ),
    E(
        "Conv3DBackpropFilterV2",
        (n(1, 3, 4, 3, 2), i(2, 2, 2, 2, 1), n(1, 2, 3, 2, 1)),
        {"strides": [1, 1, 1, 1, 1], "padding": "VALID"},
    ),
    E(
        "DepthwiseConv2dNativeBackpropInput",
        (i(1, 4, 4, 2), n(2, 2, 2, 2), n(1, 3, 3, 4)),
        {"strides": [1, 1, 1, 1], "padding": "VALID"},
    ),
    E(
        "DepthwiseConv2dNativeBackpropFilter",
        (n(1, 4, 4, 2), i(2, 2, 2, 2), n(1, 3, 3, 4)),
        {"strides": [1, 1, 1, 1], "padding": "VALID"},
    ),
    *(
        E(kind, (n(*image),), options)
        for kind in ("AvgPool", "MaxPool")
        for image, options in _POOLS
    ),
    E("MaxPool", (np.zeros((1, 4, 4, 1)),), _POOLS[0][1]),
    E(
        "MaxPool",
        (np.round(n(1, 6, 6, 2)),),
        {"ksize": [1, 3, 3, 1], "strides": [1, 1, 1, 1], "padding": "SAME"},
    ),
    E("MaxPoolV2", (_IMAGE, i(1, 2, 2, 1), i(1, 2, 2, 1)), {"padding": "SAME"}),
    *(
        E(
            f"{kind}Pool3D",
            (n(1, 3, 4, 3, 2).astype(np.float32),),
            {"ksize": [1, 2, 2, 2, 1], "strides": [1, 1, 2, 1, 1], "padding": "SAME"},
            tolerance=1e-6,
        )
        for kind in ("Avg", "Max")
    ),
    E(
        "AvgPoolGrad",
        (i(1, 5, 4, 1), n(1, 3, 4, 1)),
        {"ksize": [1, 3, 2, 1], "strides": [1, 2, 1, 1], "padding": "SAME"},
    ),
    E(
        "AvgPool3DGrad",
        (i(1, 3, 4, 3, 2), n(1, 2, 3, 2, 2).astype(np.float32)),
        {"ksize": [1, 2, 2, 2, 1], "strides": [1, 1, 1, 1, 1], "padding": "VALID"},
        tape=False,
        tolerance=1e-5,
    ),
    E(
        "Dilation2D",
        (n(1, 4, 4, 2), n(2, 2, 2)),
        {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"},
    ),
    *(
        E(
            "ExtractImagePatches",
            (n(1, 5, 4, 2),),
            {
                "ksizes": [1, 3, 2, 1],
                "strides": [1, 2, 1, 1],
                "rates": [1, 1, 1, 1],
                "padding": padding,
            },
        )
        for padding in ("SAME", "VALID")
    ),
    E(
        "ExtractVolumePatches",
        (n(1, 3, 3, 3, 2),),
        {"ksizes": [1, 2, 2, 1, 1], "strides": [1, 1, 1, 1, 1], "padding": "VALID"},
    ),
    *(
        E(
            kind,
            (n(1, 3, 4, 2), i(5, 3)),
            {"align_corners": corners, "half_pixel_centers": half},
            tolerance=1e-5,
        )
        for kind in ("ResizeBilinear", "ResizeNearestNeighbor")
        for corners, half in ((False, False), (True, False), (False, True))
    ),
    E(
        "LRN",
        (n(1, 2, 2, 5).astype(np.float32),),
        {"depth_radius": 1, "alpha": 0.5, "beta": 0.75},
        tolerance=1e-4,
    ),
]


def pooled(kind: str, image: Any, options: dict[str, Any]) -> Example:
    """The way back of max pooling needs what the pooling gave."""
    import tensorflow as tf

    pool = tf.raw_ops.MaxPool3D if image.ndim == 5 else tf.raw_ops.MaxPool
    out = pool(input=tf.constant(image), **options).numpy()
    given = n(*(image.shape if kind.endswith("GradGrad") else out.shape)).astype(image.dtype)
    if kind.endswith("V2"):
        size, strides = i(*options["ksize"]), i(*options["strides"])
        return E(
            kind, (image, out, given, size, strides), {"padding": options["padding"]}, wrt=(2,)
        )
    return E(kind, (image, out, given), options, wrt=(2,), tolerance=1e-6)


_SMALL = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
_CUBES = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 1, 1, 1, 1], "padding": "VALID"}
BACK = [
    *(
        pooled(kind, np.round(n(1, 5, 4, 2)), _SMALL)
        for kind in ("MaxPoolGrad", "MaxPoolGradGrad", "MaxPoolGradV2")
    ),
    *(
        pooled(kind, n(1, 3, 3, 3, 1).astype(np.float32), _CUBES)
        for kind in ("MaxPool3DGrad", "MaxPool3DGradGrad")
    ),
]


def normed(shape: tuple[int, ...], **options: Any) -> Example:
    channels = shape[1] if options.get("data_format") == "NCHW" else shape[-1]
    kind = options.pop("kind", "FusedBatchNormV3")
    narrow = [n(channels).astype(np.float32) for _ in range(2)]
    running = [
        np.zeros(0 if options["is_training"] else channels, np.float32),
        np.abs(n(0 if options["is_training"] else channels)).astype(np.float32),
    ]
    wrt = (0, 1, 2)
    x = n(*shape).astype(np.float32)
    if "Grad" in kind:
        import tensorflow as tf

        forward = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=narrow[0], offset=narrow[1], mean=running[0], variance=running[1], **options
        )
        kept = [forward.reserve_space_1.numpy(), forward.reserve_space_2.numpy()]
        kept = kept if options["is_training"] else running
        inputs = [
            n(*shape).astype(np.float32),
            x,
            narrow[0],
            *kept,
            forward.reserve_space_3.numpy(),
        ]
        return E(kind, tuple(inputs), options, wrt=wrt, tape=False, tolerance=1e-4)
    return E(kind, (x, *narrow, *running), options, wrt=wrt, tolerance=1e-4)


NORMALISED = [
    normed((2, 3, 2, 3), is_training=True, epsilon=0.001),
    normed((4, 1, 1, 2), is_training=True, epsilon=0.01),
    normed((2, 3, 2, 1), is_training=True, epsilon=0.001),
    normed((2, 3, 2, 3), is_training=False, epsilon=0.001),
    normed((2, 3, 2, 3), kind="FusedBatchNormGradV3", is_training=True, epsilon=0.001),
    normed((2, 3, 2, 3), kind="FusedBatchNormGradV3", is_training=False, epsilon=0.001),
]

TENSORS = [*PRODUCTS, *MATRICES, *PARTS, *GROUPS, *WINDOWS, *BACK, *NORMALISED]
ALL = [*EXAMPLES, *TENSORS]

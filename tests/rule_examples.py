"""One example or more for each row of the rules; test_rules.py runs over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

_rng = np.random.default_rng(7)


@dataclass(frozen=True)
class Example:
    """An op at a point. `wrt`: which inputs to differentiate by (default: all floats).

    Where the tape has no gradient, or by design another one than calculus, say so.
    """

    kind: str
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    wrt: tuple[int, ...] | None = None
    tape: bool = True
    differences: bool = True
    symbolic: bool = True
    tolerance: float = 1e-9


def r(*shape: int, low: float = 0.2, high: float = 0.9) -> Any:
    """Random numbers in an open interval."""
    return _rng.uniform(low, high, shape)


def n(*shape: int) -> Any:
    """Random numbers of both signs, none close to a kink at 0."""
    return _rng.uniform(0.2, 1.9, shape) * _rng.choice([-1.0, 1.0], shape)


def i(*values: int) -> Any:
    """Integers."""
    return np.array(values, dtype=np.int32)


def b(*values: int) -> Any:
    """Truth values."""
    return np.array(values, dtype=bool)


def k(value: Any) -> Any:
    """A single integer."""
    return np.array(value, dtype=np.int32)


E = Example
_SIGNED = (
    "Sin Cos Tan Sinh Cosh Tanh Asinh Atan Exp Expm1 Neg Square Abs Sign Sigmoid Softplus Softsign"
    " Relu Relu6 Elu Selu LeakyRelu Erf Erfc Reciprocal Inv Identity CheckNumerics"
    " CheckNumericsV2 OnesLike ZerosLike Dawsn FresnelCos FresnelSin BesselI0 BesselI0e"
    " BesselI1 BesselI1e BesselJ0 BesselJ1"
).split()
_POSITIVE = (
    "Log Log1p Sqrt Rsqrt Asin Acos Atanh Erfinv Ndtri Lgamma Digamma Expint Spence"
    " BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1"
).split()
_FLAT = "Floor Ceil Round Rint".split()
_OPTIONS: dict[str, dict[str, Any]] = {
    "CheckNumerics": {"message": "bad"},
    "CheckNumericsV2": {"message": "bad"},
    "LeakyRelu": {"alpha": 0.3},
}
_COMPARISONS = "Greater GreaterEqual Less LessEqual Equal NotEqual".split()
_BINARY = "Add AddV2 Sub Mul MulNoNan Div RealDiv DivNoNan SquaredDifference Maximum Minimum Atan2"

ELEMENTWISE = [
    *(E(kind, (n(2, 3),), _OPTIONS.get(kind, {})) for kind in _SIGNED),
    *(E(kind, (r(4),), _OPTIONS.get(kind, {})) for kind in _POSITIVE),
    *(E(kind, (n(3),)) for kind in _FLAT),
    *(E(kind, (n(2, 3), n(3))) for kind in _BINARY.split()),
    *(E(kind, (n(3), n(3)), tape=False) for kind in _COMPARISONS),
    *(E(kind, (r(3), r(2, 3))) for kind in ("Pow", "Xlogy", "Xlog1py", "Xdivy")),
    *(E(kind, (b(0, 0, 1, 1), b(0, 1, 0, 1)), tape=False) for kind in ("LogicalAnd", "LogicalOr")),
    E("Pow", (n(2, 3), np.array([2.0, 3.0, -1.0])), wrt=(0,)),
    E("Pow", (-r(3), np.array([2.0, 3.0, -1.0])), differences=False),
    E("LogicalNot", (b(0, 1),), tape=False),
    *(E(kind, (n(3),), tape=False) for kind in ("IsFinite", "IsInf", "IsNan")),
    E("AddN", ([n(3), n(3), n(3)],)),
    E("Acosh", (r(3, low=1.2, high=3.0),)),
    E("Softplus", (np.array([-800.0, 800.0]),), differences=False),
    E("Sigmoid", (np.array([-800.0, 800.0]),), differences=False),
    E("Snapshot", (n(3),), tape=False),
    E("StopGradient", (n(3),), differences=False),
    E("PreventGradient", (n(3),), {"message": "no"}, tape=False),
    E("EnsureShape", (n(3),), {"shape": (3,)}),
    E("PlaceholderWithDefault", (n(3),), {"shape": (3,)}, tape=False),
    E("ClipByValue", (n(5), k(-1) * 0.7, k(1) * 0.6)),
    E("SelectV2", (b(0, 1, 1), n(2, 3), n(3))),
    E("Select", (b(0, 1), n(2, 3), n(2, 3))),
    E("Select", (b(0, 1, 0), n(3), n(3))),
    E("Cast", (n(3),), {"DstT": np.float32}, tolerance=1e-6, tape=False),
    E("Cast", (n(3) * 3,), {"DstT": np.int32}, tape=False),
    E("Cast", (n(3) * 3,), {"DstT": np.bool_}, tape=False),
    E("Cast", (b(0, 1),), {"DstT": np.float64}),
    E("Cast", (i(3, 4),), {"DstT": np.float64}),
    E("FloorDiv", (n(3) * 5, r(3))),
    E("FloorDiv", (i(7, -7, 8), i(2, 2, -3))),
    E("FloorMod", (n(3) * 5, r(3))),
    E("Polygamma", (np.array([1.0, 2.0, 3.0]), r(3)), wrt=(1,)),
    E("Igamma", (r(2, low=1, high=3), r(2)), tolerance=1e-6),
    E("Igammac", (r(2, low=1, high=3), r(2)), tolerance=1e-6),
    E("IgammaGradA", (r(2, low=1, high=3), r(2)), tape=False, differences=False, tolerance=1e-6),
    E("Betainc", (r(2), r(2), r(2)), wrt=(2,)),
    E("Zeta", (r(2, low=2, high=4), r(2)), wrt=(1,)),
    E("ReciprocalGrad", (n(3), n(3))),
    E("InvGrad", (n(3), n(3))),
    E("SqrtGrad", (r(3), n(3))),
    E("RsqrtGrad", (r(3), n(3))),
    E("SigmoidGrad", (r(3), n(3))),
    E("TanhGrad", (r(3), n(3))),
    E("SoftplusGrad", (n(3), n(3))),
    E("SoftsignGrad", (n(3), n(3)), tape=False),
    E("ReluGrad", (n(4), n(4))),
    E("Relu6Grad", (n(4), n(4) * 4)),
    E("LeakyReluGrad", (n(4), n(4)), {"alpha": 0.3}),
    E("EluGrad", (n(4), n(4))),
    E("SeluGrad", (n(4), n(4))),
]

_REDUCTIONS = "Sum Mean Prod Max Min EuclideanNorm".split()
REDUCTIONS = [
    *(E(kind, (n(2, 3), i(1))) for kind in _REDUCTIONS),
    *(E(kind, (n(2, 3), k(0)), {"keep_dims": True}) for kind in _REDUCTIONS),
    *(E(kind, (n(2, 1, 3), i(0, -1))) for kind in _REDUCTIONS),
    E("All", (b(0, 1, 1), i(0)), tape=False),
    E("Any", (b(0, 1, 1), i(0)), tape=False),
    *(
        E(kind, (n(2, 3), k(axis)), {"exclusive": exclusive, "reverse": reverse})
        for kind in ("Cumsum", "Cumprod")
        for axis, exclusive, reverse in ((0, False, False), (1, True, False), (-1, True, True))
    ),
    E("L2Loss", (n(2, 3),)),
    E(
        "AvgPool",
        (n(1, 4, 5, 2),),
        {"ksize": [1, 2, 3, 1], "strides": [1, 2, 2, 1], "padding": "SAME"},
    ),
    E(
        "AvgPool",
        (n(2, 3, 4, 1),),
        {"ksize": [1, 2, 2, 1], "strides": [1, 1, 2, 1], "padding": "VALID"},
    ),
    E(
        "AvgPool3D",
        (n(1, 2, 3, 2, 1).astype(np.float32),),
        {"ksize": [1, 2, 2, 2, 1], "strides": [1, 1, 1, 1, 1], "padding": "SAME"},
        tolerance=1e-6,
    ),
    E("BiasAddGrad", (n(2, 3),)),
    E("BiasAddGrad", (n(2, 3, 2),), {"data_format": "NCHW"}, tape=False),
    E("Softmax", (n(2, 3),)),
    E("LogSoftmax", (n(2, 3),)),
    # The tape forgets that the second output depends on the labels.
    E("SoftmaxCrossEntropyWithLogits", (n(2, 2), np.array([[0.3, 0.7], [0.0, 1.0]])), wrt=(0,)),
    E("SparseSoftmaxCrossEntropyWithLogits", (n(2, 3), i(2, 0))),
    E("ArgMax", (n(2, 3), k(1)), symbolic=False),
    E("ArgMin", (n(2, 3), k(0)), symbolic=False),
    *(
        E(f"Segment{fold}", (n(4, 2), i(0, 0, 1, 3)))
        for fold in ("Sum", "Mean", "Prod", "Max", "Min")
    ),
    *(
        E(f"UnsortedSegment{fold}", (n(4, 2), i(2, 0, 2, 1), k(3)))
        for fold in ("Sum", "Prod", "Max", "Min")
    ),
    E("UnsortedSegmentSum", (n(2, 2, 2), np.array([[0, 1], [-1, 0]], np.int32), k(3))),
]

_SYMMETRIC = np.array([[2.0, 0.3], [0.3, 1.0]])
LINEAR = [
    E("MatMul", (n(2, 3), n(3, 2))),
    E("MatMul", (n(3, 2), n(2, 3)), {"transpose_a": True, "transpose_b": True}),
    E("BatchMatMul", (n(2, 2, 3), n(2, 2, 3)), {"adj_y": True}),
    E("BatchMatMulV2", (n(2, 2, 3), n(3, 1))),
    E("BatchMatMulV3", (n(2, 3, 2), n(1, 3, 1)), {"Tout": np.float64, "adj_x": True}, tape=False),
    *(
        E("Einsum", ([n(*s) for s in shapes],), {"equation": equation})
        for equation, *shapes in (
            ("ij,jk->ik", (2, 3), (3, 2)),
            ("i,i->", (3,), (3,)),
            ("...i,ij->...j", (2, 2, 3), (3, 2)),
            ("bij,bjk->bik", (2, 1, 3), (2, 3, 1)),
            ("ii->i", (3, 3)),
            ("ij->ji", (2, 3)),
            ("i,j->ij", (2,), (3,)),
        )
    ),
    E("Cross", (n(2, 3), n(2, 3))),
    *(E("MatrixDeterminant", (n(*shape),)) for shape in ((1, 1), (2, 2), (2, 3, 3))),
    E("LogMatrixDeterminant", (n(2, 2),)),
    *(E("MatrixInverse", (n(*s, s[-1]),)) for s in ((1,), (2,), (2, 3))),
    E("MatrixInverse", (n(2, 2),), {"adjoint": True}),
    E("MatrixSolve", (n(2, 2), n(2, 1))),
    E("MatrixSolve", (n(2, 2), n(2, 1)), {"adjoint": True}),
    E("MatrixTriangularSolve", (n(2, 2), n(2, 1))),
    E("MatrixTriangularSolve", (n(2, 2), n(2, 1)), {"lower": False}),
    E("MatrixTriangularSolve", (n(2, 2), n(2, 1)), {"adjoint": True}),
    # The tape's slopes are those of a symmetric matrix: no formula of single entries has them.
    E("Cholesky", (_SYMMETRIC,), symbolic=False),
]

STRUCTURAL = [
    E("Reshape", (n(2, 3), i(3, -1))),
    E("ExpandDims", (n(2, 3), k(-1))),
    E("Squeeze", (n(1, 2, 1),)),
    E("Squeeze", (n(1, 2, 1),), {"axis": [2]}),
    E("Transpose", (n(2, 3, 1), i(2, 0, 1))),
    E("ConjugateTranspose", (n(2, 3), i(1, 0))),
    E("Pack", ([n(2), n(2)],), {"axis": 1}),
    E("Pack", ([n(), n()],)),
    E("Unpack", (n(2, 3),), {"num": 3, "axis": 1}),
    E("ConcatV2", ([n(2, 1), n(2, 2)], k(1))),
    E("Concat", (k(0), [n(1), n(2)])),
    E("Split", (k(1), n(2, 4)), {"num_split": 2}),
    E("SplitV", (n(4), i(1, -1), k(0)), {"num_split": 2}),
    E("Tile", (n(2, 1), i(2, 3))),
    E("BroadcastTo", (n(2, 1), i(2, 2, 3))),
    E("Fill", (i(2, 2), n())),
    E("Pad", (n(2), np.array([[1, 2]], np.int32))),
    E("PadV2", (n(2), np.array([[1, 2]], np.int32), n()), differences=False),
    E("PadV2", (n(2), np.array([[1, 2]], np.int32), n()), wrt=(0,)),
    E("MirrorPad", (n(3), np.array([[1, 2]], np.int32)), {"mode": "REFLECT"}),
    E("MirrorPad", (n(3), np.array([[1, 2]], np.int32)), {"mode": "SYMMETRIC"}),
    E("Reverse", (n(2, 3), b(0, 1))),
    E("ReverseV2", (n(2, 3), i(1))),
    E("Roll", (n(2, 3), i(1, -1), i(0, 1))),
    E("Diag", (n(2, 2),)),
    E("DiagPart", (n(2, 2, 2, 2),)),
    E("BiasAdd", (n(2, 3), n(3))),
    E("BiasAdd", (n(2, 3, 2), n(3)), {"data_format": "NCHW"}, tape=False),
    E("BiasAddV1", (n(2, 3), n(3))),
    E("IdentityN", ([n(2), n(3)],)),
    E("Shape", (n(2, 3),)),
    E("ShapeN", ([n(2, 3), n(1)],)),
    E("Size", (n(2, 3),)),
    E("Rank", (n(2, 3),)),
    E("Range", (k(1), k(7), k(2))),
    E("Range", (np.array(0.0), np.array(1.0), np.array(0.3)), symbolic=False, tape=False),
    E("LinSpace", (n(), n(), k(4)), differences=False),
    E("Where", (b(0, 1, 1),)),
    E("InvertPermutation", (i(2, 0, 1),)),
    *(
        E("BroadcastGradientArgs", (i(*one), i(*other)), tape=False)
        for one, other in (((2, 3), (3,)), ((), (2,)), ((1, 3), (2, 1)), ((1, 2), (1, 2)),
                           ((1, 2), (1,)), ((1,), ()), ((2, 1, 1), (1, 1, 3)))
    ),
]  # fmt: skip

_BANDS = (
    (n(3), k(1), {}),
    (n(2, 3), i(0, 1), {}),
    (n(3, 2), i(-1, 1), {}),
    (n(3, 2), i(-1, 1), {"align": "LEFT_RIGHT"}),
)
INDEXING = [
    *(
        E("StridedSlice", (n(3, 4), i(*begin), i(*end), i(*step)), masks)
        for begin, end, step, masks in (
            ((0, 1), (2, 4), (1, 2), {}),
            ((2, 0), (3, 0), (1, 1), {"shrink_axis_mask": 1, "end_mask": 2}),
            ((0, -1), (0, 0), (1, 1), {"ellipsis_mask": 1, "shrink_axis_mask": 2}),
            (
                (0, 0, 0),
                (0, 0, 0),
                (1, 1, -1),
                {"begin_mask": 5, "end_mask": 5, "new_axis_mask": 2},
            ),
            ((1, 2), (2, 3), (1, 1), {"shrink_axis_mask": 3}),
            ((-2,), (3,), (1,), {}),
        )
    ),
    E("StridedSliceGrad", (i(3), i(0), i(3), i(2), n(2))),
    E("StridedSliceGrad", (i(3), i(1), i(2), i(1), n()), {"shrink_axis_mask": 1}),
    E("Slice", (n(3, 4), i(1, 0), i(2, -1))),
    E("Gather", (n(3, 2), i(2, 0, 2))),
    E("GatherV2", (n(2, 3), i(2, 0, 2), k(1))),
    E("GatherV2", (n(2, 3), np.array([[2, 0], [1, 1]], np.int32), k(1)), {"batch_dims": 1}),
    E("GatherV2", (n(3), k(1), k(0))),
    E("GatherNd", (n(3, 2), np.array([[0, 1], [2, 0]], np.int32))),
    E("GatherNd", (n(3, 2), np.array([[0], [2]], np.int32))),
    E("OneHot", (i(1, 0, 3), k(3), n(), n()), differences=False),
    E("OneHot", (i(1, 0), k(3), n(), n()), {"axis": 0}, differences=False),
    E("ScatterNd", (np.array([[1], [3], [1]], np.int32), n(3), i(4))),
    E("TensorScatterUpdate", (n(4), np.array([[1], [3]], np.int32), n(2))),
    E("TensorScatterAdd", (n(4), np.array([[1], [1]], np.int32), n(2))),
    E("TensorScatterSub", (n(2, 2), np.array([[1], [1]], np.int32), n(2, 2))),
    E("DynamicStitch", ([i(0, 2), i(1)], [n(2, 2), n(1, 2)])),
    E("ParallelDynamicStitch", ([i(0, 2), i(1)], [n(2, 2), n(1, 2)])),
    E("TopKV2", (n(2, 4), k(2)), symbolic=False),
    E("MatrixDiag", (n(2, 2),)),
    E("MatrixDiagPart", (n(2, 2, 2),)),
    E("MatrixSetDiag", (n(2, 3), n(2))),
    *(
        E("MatrixDiagV3", (x, diagonals, k(-1), k(-1), n()), options, wrt=(0,))
        for x, diagonals, options in _BANDS
    ),
    *(
        E("MatrixDiagPartV3", (n(2, 3), diagonals, n()), options, wrt=(0,))
        for _, diagonals, options in _BANDS
    ),
    # The gradients of V2 align bands as V3 does: right for one diagonal only.
    *(
        E("MatrixDiagV2", (x, band, k(-1), k(-1), n()), wrt=(0,), tape=band.ndim == 0)
        for x, band, _ in _BANDS
    ),
    *(
        E("MatrixDiagPartV2", (n(2, 3), band, n()), wrt=(0,), tape=band.ndim == 0)
        for _, band, _ in _BANDS
    ),
    E("MatrixDiagV3", (n(3), k(1), k(-1), k(-1), n()), differences=False),
    E("MatrixSetDiagV2", (n(3, 3), n(2, 3), i(0, 1)), tape=False),
    E("MatrixSetDiagV2", (n(3, 3), n(2), k(1))),
    E("MatrixSetDiagV3", (n(3, 3), n(3, 3), i(-1, 1))),
    E("MatrixBandPart", (n(3, 3), k(1), k(0))),
    E("MatrixBandPart", (n(3, 3), k(-1), k(0))),
]

EXAMPLES = [*ELEMENTWISE, *REDUCTIONS, *LINEAR, *STRUCTURAL, *INDEXING]

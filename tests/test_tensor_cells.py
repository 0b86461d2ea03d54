"""Cells of tensors in a real shell: the tape's value always, a closed form that evaluates to it
in nine of ten derivatives and more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from cells import Shell, open_shell
from tensor_cells import TensorCell, cells

from tapemagic.document import BigSum, Bracketed, Subscripted, Tensor, Words
from tapemagic.formula import Call, Formula, Name, Product, Symbol
from tapemagic.tensors.index_form import IndexWriter
from tapemagic.tensors.lettering import Lettering

CELLS = list(cells())


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with open_shell() as shell:
        yield shell


def by_hand(cell: TensorCell) -> list[Any]:
    """What a tape says without us."""
    names: dict[str, Any] = {"tf": tf, "np": np}
    exec(cell.setup, names)
    wrt, *options = cell.line.split(" -")
    sources = [names[name.strip()] for name in wrt.split(",")]
    with tf.GradientTape(persistent=True) as outer, tf.GradientTape(persistent=True) as tape:
        for source in sources:
            outer.watch(source)
            tape.watch(source)
        exec(cell.body, names)
        target = names[cell.target]
        slopes = tape.gradient(target, sources)
    if options == ["J"]:
        return [tape.jacobian(target, source) for source in sources]
    if options == ["-hessian"]:
        return [outer.jacobian(slope, source) for slope, source in zip(slopes, sources)]
    return list(slopes)


def dense(value: Any) -> Any:
    return None if value is None else tf.convert_to_tensor(value).numpy().astype(np.float64)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(shell: Shell, cell: TensorCell) -> None:
    shell.clean()
    shell.run(cell.setup).raise_error()
    shell.run(cell.cell).raise_error()
    truths = by_hand(cell)
    derivatives = list(shell.names["res"].values())[-len(truths) :]
    assert "✓ checked" in repr(shell.names["res"])
    for derivative, truth in zip(derivatives, truths, strict=True):
        value, wanted = dense(derivative.value), dense(truth)
        assert np.array_equal(value, wanted) or np.allclose(value, wanted, 1e-5, 1e-6)
        assert derivative.check.agrees is True, (derivative.key, derivative.check)
        closed = derivative.expression is not None or (
            derivative.tensor is not None and derivative.tensor.closed is not None
        )
        if closed:
            mine = np.asarray(derivative.evaluate()).reshape(wanted.shape)
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0)))
            assert np.allclose(mine, wanted, 2e-4, 2e-5 * scale), derivative.key
        assert closed or "chain" in cell.flags, (derivative.key, derivative.reasons)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_index_is_bound_once(shell: Shell, cell: TensorCell) -> None:
    shell.clean()
    shell.run(cell.setup).raise_error()
    shell.run(cell.cell).raise_error()
    for derivative in shell.names["res"].values():
        form = derivative.tensor
        if form is None:
            continue
        every = [*form.definitions.given, *(d.leaf for d in form.definitions.definitions)]
        taken = [leaf.name.text for leaf in every]
        nodes = [d.node for d in form.definitions.definitions if not d.opaque]
        writer = IndexWriter(Lettering(taken, nodes), taken, Tensor(form.definitions.target.name))
        for node in [*nodes, *([form.closed] if form.closed is not None else [])]:
            at = writer.letters(node.rank)
            Scopes(taken).walk(writer.entry(node, at), frozenset(at))


SIGNS = {Words(sign) for sign in ("max", "min", "argmax", "Π")}


class Scopes:
    """Walks an entry: an index is one of the left side, or under one sign that goes over it."""

    def __init__(self, taken: list[str]) -> None:
        self.taken = set(taken)

    def walk(self, node: Formula, bound: frozenset[Formula]) -> None:
        if isinstance(node, Symbol):
            assert node in bound or node.name.text in {*self.taken, "·"}, node
        elif isinstance(node, Product):
            inside = bound  # of the sign before: max over k, Π over k ≤ i
            for factor in node.factors:
                if isinstance(factor, Subscripted) and factor.operand in SIGNS:
                    inside = bound | self.opened(factor.below, bound)
                else:
                    self.walk(factor, inside)
                    inside = bound
        elif isinstance(node, BigSum):
            self.walk(node.operand, bound | self.opened(node.letters, bound))
        elif isinstance(node, Subscripted) and isinstance(node.operand, Bracketed):
            self.walk(node.operand, bound | self.opened(node.below, bound))
        else:
            if isinstance(node, Subscripted) and node.operand == Tensor(Name("delta")):
                assert node.below[0] != node.below[1]
            for child in node.children:
                self.walk(child, bound)

    def opened(self, below: Sequence[Formula], bound: frozenset[Formula]) -> frozenset[Formula]:
        """The letters that a sign goes over; each stands first in what is said of it."""
        firsts = [part.children[0] if isinstance(part, Call) else part for part in below]
        places = [p for first in firsts for p in (first.children or (first,))]
        own = frozenset(p for p in places if isinstance(p, Symbol) and p.name.text != "·")
        assert not own & bound, own & bound
        for part in below:
            self.walk(part, bound | own)
        return own


def test_nearly_all_have_a_closed_form() -> None:
    assert sum("chain" in cell.flags for cell in CELLS) <= 0.1 * len(CELLS)


# ---- how they read ------------------------------------------------------------------------------

READ = {
    "an identity is no number": (
        "x = tf.constant([1., 2., 2.])", "%%grad x -J", "u = x/tf.norm(x)", "(1/‖x‖)I − "),
    "twice the identity": (
        "x = tf.constant([1., 2.])", "%%grad x --hessian", "s = tf.reduce_sum(x**2)", "2I"),
    "a window that does not overlap keeps its places apart": (
        "x = tf.random.normal((1, 4, 4, 2))", "%%grad x --notation index",
        "L = tf.reduce_sum(tf.nn.avg_pool2d(x, 2, 2, 'VALID')**2)", "δ_{j, 2"),
    "padding and window in one": (
        "x = tf.random.normal((2, 5, 2)); k = tf.random.normal((2, 2, 3))",
        "%%grad x --notation index",
        "h = tf.nn.conv1d(tf.pad(x, [[0, 0], [1, 0], [0, 0]]), k, 1, 'VALID')",
        "x_{i, j + n − 2, m}"),
    "what comes strictly before": (
        "g = tf.random.uniform((5,))", "%%grad g --notation matrix",
        "L = tf.reduce_sum(tf.cumsum(g, exclusive=True)**2)", "ones below the diagonal"),
    "Levi-Civita's symbol": (
        "a, b = tf.random.normal((4, 3)), tf.random.normal((4, 3))", "%%grad a --notation index",
        "L = tf.reduce_sum(tf.linalg.cross(a, b)**2)", "ε"),
    "an identity that the cell makes": (
        "W = tf.random.normal((4, 3))", "%%grad W --notation matrix",
        "L = tf.reduce_sum((tf.transpose(W) @ W - tf.eye(3))**2)", "‖WᵀW − I‖²"),
    "shares less weights": (
        "lp = tf.random.normal((6, 3)); z = tf.random.normal((3,))", "%%grad z --notation index",
        "L = tf.reduce_sum(tf.reduce_logsumexp(tf.nn.log_softmax(z) + lp, axis=1))",
        " − 6[softmax(z"),
    "one entry of the batch": (
        "Z = tf.random.normal((3, 4))", "%%grad Z --batch-jacobian",
        "P = tf.nn.softmax(Z)", "[softmax(Z_{i·})]ₖ δⱼₖ − "),
    "a matrix of numbers": (
        "t = tf.constant(0.6); p = tf.constant([1., 2.])", "%%grad t --notation matrix",
        "R = tf.stack([[tf.cos(t), -tf.sin(t)], [tf.sin(t), tf.cos(t)]])\n"
        "L = tf.reduce_sum(tf.linalg.matvec(R, p)**3)",
        r"\begin{bmatrix} \cos(t) & -\sin(t) \\ \sin(t) & \cos(t) \end{bmatrix}"),
    "its derivative": (
        "t = tf.constant(0.6)", "%%grad t -J --notation matrix",
        "R = tf.convert_to_tensor([[tf.cos(t), -tf.sin(t)], [tf.sin(t), tf.cos(t)]])",
        r"= \begin{bmatrix} -\sin(t) & -\cos(t) \\ \cos(t) & -\sin(t) \end{bmatrix}"),
    "rows that numbers and constants make": (
        "t = tf.constant(0.6); P = tf.random.normal((3, 3))", "%%grad t --notation matrix",
        "T = tf.stack([tf.stack([t, t**2, 1.]), tf.constant([0., 0., 1.]), tf.stack([t, 0., t])])\n"
        "L = tf.reduce_sum((P @ T)**2)",
        r"\begin{bmatrix} t & t^{2} & 1 \\ 0 & 0 & 1 \\ t & 0 & t \end{bmatrix}"),
    "a vector of numbers": (
        "x = tf.constant(1.3); w = tf.constant([1., -2., .5])", "%%grad x --notation matrix",
        "phi = tf.stack([1.0, x, x**2])\ny = tf.tensordot(w, phi, 1)", "2w₃x + w₂"),
    "a sum with a vector": (
        "a = tf.constant(1.3); e = tf.constant([1., -2.])", "%%grad a --notation matrix",
        "L = tf.norm(tf.stack([a, a*a]) - e)**2",
        r"\begin{bmatrix} a \\ a^{2} \end{bmatrix} - e"),
    "a letter that is taken": (
        "e = tf.random.normal((20,))", "%%grad e --notation matrix",
        "L = e[3]**3", "b₄ is the unit vector"),
    "blocks": (
        "x, z = tf.random.normal((4, 2)), tf.random.normal((4, 3)); W = tf.random.normal((5, 2))",
        "%%grad x, W --notation matrix", "L = tf.reduce_sum(tf.nn.relu(tf.concat([x, z], 1) @ W))",
        "[x  z] W"),
    "an entry of a product": (
        "S = tf.constant([[2., .1], [.3, 1.]]); x = tf.constant([1., 2.])",
        "%%grad x --notation matrix", "L = tf.linalg.matvec(tf.linalg.inv(S), x)[0]**2",
        "(S⁻¹x)₁"),
    "rows in a loop": (
        "X = tf.random.normal((4, 3)); w = tf.random.normal((3,))", "%%grad w --notation matrix",
        "y = tf.map_fn(lambda r: tf.tanh(tf.tensordot(r, w, 1)), X)\nL = tf.reduce_sum(y**2)",
        "y = tanh(Xw)"),
    "rows in a loop, each by its norm": (
        "X = tf.random.normal((3, 2))", "%%grad X --notation matrix",
        "y = tf.stack([X[i]/tf.norm(X[i]) for i in range(3)])\nL = tf.reduce_sum(y**3)",
        "y = diag((X^(∘2) 𝟏)^(∘−1/2)) X"),
    "a row times a column": (
        "h = tf.constant([[1., .5]]); x = tf.constant([[1.], [2.]])", "%%grad x --notation matrix",
        "L = tf.reduce_sum((h @ x)**3)", "hx"),
    "heads": (
        "x, W = tf.random.normal((3, 4)), tf.random.normal((4, 4))", "%%grad W --notation index",
        "q = tf.transpose(tf.reshape(x @ W, (3, 2, 2)), (1, 0, 2))\nL = tf.reduce_sum(q**3)",
        "qᵢⱼₖ = Σₗ xⱼₗ W_{l, 2i + k − 2}"),
    "heads side by side": (
        "v = tf.random.normal((2, 3, 2)); G = tf.random.normal((3, 4))",
        "%%grad v --notation index",
        "o = tf.reshape(tf.transpose(v, (1, 0, 2)), (3, 4))\nL = tf.reduce_sum(G*o**3)",
        "oᵢⱼ = v_{⌈j/2⌉, i, (j − 1) mod 2 + 1}"),
    "tensordot": (
        "A, B = tf.random.normal((2, 3, 4)), tf.random.normal((4, 3, 2))",
        "%%grad A --notation index",
        "C = tf.tensordot(A, B, axes=[[1, 2], [1, 0]])\nL = tf.reduce_sum(C**2)",
        "Cᵢⱼ = Σ_{k, l} Aᵢₖₗ Bₗₖⱼ"),
    "tensordot with a batch": (
        "X, W = tf.random.normal((2, 3, 4)), tf.random.normal((4, 5))",
        "%%grad W --notation index", "L = tf.reduce_mean(tf.tanh(tf.tensordot(X, W, 1)))",
        "tanh²(Σₘ Xₖₗₘ Wₘⱼ)"),
    "means under windows, entry by entry": (
        "x = tf.random.normal((1, 4, 4, 1))", "%%grad x --notation components",
        "L = tf.reduce_sum(tf.nn.avg_pool2d(x, 2, 2, 'VALID')**2)",
        "(x₁₁₁₁ + x₁₁₂₁ + x₁₂₁₁ + x₁₂₂₁)/8"),
    "a Gaussian process": (
        "D, y = tf.abs(tf.random.normal((4, 4))), tf.random.normal((4, 1))\nD = D + tf.transpose(D)"
        "\nc, s = tf.constant(.8), tf.constant(2.)", "%%grad s --notation matrix",
        "K = tf.exp(-D/c) + s*tf.eye(4)\nC = tf.linalg.cholesky(K)\n"
        "L = tf.reduce_sum(y*tf.linalg.cholesky_solve(C, y))\n"
        "L += tf.reduce_sum(2*tf.math.log(tf.linalg.diag_part(C)))",
        "= tr(K⁻ᵀ"),
    "a diagonal is no matrix": (
        "C = tf.random.normal((3, 3))", "%%grad C --notation matrix",
        "L = tf.reduce_sum(C**2) - tf.reduce_sum(tf.linalg.diag_part(C)**2)",
        "L = ‖C‖² − ‖diag(C)‖²"),
    "frames of a signal": (
        "x = tf.random.normal((16,))", "%%grad x --notation index",
        "u = tf.signal.frame(x, 8, 4)\nL = tf.reduce_sum(u**3)",
        "uᵢⱼ = x_{4(i − 1) + j}"),
    "beside a slice the derivative is 0": (
        "x = tf.random.normal((12,))", "%%grad x --notation index", "L = tf.reduce_sum(x[1:5]**3)",
        "∂L/∂xᵢ = 3Σ_{j ≤ 4} x_{j + 1}² δ_{i, j + 1}"),
    "a Fourier transform": (
        "x = tf.random.normal((8,))", "%%grad x --notation matrix",
        "F = tf.signal.rfft(x)\nL = tf.reduce_sum(tf.abs(F)**2)",
        "C₈ has the entries cos(2πkn/8), k and n from 0"),
    "a Fourier transform of a part": (
        "x = tf.random.normal((5,))", "%%grad x --notation matrix",
        "c = tf.signal.dct(x)\nL = tf.reduce_sum(c**3)", "c = u₁_re ∘ (C₁₀ x) + u₁_im ∘ (S₁₀ x)"),
    "complex powers and moduli": (
        "a, b = tf.constant(1.5), tf.constant(-.5)", "%%grad a --notation matrix",
        "w = tf.complex(a, b)**2\nL = tf.abs(w)**2", "L = w_re² + w_im²"),
    "a symmetric inverse, twice": (
        "A, b = tf.random.normal((5, 2)), tf.random.normal((5, 1)); c = tf.constant(0.1)",
        "%%grad c --notation matrix",
        "w = tf.linalg.solve(tf.transpose(A) @ A + c*tf.eye(2), tf.transpose(A) @ b)\n"
        "L = tf.reduce_sum(w)", "(AᵀA + cI)⁻² Aᵀb"),
    "numbers are not transposed": (
        "a, X = tf.constant(2.), tf.constant([[1., 2.], [3., 4.]])", "%%grad X --notation matrix",
        "M = tf.stack([a*X[0], X[1]])\nL = tf.linalg.det(M)*a", "a² det(M) e₁ᵀ M⁻ᵀ"),
    "a row's entries have two places": (
        "w, E = tf.constant([1., 2., 3.]), tf.constant([[1., 2.]])", "%%grad w --notation matrix",
        "L = tf.reduce_sum(tf.stack([w[0], w[2]])*E)", "E₁₂"),
    "a sum goes as far as its letter says": (
        "x = tf.random.normal((8,))", "%%grad x --notation index",
        "L = tf.reduce_sum(tf.abs(tf.signal.rfft(x))**3)", "Σ_{i ≤ 5} ((Σⱼ cos("),
    "a sum over a part of a reshaped axis": (
        "x = tf.random.normal((6, 4))", "%%grad x --notation index",
        "y = tf.reshape(x, (2, 3, 2, 2))\nL = tf.reduce_sum(tf.reduce_sum(y, [1, 3])**3)",
        "Σ_{k ≤ 3, l ≤ 2} x_{3 ⌈i/3⌉ + k − 3, 2 ⌈j/2⌉ + l − 2}"),
    "the diagonals beside the main one": (
        "d = tf.constant([[1., 1, 0], [4, 5, 6], [0, 1, 1]]); r = tf.ones((3, 1))",
        "%%grad r --notation matrix", "x = tf.linalg.tridiagonal_solve(d, r)\nL = tf.reduce_sum(x)",
        "(diag(dᵀ e₁) E_above + diag(dᵀ e₂) + diag(dᵀ e₃) E_below)⁻¹ r"),
    "a wave has one shape": (
        "x = tf.random.normal((6,))", "%%grad x --notation matrix",
        "y = tf.signal.irfft(2*tf.signal.rfft(x))\nL = tf.reduce_sum(y**3)",
        "y = (1/3)(C₆ᵀ(E_weights ∘ (C₆ x)) + S₆ᵀ(E_weights ∘ (S₆ x)))"),
    "no letter stands for two things": (
        "E, x = tf.constant(2.), tf.random.normal((4,))", "%%grad x --notation matrix",
        "F = tf.signal.fft(tf.cast(x, tf.complex64))\nL = E*tf.reduce_sum(tf.math.imag(F[1:3])**2)",
        "−Σ₄ᵀ · ∂L/∂F_im"),
    "all of our letters are taken": (
        "e, b, i, u, δ, e1 = tf.unstack(tf.ones(6)); x = tf.random.normal((9,))",
        "%%grad x --notation matrix", "L = tf.reduce_sum(x)*e*b*i*u*δ*e1*x[8]*tf.norm(x)", "e′₉"),
    "a Jacobian is the same in either layout": (
        "A, x = tf.random.normal((2, 3)), tf.random.normal((3,))",
        "%%grad x -J --notation matrix --layout numerator", "v = tf.linalg.matvec(A, x)",
        "∂v/∂x = A "),
    "every derivative in the layout": (
        "A, x = tf.random.normal((2, 3)), tf.random.normal((3,))",
        "%%grad x --notation matrix --layout numerator",
        "u = tf.linalg.matvec(A, x)\nv = u**3\nL = tf.reduce_sum(v**2)", "∂L/∂v = 2vᵀ"),
    "a modulus between real ends": (
        "x, y, v, w = tf.unstack(tf.random.normal((4, 20)))", "%%grad x",
        "L = tf.abs(tf.reduce_sum(tf.exp(tf.complex(y, x))*tf.complex(v, w)))",
        "∂L/∂u₂_re = u₂_re/√(u₂_re² + u₂_im²)"),
    "the states of a loop": (
        "W, U = tf.random.normal((4, 4)), tf.random.normal((3, 4)); X = tf.random.normal((6, 3))",
        "%%grad W",
        "_, h = tf.while_loop(lambda i, h: i < 6,\n"
        "    lambda i, h: (i + 1, tf.tanh(X[i:i+1] @ U + h @ W)), (0, tf.zeros((1, 4))))\n"
        "L = tf.reduce_sum(h**2)", "u₅ = tanh(e₅ᵀ XU + u₄W)"),
    "two minus signs are worked out": (
        "p = tf.constant(-2.)", "%%grad p", "u = p*3\ny = -u", "y = −u = −(−6) = 6"),
    "unit vectors in one sentence": (
        "X = tf.random.normal((5, 3))", "%%grad X --notation matrix",
        "L = tf.reduce_sum(X[0]*X[1]) + tf.reduce_sum(X[2]*X[4])**2",
        "e₁, e₂, …, e₅ are unit vectors: entry k of eₖ is 1"),
    "the exponential of a matrix": (
        "A = tf.random.normal((4, 4))", "%%grad A",
        "E = tf.linalg.expm(A)\nL = tf.linalg.trace(E)", "∂L/∂A = expm(Aᵀ)"),
    "the exponential of a matrix, in a direction": (
        "A, v = tf.random.normal((4, 4)), tf.random.normal((4,))", "%%grad A",
        "x = tf.linalg.matvec(tf.linalg.expm(A), v)\nL = tf.reduce_sum(x**2)",
        "∂L/∂A = L_exp(Aᵀ, 2 expm(A) vvᵀ)"),
    "the same twice": (
        "A = tf.random.normal((4, 4))", "%%grad A -n 2",
        "L = tf.linalg.trace(tf.linalg.expm(A))", "∂²L/∂A² = L_exp(A, 𝟏𝟏ᵀ)ᵀ"),
    "a pseudoinverse": (
        "T, y = tf.random.normal((5, 3)), tf.random.normal((5,))", "%%grad T",
        "P = tf.linalg.pinv(T)\nw = tf.linalg.matvec(P, y)\nL = tf.reduce_sum(w**2)",
        "∂L/∂T = 2(I − TP) ywᵀPPᵀ − 2PᵀwyᵀPᵀ + 2PᵀPywᵀ(I − PT)"),
    "a stable log-sum-exp over rows": (
        "a, T = tf.random.normal((3,)), tf.random.normal((3, 4))", "%%grad T --notation matrix",
        "y = tf.reduce_logsumexp(a[:, None] + 2*T, axis=0)\nL = tf.reduce_sum(y**2)",
        "y = logsumexp(u₁ᵀ)"),
    "where entries have no closed form": (
        "C, a, b, v = tf.random.uniform((3, 3)), *tf.unstack(tf.ones((3, 3)))", "%%grad C",
        "K = tf.exp(-C)\nfor _ in range(3):\n    u = a/tf.linalg.matvec(K, v)\n"
        "    v = b/tf.linalg.matvec(K, u, transpose_a=True)\n"
        "L = tf.reduce_sum(u[:, None]*K*v*C)", "∂L/∂u = −K(∂L/∂v⁽¹⁾ ∘ b ∘ (Kᵀu)^(∘−2))"),
    "which branch a choice took": (
        "e = tf.random.normal((20,))", "%%grad e",
        "L = tf.reduce_sum(tf.where(abs(e) <= 1., e**2/2, abs(e) - 0.5))",
        "∂L/∂e = [|e| ≤ 1] ∘ e + [|e| > 1] ∘ sgn(e)"),
    "the sides of a comparison": (
        "e = tf.random.normal((20,))", "%%grad e",
        "L = tf.reduce_sum(tf.maximum(e - 1, -e))", "[e − 1 ≥ −e] − [e − 1 < −e]"),
    "a number is said once": (
        "a, B = tf.constant(2.), tf.constant([[3., 1.], [0., 1.]])", "%%grad a",
        "R = tf.stack([[a, -a], [-a, a]])\nL = tf.reduce_sum(R*B)",
        "dR/da = ⎡ 1  −1⎤\n"),
    "an entry of what a layer makes": (
        "x = tf.random.normal((1, 4, 4, 1)); f = tf.keras.layers.Conv2D(2, 3, name='f')",
        "%%grad f.kernel --notation index",
        "h = f(x)\nL = tf.reduce_sum(h**2)", "hᵢⱼₖ = [f(x)]ᵢⱼₖ = "),
    "one root of the number of entries": (
        "x = tf.random.normal((8,))", "%%grad x --notation matrix",
        "L = tf.reduce_mean(x)/tf.math.reduce_std(x)", "L = (1/√8)𝟏ᵀx/‖"),
    "ones beside an identity": (
        "P = tf.random.uniform((3, 3))", "%%grad P --notation matrix",
        "A = tf.eye(3) - tf.transpose(P) + 2.\nL = tf.reduce_sum(A**3)", "A = I − Pᵀ + 2𝟏𝟏ᵀ"),
    "a letter before a name with words below": (
        "H, P_pred = tf.random.normal((2, 4)), tf.random.normal((4, 4))", "%%grad H",
        "S = H @ P_pred @ tf.transpose(H)\nL = tf.reduce_sum(S**2)", "S = H · P_pred · Hᵀ"),
    "the inverse of a symmetric matrix": (
        "A, x = tf.random.normal((5, 3)), tf.random.normal((3,))", "%%grad A, x --notation matrix",
        "L = tf.tensordot(x, tf.linalg.matvec(tf.linalg.inv(tf.transpose(A) @ A), x), 1)",
        "∂L/∂A = −2A (AᵀA)⁻¹ xxᵀ (AᵀA)⁻¹"),
    "rows in a recurrent net": (
        "x, h = tf.random.normal((1, 4)), tf.random.normal((1, 5))\n"
        "U, V = tf.random.normal((4, 5)), tf.random.normal((5, 5))", "%%grad V --notation matrix",
        "k = tf.tanh(x @ U + h @ V)\nL = tf.reduce_sum(k**2)", "k = tanh(xU + hV)"),
    "their adjoint": (
        "x, h = tf.random.normal((1, 4)), tf.random.normal((1, 5))\n"
        "U, V = tf.random.normal((4, 5)), tf.random.normal((5, 5))", "%%grad h --notation matrix",
        "k = tf.tanh(x @ U + h @ V)\nL = tf.reduce_sum(k**2)",
        "(∂L/∂k ∘ (1 − k^(∘2))) Vᵀ"),
    "fewer indices than axes": (
        "x, k = tf.random.normal((1, 5, 5, 2)), tf.random.normal((3, 3, 2, 1))", "%%grad k",
        "y = tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], 'SAME')\nL = tf.reduce_sum(y**2)",
        "an axis of one entry has no index"),
    "no fraction of fifteen digits": (
        "e = tf.random.normal((7,), dtype=tf.float64)", "%%grad e",
        "L = tf.reduce_mean((0.9 - 1)*tf.exp(e))", "= −0.01428571 e^e"),
    "a seed": (
        "v, x = tf.random.normal((20,)), tf.random.normal((20,))", "%%grad x --seed v", "y = x**3",
        "of the sum of v ∘ y: the seed v weights the entries of y"),
    "an index is not free and summed at once": (
        "X, W = tf.random.normal((3, 4)), tf.random.normal((4, 2))", "%%grad X --batch-jacobian",
        "P = tf.nn.softmax(X @ W)", "Pᵢⱼ = [softmax(Σₖ Xᵢₖ W_{k·})]ⱼ"),
    "a δ inside a sum takes its place": (
        "X, W = tf.random.normal((3, 4)), tf.random.normal((4, 2))", "%%grad X --batch-jacobian",
        "P = tf.nn.softmax(X @ W)",
        "∂Pᵢⱼ/∂Xᵢₖ = [softmax(Σₗ Xᵢₗ W_{l·})]ⱼ Wₖⱼ\n"
        "              − Σₗ [softmax(Σₘ Xᵢₘ W_{m·})]ₗ [softmax(Σₘ Xᵢₘ W_{m·})]ⱼ Wₖₗ"),
    "on the diagonal δ is 1": (
        "Z, w = tf.random.normal((3, 4)), tf.random.normal((4,))", "%%grad Z --batch-jacobian",
        "P = tf.nn.softmax(Z*w)", "∂Pᵢⱼ/∂Zᵢₖ = ([softmax(Z_{i·} w_{·})]ₖ δⱼₖ − "),
    "places have a letter": (
        "x = tf.random.normal((4, 3, 2))", "%%grad x --notation index",
        "y = tf.gather(x, [2, 0, 1, 1], axis=1)\nL = tf.reduce_sum(y**3)", "yᵢⱼₖ = x_{i, pⱼ, k}"),
    "and a legend": (
        "x = tf.random.normal((4, 3, 2))", "%%grad x --notation index",
        "y = tf.gather(x, [2, 0, 1], axis=1)\nL = tf.reduce_sum(y**3)",
        "p = (3, 1, 2), a permutation"),
    "a matrix that selects rows": (
        "E = tf.random.normal((5, 2))", "%%grad E --notation matrix",
        "y = tf.gather(E, [1, 1, 3])\nL = tf.reduce_sum(y**3)",
        "the rows of P have their 1 in the columns 2, 2, 4: a selection"),
    "the places that the code has count from 0": (
        "x, p = tf.random.normal((6,)), tf.constant([2, 0, 1, 1])", "%%grad x --notation index",
        "y = tf.gather(x, p)\nL = tf.reduce_sum(y**3)", "p counts from 0"),
    "pooling has its letters bound": (
        "x = tf.random.normal((1, 4, 4, 2))", "%%grad x",
        "y = tf.nn.max_pool2d(x, 2, 2, 'VALID')\nL = tf.reduce_sum(y**2)",
        "[(n, p) = argmax_qr (x_{2l + q − 2, 2m + r − 2, k})]"),
    "pooling over the edge": (
        "x = tf.random.normal((1, 8, 1))", "%%grad x --notation index",
        "y = tf.nn.max_pool1d(x, 2, 1, 'SAME')\nL = tf.reduce_sum(y**2)",
        "inside is 1 where there is an entry"),
    "means over groups": (
        "X = tf.random.normal((5, 2))", "%%grad X --notation matrix",
        "y = tf.math.segment_mean(X, [0, 0, 1, 1, 1])\nL = tf.reduce_sum(y**3)",
        "c is one over the number of entries that are averaged"),
    "what is stopped": (
        "x = tf.random.normal((15,))", "%%grad x", "L = tf.reduce_sum(x*tf.stop_gradient(x))",
        "sg is stop_gradient"),
    "a running product": (
        "x = 1 + tf.random.uniform((12,))", "%%grad x --notation matrix",
        "y = tf.math.cumprod(x)\nL = tf.reduce_sum(y**3)", "∂L/∂x = (𝟏_lowerᵀ(∂L/∂y ∘ y)) ⊘ x"),
    "a running product by index": (
        "X = 1 + tf.random.uniform((4, 5))", "%%grad X --notation index",
        "y = tf.math.cumprod(X, axis=0, exclusive=True)\nL = tf.reduce_sum(y**3)",
        "yᵢⱼ = Π_{k < i} (Xₖⱼ)"),
    "a sum goes on from a letter": (
        "X = 1 + tf.random.uniform((4, 5))", "%%grad X --notation index",
        "y = tf.math.cumprod(X, axis=0)\nL = tf.reduce_sum(y**3)", "Σ_{k ≥ i} ∂L/∂yₖⱼ · yₖⱼ/Xᵢⱼ"),
    "a product of all others": (
        "x = tf.constant([0.] + 11*[2.])", "%%grad x", "L = tf.reduce_prod(x)**2",
        "Π_{j ≠ i} (xⱼ)"),
    "the largest of each row": (
        "S = tf.random.normal((4, 5))", "%%grad S --notation matrix",
        "P = tf.exp(S - tf.reduce_max(S, axis=1, keepdims=True))\nL = tf.reduce_sum(P**3)",
        "P = e^(S − rowmax(S) 𝟏ᵀ)"),
    "a shape beside what is reshaped": (
        "X = tf.random.normal((4, 6))", "%%grad X --notation matrix",
        "y = tf.reshape(X, (3, 8))\nL = tf.reduce_sum(y**3)", "∂L/∂X = reshape(∂L/∂y, 4×6)"),
    "logarithms of one determinant": (
        "X = tf.random.normal((3, 3))", "%%grad X --notation matrix",
        "L = 3*tf.linalg.slogdet(X)[1] + tf.math.log(tf.abs(tf.linalg.det(X)))",
        "L = 4 ln(|det(X)|)"),
    "of one that is positive": (
        "X = tf.eye(3)", "%%grad X --notation matrix",
        "L = tf.linalg.slogdet(X)[1] + tf.linalg.logdet(X)", "L = 2 ln(det(X))"),
    "a symmetric inverse is its transpose": (
        "X = tf.random.normal((4, 3))", "%%grad X --notation matrix",
        "L = tf.linalg.slogdet(tf.transpose(X) @ X)[1]", "∂L/∂X = 2X (XᵀX)⁻¹"),
    "a symmetric inverse between two others": (
        "X, W = tf.random.normal((4, 4)), tf.random.normal((4, 3))", "%%grad W --notation matrix",
        "V = tf.linalg.inv(X @ tf.transpose(X) + tf.eye(4)) @ W\n"
        "L = tf.linalg.slogdet(tf.transpose(W) @ V)[1]",
        "∂L/∂W = 2(XXᵀ + I)⁻¹ W (Wᵀ (XXᵀ + I)⁻¹ W)⁻¹"),
    "a symmetric inverse twice": (
        "A = tf.random.normal((4, 4))", "%%grad A --notation matrix",
        "L = tf.linalg.trace(tf.linalg.inv(A + tf.transpose(A)))", "∂L/∂A = −2(A + Aᵀ)⁻²"),
    "a diagonal in a product": (
        "C, X = tf.random.normal((4, 4)), tf.random.normal((4, 5))", "%%grad X --notation matrix",
        "v = tf.linalg.diag_part(C)[None] @ X\nL = tf.reduce_sum(v**3)", "v = diag(C)ᵀ X"),
    "log-sum-exp of the columns": (
        "Z = tf.random.normal((4, 5))", "%%grad Z --notation matrix",
        "v = Z - tf.math.log(tf.reduce_sum(tf.exp(Z), 0))\nL = tf.reduce_sum(v**3)",
        "v = Z − 𝟏 logsumexp(Zᵀ)ᵀ"),
    "powers of a diagonal": (
        "C = tf.eye(4) + 1.", "%%grad C --notation matrix",
        "L = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(C)))", "diag(diag(C)^(∘−1))"),
    "forward substitution": (
        "A, b = tf.random.normal((2, 2)), tf.random.normal((2, 1))",
        "%%grad A --notation components",
        "x = tf.linalg.triangular_solve(A, b)\nL = tf.reduce_sum(x**2)",
        "(b₂₁ − A₂₁(b₁₁/A₁₁))/A₂₂"),
    "backward, of the transpose": (
        "A, b = tf.random.normal((2, 2)), tf.random.normal((2, 1))",
        "%%grad A --notation components",
        "x = tf.linalg.triangular_solve(A, b, adjoint=True)\nL = tf.reduce_sum(x**2)",
        "(b₁₁ − A₂₁(b₂₁/A₂₂))/A₁₁"),
    "no zero is subtracted": (
        "a = tf.constant(2.)", "%%grad a --notation components",
        "L = tf.linalg.det(tf.stack([[a, 0.], [3., a**2]]))", "L = aa²"),
    "a product in an exponent": (
        "X, w = tf.random.normal((4, 3)), tf.random.normal((3,))", "%%grad w --notation matrix",
        "L = tf.reduce_sum(tf.exp(tf.linalg.matvec(X, w)))", "Xᵀ e^(Xw)"),
    "powers of a number": (
        "g, r = tf.constant(.9), tf.random.normal((15,))", "%%grad g",
        "d = g**tf.range(15.)\nL = tf.reduce_sum(r*d)", "dL/dg = Σᵢ rᵢ(i − 1) g^(i − 2)"),
    "a number to the power of a vector": (
        "r = tf.random.normal((4,))", "%%grad r --notation matrix",
        "d = 2.**r\nL = tf.reduce_sum(d)", "dᵢ = 2^rᵢ"),
    "entries to powers": (
        "g, r = tf.random.uniform((4,)), tf.random.normal((4,))", "%%grad g --notation matrix",
        "L = tf.reduce_sum(r*g**r)", "r^(∘2) ∘ g^(∘(r − 1))"),
    "a range among matrices": (
        "x = tf.random.normal((15,))", "%%grad x --notation matrix",
        "L = tf.reduce_sum(x*tf.range(15.))**2", "n has the entries 0, 1, …, 14"),
    "singular vectors": (
        "M = tf.random.normal((4, 3))", "%%grad M --notation matrix",
        "L = tf.reduce_sum(tf.linalg.svd(M, compute_uv=False)**3)",
        "∂L/∂M = 3U diag(sv(M)^(∘2)) Vᵀ"),
    "singular vectors beside a U of the user's": (
        "M, U = tf.random.normal((4, 3)), tf.random.normal((4, 3))", "%%grad M --notation matrix",
        "L = tf.reduce_sum(tf.linalg.svd(U*M, compute_uv=False)**3)",
        "where  U ∘ M = P diag(sv(U ∘ M)) Vᵀ"),
    "singular vectors of a batch": (
        "M = tf.random.normal((2, 4, 3))", "%%grad M",
        "L = tf.reduce_sum(tf.linalg.svd(M, compute_uv=False)**3)",
        "Mᵢⱼₖ = Σₗ Uᵢⱼₗ [sv(M)]ᵢₗ Vᵢₖₗ"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_how_it_reads(shell: Shell, case: str) -> None:
    setup, line, body, wanted = READ[case]
    derivative = only(shell, setup, f"{line} -q -o res\n{body}")
    assert derivative.check.agrees is True
    assert wanted in repr(shell.names["res"]) + shell.names["res"].latex


def test_one_notation_for_all_sources(shell: Shell) -> None:
    shell.clean()
    shell.run(
        "S = tf.constant([[2., .3], [.3, 1.]]); mu = tf.constant([[1.], [.5]])\n"
        "x = tf.constant([[2.], [3.]])"
    ).raise_error()
    body = "d = x - mu\nm = tf.transpose(d) @ tf.linalg.inv(S) @ d"
    shell.run(f"%%grad x, mu, S -q -o res\n{body}").raise_error()
    shown = repr(shell.names["res"])
    assert shown.count("Definitions") == 1
    assert "∂m/∂x = (S⁻¹ + S⁻ᵀ)(x − μ)" in shown and "∂m/∂S = −S⁻ᵀ(x − μ)" in shown
    shell.run(f"%%grad x --hessian --notation matrix -q -o res\n{body}").raise_error()
    assert "⎡⎡" not in repr(shell.names["res"])  # of shape (2, 1, 2, 1), and told as a matrix


def test_a_range_is_a_matrix_of_numbers_in_sympy(shell: Shell) -> None:
    body = "%%grad g --notation matrix -q -o res\nL = tf.reduce_sum(g*tf.range(4.))"
    derivative = only(shell, "g = tf.random.normal((4,))", body)
    assert list(derivative.expression) == [0, 1, 2, 3]


# ---- where there is no closed form --------------------------------------------------------------

OPAQUE = {
    "Qr": ("A = tf.random.normal((4, 3), dtype=tf.float64)",
           # Both factors lead back to A: two shares meet there.
           "Q, R = tf.linalg.qr(A)\nL = tf.reduce_sum(tf.tanh(R)*tf.range(3., dtype=tf.float64))"
           " + tf.reduce_sum(tf.exp(Q))"),
    "MatrixSquareRoot": (
        "A = tf.constant([[4., 1, 0], [1, 3, 1], [0, 1, 5]], tf.float64)",
        "S = tf.linalg.sqrtm(A @ A)\nL = tf.reduce_sum(S**2)"),
    "ResizeBicubic": ("A = tf.random.normal((1, 3, 3, 1))",
                      "B = tf.image.resize(A, (5, 5), 'bicubic')\nL = tf.reduce_sum(B**2)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OPAQUE)
def test_the_derivation_goes_on_around_an_op_without_a_form(shell: Shell, kind: str) -> None:
    setup, body = OPAQUE[kind]
    derivative = only(shell, setup, f"%%grad A --notation matrix -q -o res\n{body}")
    form = derivative.tensor
    assert form is not None and form.closed is None
    assert form.definitions.opaque == (kind,)
    assert f"{kind} has no formula here" in " ".join(derivative.reasons)
    assert derivative.check.agrees is True
    tape = dense(derivative.value)
    assert np.allclose(form.followed().reshape(tape.shape), tape, 1e-4, 1e-4)
    assert {adjoint.node is None for adjoint in form.path} == {True, False}


def only(shell: Shell, setup: str, cell: str) -> Any:
    shell.clean()
    shell.run(f"tf.random.set_seed(7)\n{setup}").raise_error()
    shell.run(cell).raise_error()
    return list(shell.names["res"].values())[-1]


def test_a_batch_jacobian_keeps_one_axis_of_the_batch(shell: Shell) -> None:
    setup = "X, W = tf.random.normal((7, 3)), tf.random.normal((3, 4))"
    derivative = only(shell, setup, "%%grad X --batch-jacobian -q -o res\nZ = tf.tanh(X @ W)")
    assert derivative.tensor.closed is not None and derivative.check.agrees is True
    X, W = (np.asarray(shell.names[name], float) for name in "XW")
    wanted = (1 - np.tanh(X @ W) ** 2)[:, :, None] * W.T
    np.testing.assert_allclose(derivative.evaluate(), wanted, 1e-6)
    moved = derivative.evaluate(X=2 * X)
    np.testing.assert_allclose(moved, (1 - np.tanh(2 * X @ W) ** 2)[:, :, None] * W.T, 1e-6)


@pytest.mark.parametrize("line, layout", [("", r" \\ "), (" --layout numerator", " & ")])
def test_numerator_layout_lays_a_vector_down(shell: Shell, line: str, layout: str) -> None:
    setup = "X = tf.constant([[1., 2.], [3., 5.]]); y = tf.constant([7., 9.])"
    body = "L = tf.reduce_sum((tf.linalg.matvec(X, w) - y)**2)"
    cell = f"%%grad w --notation matrix{line} -q -o res\nw = tf.constant([0.5, 0.25])\n{body}"
    derivative = only(shell, setup, cell)
    numbers = rf"\begin{{bmatrix}} -49.5{layout}-86.5 \end{{bmatrix}}"
    assert derivative.value.numpy().tolist() == [-49.5, -86.5]
    assert numbers in derivative.latex and numbers in shell.names["res"].latex
    assert (r"- y)^{\mathsf{T}}" in derivative.latex) == bool(line)


RECURRENCE = """%%grad x0, W --notation matrix -q -o res
x = x0
for _ in range({}):
    x = tf.tanh(tf.linalg.matvec(W, x) + b)
L = tf.reduce_sum(x**2)"""


def test_a_long_recurrence_grows_in_a_line(shell: Shell) -> None:
    setup = "W, b, x0 = 0.3*tf.random.normal((4, 4)), tf.random.normal((4,)), tf.ones((4,))"
    sizes = []
    for steps in (20, 40, 80):
        derivative = only(shell, setup, RECURRENCE.format(steps))
        form = derivative.tensor
        assert form.closed is None
        assert form.in_adjoints is not None and not derivative.reasons
        assert derivative.check.agrees is True
        sweep = form.sweep
        nodes = [d.node for d in form.definitions.definitions]
        nodes += [adjoint.node for adjoint in sweep.adjoints.values()]
        sizes.append(sum(node.size for node in nodes))
        closed = [adjoint.closed.size for adjoint in sweep.adjoints.values() if adjoint.closed]
        assert max(closed, default=0) < 400
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])


CONV_NET = """%%grad K1, c1, K2, c2, W, b -q -o res
h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(X, K1, 1, 'SAME'), c1)), 2, 2, 'SAME')
h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(h, K2, 1, 'SAME'), c2)), 2, 2, 'SAME')
Z = tf.reshape(h, (32, -1)) @ W + b
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=Z))"""


def test_a_net_of_real_size_is_derived_and_not_evaluated(shell: Shell) -> None:
    """Kernels that an op reads in C beside large tensors; forms too large to be evaluated."""
    setup = """X, y = tf.random.normal((32, 32, 32, 3)), tf.zeros((32,), tf.int32)
K1, c1 = tf.Variable(0.1*tf.random.normal((3, 3, 3, 16))), tf.Variable(tf.zeros(16))
K2, c2 = tf.Variable(0.1*tf.random.normal((3, 3, 16, 16))), tf.Variable(tf.zeros(16))
W, b = tf.Variable(0.1*tf.random.normal((1024, 10))), tf.Variable(tf.zeros(10))"""
    only(shell, setup, CONV_NET)
    for derivative in shell.names["res"].values():
        assert derivative.tensor is not None, (derivative.key, derivative.reasons)
        assert not derivative.tensor.definitions.opaque
        assert derivative.check.agrees is not False
    assert "not evaluated in NumPy" in repr(shell.names["res"]).replace("\n  ", " ")


@pytest.mark.parametrize("size", [3, 40])
def test_a_product_with_the_hessian_is_no_hessian(shell: Shell, size: int) -> None:
    setup = f"v = tf.range({size}.0); x = tf.Variable(v + 1)"
    only(
        shell,
        setup,
        """%%grad -o res
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        f = tf.reduce_sum(x**4)
    g = inner.gradient(f, x)
Hv = outer.gradient(g, x, output_gradients=v)""",
    )
    told = repr(shell.names["res"])
    assert "∂²f/∂x² · v = " in told and "∂²f/∂x² = " not in told


@pytest.mark.parametrize("size", [3, 40])
def test_a_second_derivative_says_that_it_is_of_a_sum(shell: Shell, size: int) -> None:
    words = "the rows of the Hessian are added up"
    setup = f"x = tf.range({size}.0) / {size}"
    for line, body, said in (
        ("x -n 2", "f = tf.reduce_logsumexp(x)", True),
        ("x --hessian", "f = tf.reduce_logsumexp(x)", False),
        ("x --hessian", "f = tf.reduce_sum(x[1:]*x[:-1]**2)", False),
        ("x -n 2 --seed x", "f = tf.reduce_logsumexp(x)", False),
        ("x -n 2", "f = x**3", False),
    ):
        only(shell, setup, f"%%grad {line} -q -o res\n{body}")
        told = " ".join(repr(shell.names["res"]).split())
        assert (words in told) == said, line

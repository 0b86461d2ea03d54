"""Matrix calculus as textbooks have it: cells, the LaTeX that we print, and its NumPy twin.

`latex` is for the sizes n=5, m=4, k=3, h=6; the twin for all sizes. Values are made by the
functions in `given`: normal(…), definite(n) (symmetric, positive), zero_one(n), one_hot(n, k).
"""

from __future__ import annotations

from dataclasses import dataclass

SIZES = {"n": 5, "m": 4, "k": 3, "h": 6}


@dataclass(frozen=True)
class Row:
    """`answers` has (LaTeX, twin) for each source."""

    name: str
    given: str
    cell: str
    answers: dict[str, tuple[str, str]]


T = r"^{\mathsf{T}}"
ROWS = (
    Row(
        "sum",
        "x=normal(n,m)",
        "s = tf.reduce_sum(x)",
        {"x": (r"\mathbf{1}\mathbf{1}^{\mathsf{T}}", "np.ones((n, m))")},
    ),
    Row(
        "square of a sum",
        "x=normal(n,m)",
        "s = tf.reduce_sum(x)**2",
        {
            "x": (
                r"2(\mathbf{1}^{\mathsf{T}}x\mathbf{1})\,\mathbf{1}\mathbf{1}^{\mathsf{T}}",
                "2*x.sum()*np.ones((n, m))",
            )
        },
    ),
    Row(
        "least squares",
        "A=normal(n,m); x=normal(m); b=normal(n)",
        "L = tf.reduce_sum((tf.linalg.matvec(A, x) - b)**2)",
        {
            "x": (r"2A^{\mathsf{T}}(Ax - b)", "2*A.T@(A@x - b)"),
            "A": (r"2(Ax - b)\,x^{\mathsf{T}}", "2*np.outer(A@x - b, x)"),
            "b": ("-2(Ax - b)", "-2*(A@x - b)"),
        },
    ),
    Row(
        "mean squared error of a linear model",
        "X=normal(n,m); W=normal(m,k); b=normal(k); Y=normal(n,k)",
        "L = tf.reduce_mean((X@W + b - Y)**2)",
        {
            "W": (
                r"\frac{2}{15}X^{\mathsf{T}}(XW + \mathbf{1}b^{\mathsf{T}} - Y)",
                "2/(n*k)*X.T@(X@W + b - Y)",
            ),
            "b": (
                r"\frac{2}{15}(XW + \mathbf{1}b^{\mathsf{T}} - Y)^{\mathsf{T}}\,\mathbf{1}",
                "2/(n*k)*(X@W + b - Y).sum(0)",
            ),
        },
    ),
    Row(
        "ridge regression",
        "X=normal(n,m); w=normal(m); y=normal(n); alpha=tf.constant(0.25)",
        "L = tf.reduce_sum((tf.linalg.matvec(X, w) - y)**2) + alpha*tf.reduce_sum(w**2)",
        {"w": (r"2\alpha w + 2X^{\mathsf{T}}(Xw - y)", "2*alpha*w + 2*X.T@(X@w - y)")},
    ),
    Row(
        "quadratic form",
        "A=normal(n,n); x=normal(n)",
        "q = tf.tensordot(x, tf.linalg.matvec(A, x), 1)",
        {
            "x": (r"(A + A^{\mathsf{T}})\,x", "(A + A.T)@x"),
            "A": (r"xx^{\mathsf{T}}", "np.outer(x, x)"),
        },
    ),
    Row(
        "trace of a product",
        "A=normal(n,m); B=normal(m,n)",
        "t = tf.linalg.trace(A@B)",
        {"A": (r"= B^{\mathsf{T}}", "B.T"), "B": (r"= A^{\mathsf{T}}", "A.T")},
    ),
    Row(
        "trace of a Gram matrix",
        "A=normal(n,m)",
        "t = tf.linalg.trace(tf.transpose(A)@A)",
        {"A": ("= 2A", "2*A")},
    ),
    Row(
        "log det by Cholesky",
        "A=definite(n)",
        "l = tf.linalg.logdet(A)",
        {"A": (r"A^{-\mathsf{T}}", "np.linalg.inv(A).T")},
    ),
    Row(
        "log of det",
        "A=definite(n)",
        "l = tf.math.log(tf.linalg.det(A))",
        {"A": (r"A^{-\mathsf{T}}", "np.linalg.inv(A).T")},
    ),
    Row(
        "bilinear form of an inverse",
        "A=definite(n); a=normal(n); b=normal(n)",
        "q = tf.tensordot(a, tf.linalg.matvec(tf.linalg.inv(A), b), 1)",
        {
            "A": (
                r"-A^{-\mathsf{T}}ab^{\mathsf{T}}A^{-\mathsf{T}}",
                "-np.linalg.inv(A).T@np.outer(a, b)@np.linalg.inv(A).T",
            ),
            "a": ("A^{-1}b", "np.linalg.inv(A)@b"),
        },
    ),
    Row(
        "a linear system solved",
        "A=definite(n); a=normal(n); b=normal(n)",
        "q = tf.reduce_sum(a*tf.linalg.solve(A, b[:, None])[:, 0])",
        {
            "A": (
                r"-A^{-\mathsf{T}}ab^{\mathsf{T}}A^{-\mathsf{T}}",
                "-np.linalg.inv(A).T@np.outer(a, b)@np.linalg.inv(A).T",
            ),
            "b": (r"A^{-\mathsf{T}}a", "np.linalg.inv(A).T@a"),
        },
    ),
    Row(
        "logistic regression from logits",
        "X=normal(n,m); w=normal(m); y=zero_one(n)",
        "z = tf.linalg.matvec(X, w)\n"
        "L = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, z))",
        {"w": (r"\frac{1}{5}X^{\mathsf{T}}(\sigma(Xw) - y)", "X.T@(sigma(X@w) - y)/n")},
    ),
    Row(
        "logistic regression by hand",
        "X=normal(n,m); w=normal(m); y=zero_one(n)",
        "p = tf.sigmoid(tf.linalg.matvec(X, w))\n"
        "L = -tf.reduce_mean(y*tf.math.log(p) + (1 - y)*tf.math.log(1 - p))",
        {"w": (r"\frac{1}{5}X^{\mathsf{T}}(\sigma(Xw) - y)", "X.T@(sigma(X@w) - y)/n")},
    ),
    Row(
        "softmax with cross-entropy",
        "X=normal(n,m); W=normal(m,k); Y=one_hot(n,k)",
        "L = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(Y, X@W))",
        {
            "W": (
                r"\frac{1}{5}X^{\mathsf{T}}(\operatorname{softmax}(XW) - Y)",
                "X.T@(softmax(X@W) - Y)/n",
            )
        },
    ),
    Row(
        "sparse softmax with cross-entropy",
        "X=normal(n,m); W=normal(m,k); t=tf.argmax(one_hot(n,k), 1)",
        "L = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(t, X@W))",
        {
            "W": (
                r"\frac{1}{5}X^{\mathsf{T}}(\operatorname{softmax}(XW) - E_{t})",
                "X.T@(softmax(X@W) - np.eye(k)[t])/n",
            )
        },
    ),
    Row(
        "one hidden layer",
        "X=normal(n,m); W1=normal(m,h); b1=normal(h); W2=normal(h,k); b2=normal(k); Y=normal(n,k)",
        "H = tf.tanh(X@W1 + b1)\nO = H@W2 + b2\nL = tf.reduce_sum((O - Y)**2)",
        {
            "W1": (
                r"2X^{\mathsf{T}}((1 - H^{\circ2}) \circ ((O - Y)\,W_{2}^{\mathsf{T}}))",
                "2*X.T@((1 - hidden()**2)*((out() - Y)@W2.T))",
            ),
            "b1": (
                r"2((1 - H^{\circ2}) \circ ((O - Y)\,W_{2}^{\mathsf{T}}))"
                r"^{\mathsf{T}}\,\mathbf{1}",
                "2*((1 - hidden()**2)*((out() - Y)@W2.T)).sum(0)",
            ),
            "W2": (r"2H^{\mathsf{T}}(O - Y)", "2*hidden().T@(out() - Y)"),
            "b2": (r"\,\mathbf{1}", "2*(out() - Y).sum(0)"),
        },
    ),
    Row(
        "sum of a Gaussian kernel",
        "X=normal(n,m); C=normal(h,m)",
        "D = tf.reduce_sum((X[:, None, :] - C[None, :, :])**2, -1)\n"
        "s = tf.reduce_sum(tf.exp(-D/2))",
        {
            "X": (
                r"\exp\left( -\frac{1}{2}\sum_{l} (X_{il} - C_{kl})^{2} \right)"
                r" \cdot (X_{ij} - C_{kj})",
                "-np.einsum('il,ilj->ij', rbf(X, C), X[:, None] - C[None])",
            )
        },
    ),
    Row(
        "cosine similarity",
        "a=normal(n); b=normal(n)",
        "c = tf.reduce_sum(a*b)/(tf.norm(a)*tf.norm(b))",
        {
            "a": (
                r"\frac{1}{\| a \|\,\| b \|}b - \frac{(a^{\mathsf{T}}b)}{\| b \|\,\| a \|^{3}}a",
                "b/norm(a)/norm(b) - a@b*a/norm(b)/norm(a)**3",
            )
        },
    ),
    Row(
        "log-sum-exp",
        "x=normal(h*k)",
        "l = tf.reduce_logsumexp(x)",
        {"x": (r"\operatorname{softmax}(x)", "softmax(x)")},
    ),
    Row(
        "layer norm",
        "x=normal(h*k); g=normal(h*k)",
        "mu = tf.reduce_mean(x)\nv = tf.reduce_mean((x - mu)**2)\n"
        "s = tf.reduce_sum(g*(x - mu)/tf.sqrt(v + 1e-3))",
        {
            "x": (r"\frac{3}{2}", "layer_norm_slope(x, g)"),
            "g": (r"\sqrt{", "(x - x.mean())/np.sqrt(x.var() + 1e-3)"),
        },
    ),
    Row(
        "scaled dot-product attention",
        "Q=normal(n,m); K=normal(h,m); V=normal(h,k); G=normal(n,k)",
        "P = tf.nn.softmax(Q@tf.transpose(K)/tf.sqrt(4.0))\nO = P@V\nL = tf.reduce_sum(G*O)",
        {
            "Q": (
                r"\frac{1}{2}(P \circ (GV^{\mathsf{T}}) - "
                r"\operatorname{diag}((G \circ (PV))\,\mathbf{1})\,P)\,K",
                "attention_slope()@K/2",
            ),
            "K": (r"\,P)^{\mathsf{T}}\,Q", "attention_slope().T@Q/2"),
            "V": (
                r"\operatorname{softmax}\left( \frac{1}{2}QK^{\mathsf{T}} \right)^{\mathsf{T}}\,G",
                "softmax(Q@K.T/2).T@G",
            ),
        },
    ),
    Row(
        "Gaussian log-likelihood",
        "S=definite(n); mu=normal(n); x=normal(n)",
        "e = x - mu\nl = -tf.linalg.logdet(S)/2"
        " - tf.tensordot(e, tf.linalg.matvec(tf.linalg.inv(S), e), 1)/2",
        {
            "mu": (
                r"\frac{1}{2}(S^{-1} + S^{-\mathsf{T}})(x - \mu)",
                "np.linalg.inv(S)@(x - mu)",
            ),
            "S": (
                r"\frac{1}{2}S^{-\mathsf{T}}ee^{\mathsf{T}}S^{-\mathsf{T}}"
                r" - \frac{1}{2}S^{-\mathsf{T}}",
                "np.linalg.inv(S)@np.outer(x - mu, x - mu)@np.linalg.inv(S)/2 - np.linalg.inv(S)/2",
            ),
        },
    ),
    Row(
        "matrix factorisation with a mask",
        "R=normal(n,m); M=tf.cast(normal(n,m) > 0, tf.float32); U=normal(n,k); V=normal(m,k)",
        "L = tf.reduce_sum(M*(R - U@tf.transpose(V))**2)",
        {
            "U": (r"-2(M \circ (R - UV^{\mathsf{T}}))\,V", "-2*(M*(R - U@V.T))@V"),
            "V": (
                r"-2(M \circ (R - UV^{\mathsf{T}}))^{\mathsf{T}}\,U",
                "-2*(M*(R - U@V.T)).T@U",
            ),
        },
    ),
    Row(
        "cell state of an LSTM",
        "x=normal(n,m); d=normal(n,k); s=normal(n,k); W=normal(m,k); U=normal(k,k); b=normal(k);"
        "V=normal(m,k); Z=normal(m,k)",
        "f = tf.sigmoid(x@W + d@U + b)\ni = tf.sigmoid(x@V)\ng = tf.tanh(x@Z)\n"
        "c = f*s + i*g\nL = tf.reduce_sum(c)",
        {
            "s": (
                r"\sigma(xW + dU + \mathbf{1}b^{\mathsf{T}})",
                "sigma(x@W + d@U + b)",
            ),
            "W": (r"x^{\mathsf{T}}(s \circ f \circ (1 - f))", "x.T@(s*forget()*(1 - forget()))"),
            "V": (r"(1 - ", "x.T@(np.tanh(x@Z)*sigma(x@V)*(1 - sigma(x@V)))"),
            "Z": (r"(1 - ", "x.T@(sigma(x@V)*(1 - np.tanh(x@Z)**2))"),
        },
    ),
    Row(
        "convolution along one axis",
        "x=normal(2,h+2,m); w=normal(3,m,k)",
        "y = tf.nn.conv1d(x, w, 1, 'VALID')\nL = tf.reduce_sum(y**2)/2",
        {
            "w": (
                r"x_{l, n + p - 1, m}\,w_{pmk}\,x_{l, n + i - 1, j}",
                "np.stack([np.einsum('bic,bio->co', x[:, p:p + h], conv(x, w)) for p in range(3)])",
            ),
        },
    ),
    Row(
        "embedding and mean",
        "E=normal(7,k); ids=tf.constant([2, 5, 1, 5]); a=normal(k)",
        "m = tf.reduce_mean(tf.gather(E, ids), 0)\nL = tf.reduce_sum(a*m)",
        {
            "E": (
                r"\frac{1}{4}S_{\mathrm{ids}}^{\mathsf{T}}\,\mathbf{1}a^{\mathsf{T}}",
                "np.eye(7)[ids].T@np.ones((4, 1))@a[None]/4",
            )
        },
    ),
)

# What the published examples of matrixcalculus.org and its papers say, where TensorFlow can
# compute the function: their answers, in NumPy.
PUBLISHED = (
    Row(
        "x'Ax",
        "A=normal(n,n); x=normal(n)",
        "f = tf.einsum('i,ij,j->', x, A, x)",
        {"x": ("", "A.T@x + A@x")},
    ),
    Row(
        "norm of Ax - b, squared",
        "A=normal(n,m); x=normal(m); b=normal(n)",
        "f = tf.norm(tf.linalg.matvec(A, x) - b)**2",
        {"x": ("", "2*A.T@(A@x - b)")},
    ),
    Row(
        "norm of Ax - b",
        "A=normal(n,m); x=normal(m); b=normal(n)",
        "f = tf.norm(tf.linalg.matvec(A, x) - b)",
        {"x": ("", "A.T@(A@x - b)/norm(A@x - b)")},
    ),
    Row(
        "logistic loss",
        "X=normal(n,m); w=normal(m); y=2*zero_one(n)-1",
        "f = tf.reduce_sum(tf.math.log(tf.exp(-y*tf.linalg.matvec(X, w)) + 1))",
        {"w": ("", "-X.T@(y*np.exp(-y*(X@w))/(np.exp(-y*(X@w)) + 1))")},
    ),
    Row(
        "trace of a product of three",
        "A=normal(n,m); X=normal(m,n); B=normal(n,n)",
        "f = tf.linalg.trace(A@X@B)",
        {"X": ("", "A.T@B.T")},
    ),
    Row(
        "determinant",
        "X=definite(n)",
        "f = tf.linalg.det(X)",
        {"X": ("", "np.linalg.det(X)*np.linalg.inv(X).T")},
    ),
    Row(
        "trace of an inverse",
        "X=definite(n)",
        "f = tf.linalg.trace(tf.linalg.inv(X))",
        {"X": ("", "-(np.linalg.inv(X)@np.linalg.inv(X)).T")},
    ),
    Row(
        "matrix factorisation",
        "T=normal(n,m); U=normal(n,k); V=normal(m,k)",
        "f = tf.reduce_sum((T - U@tf.transpose(V))**2)",
        {"U": ("", "-2*(T - U@V.T)@V")},
    ),
    Row(
        "a sum of elementwise functions",
        "A=normal(n,m); x=normal(m)",
        "f = tf.reduce_sum(tf.exp(tf.linalg.matvec(A, x)))",
        {"x": ("", "A.T@np.exp(A@x)")},
    ),
    Row(
        "norm of a Hadamard product",
        "v=normal(n); w=normal(n)",
        "f = tf.reduce_sum((v*w)**2)",
        {"w": ("", "2*v*v*w")},
    ),
    Row(
        "weighted least squares",
        "A=normal(n,m); x=normal(m); b=normal(n); w=normal(n)",
        "f = tf.reduce_sum(w*(tf.linalg.matvec(A, x) - b)**2)",
        {"x": ("", "2*A.T@(w*(A@x - b))")},
    ),
    Row(
        "entropy",
        "z=normal(h*k)",
        "x = tf.nn.softmax(z)\nf = -tf.reduce_sum(x*tf.math.log(x))",
        {"z": ("", "-softmax(z)*(np.log(softmax(z)) - softmax(z)@np.log(softmax(z)))")},
    ),
)

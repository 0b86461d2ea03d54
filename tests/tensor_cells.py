"""Cells of tensors as people write them: losses, kernels, attention, recurrences, likelihoods.

A cell is headed `=== name | flags`; set-up lines and the cell stand below, parted by `---`. The
sources are made in the set-up, the last line binds the target. The flag `chain`: for some source
too long for a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class TensorCell:
    """One cell: `line` are the magic's arguments, `body` is what runs."""

    name: str
    flags: frozenset[str]
    setup: str
    line: str
    body: str

    @property
    def target(self) -> str:
        """What the last line binds."""
        return self.body.splitlines()[-1].partition("=")[0].strip()

    @property
    def cell(self) -> str:
        """As it is run."""
        return f"%%grad {self.line} -q -o res\n{self.body}"


def cells() -> Iterator[TensorCell]:
    for block in TEXT.split("\n=== ")[1:]:
        head, _, rest = block.partition("\n")
        name, _, flags = head.partition("|")
        setup, _, cell = rest.partition("\n---\n")
        magic, _, body = cell.strip("\n").partition("\n")
        yield TensorCell(
            name.strip(),
            frozenset(f.strip() for f in flags.split(";") if f.strip()),
            f"tf.random.set_seed(7)\n{setup}",
            magic.removeprefix("%%grad").strip(),
            body,
        )


TEXT = """
=== least squares
X = tf.random.normal((6, 3)); w = tf.random.normal((3,)); y = tf.random.normal((6,))
---
%%grad w
loss = tf.reduce_mean(tf.square(tf.linalg.matvec(X, w) - y))
=== least squares with columns
X = tf.random.normal((6, 3)); w = tf.Variable(tf.random.normal((3, 1))); b = tf.Variable(0.5); y = tf.random.normal((6, 1))
---
%%grad w, b
pred = X @ w + b
mse = tf.reduce_mean((y - pred)**2)
=== ridge
A = tf.random.normal((5, 4)); b = tf.random.normal((5,)); x = tf.random.normal((4,)); lam = 0.1
---
%%grad x
r = tf.linalg.matvec(A, x) - b
J = tf.reduce_sum(r**2) + lam*tf.reduce_sum(x**2)
=== lasso
A = tf.random.normal((5, 4)); b = tf.random.normal((5,)); x = tf.random.normal((4,))
---
%%grad x
J = 0.5*tf.norm(A @ x[:, None] - b[:, None])**2 + 0.3*tf.reduce_sum(tf.abs(x))
=== huber
X = tf.random.normal((8, 3)); w = tf.random.normal((3,)); y = 3*tf.random.normal((8,)); delta = 1.0
---
%%grad w
e = y - tf.linalg.matvec(X, w)
h = tf.where(tf.abs(e) <= delta, 0.5*e**2, delta*(tf.abs(e) - 0.5*delta))
L = tf.reduce_sum(h)
=== quantile loss
X = tf.random.normal((8, 3)); w = tf.random.normal((3,)); y = tf.random.normal((8,)); q = 0.9
---
%%grad w
e = y - tf.linalg.matvec(X, w)
L = tf.reduce_mean(tf.maximum(q*e, (q - 1)*e))
=== logistic regression
X = tf.random.normal((7, 3)); w = tf.random.normal((3,)); b = tf.constant(0.2); y = tf.constant([0., 1, 1, 0, 1, 0, 1])
---
%%grad w, b
p = tf.sigmoid(tf.linalg.matvec(X, w) + b)
nll = -tf.reduce_mean(y*tf.math.log(p) + (1 - y)*tf.math.log(1 - p))
=== logistic with labels ±1
X = tf.random.normal((7, 3)); w = tf.random.normal((3,)); y = tf.constant([-1., 1, 1, -1, 1, -1, 1])
---
%%grad w
L = tf.reduce_sum(tf.math.log1p(tf.exp(-y*tf.linalg.matvec(X, w))))
=== softmax regression by hand
X = tf.random.normal((6, 4)); W = tf.random.normal((4, 3)); Y = tf.one_hot([0, 2, 1, 1, 0, 2], 3)
---
%%grad W
S = X @ W
E = tf.exp(S - tf.reduce_max(S, axis=1, keepdims=True))
P = E/tf.reduce_sum(E, axis=1, keepdims=True)
L = -tf.reduce_mean(tf.reduce_sum(Y*tf.math.log(P), axis=1))
=== focal loss
z = tf.random.normal((6,)); y = tf.constant([0., 1, 1, 0, 1, 0]); gamma = 2.0
---
%%grad z
p = tf.sigmoid(z)
pt = y*p + (1 - y)*(1 - p)
L = -tf.reduce_mean((1 - pt)**gamma*tf.math.log(pt))
=== label smoothing
logits = tf.random.normal((4, 5)); y = tf.one_hot([1, 0, 4, 2], 5); eps = 0.1
---
%%grad logits
ys = (1 - eps)*y + eps/5
L = tf.reduce_mean(-tf.reduce_sum(ys*tf.nn.log_softmax(logits), axis=-1))
=== dice loss
p = tf.random.uniform((4, 4)); m = tf.cast(tf.random.uniform((4, 4)) > 0.5, tf.float32)
---
%%grad p
dice = 1 - 2*tf.reduce_sum(p*m)/(tf.reduce_sum(p) + tf.reduce_sum(m))
=== hinge
X = tf.random.normal((7, 3)); w = tf.random.normal((3,)); y = tf.constant([-1., 1, 1, -1, 1, -1, 1])
---
%%grad w
L = tf.reduce_mean(tf.nn.relu(1 - y*tf.linalg.matvec(X, w))) + 0.01*tf.nn.l2_loss(w)
=== KL of two distributions
a = tf.random.normal((5,)); b = tf.random.normal((5,))
---
%%grad a, b
p, q = tf.nn.softmax(a), tf.nn.softmax(b)
kl = tf.reduce_sum(p*tf.math.log(p/q))
=== RBF kernel matrix
X = tf.random.normal((5, 2)); Z = tf.random.normal((4, 2)); gamma = tf.constant(0.7)
---
%%grad X, gamma
d2 = tf.reduce_sum((X[:, None, :] - Z[None, :, :])**2, axis=-1)
K = tf.exp(-gamma*d2)
s = tf.reduce_sum(K)
=== kernel by norms
X = tf.random.normal((5, 2)); a = tf.random.normal((5,))
---
%%grad X, a
n = tf.reduce_sum(X*X, 1)
D = n[:, None] + n[None, :] - 2*X @ tf.transpose(X)
f = tf.tensordot(a, tf.linalg.matvec(tf.exp(-D/2), a), 1)
=== MMD
X = tf.random.normal((4, 2)); Y = tf.random.normal((5, 2))
---
%%grad X
def k(a, b):
    return tf.exp(-0.5*tf.reduce_sum((a[:, None] - b[None])**2, -1))
mmd = tf.reduce_mean(k(X, X)) + tf.reduce_mean(k(Y, Y)) - 2*tf.reduce_mean(k(X, Y))
=== Gaussian process likelihood
x = tf.linspace(0., 1., 6)[:, None]; y = tf.random.normal((6, 1)); l = tf.constant(0.4); s2 = tf.constant(0.1)
---
%%grad l, s2
K = tf.exp(-0.5*((x - tf.transpose(x))/l)**2) + s2*tf.eye(6)
Lc = tf.linalg.cholesky(K)
alpha = tf.linalg.cholesky_solve(Lc, y)
nll = 0.5*tf.reduce_sum(y*alpha) + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(Lc)))
=== attention
Q = tf.random.normal((4, 3)); K = tf.random.normal((5, 3)); V = tf.random.normal((5, 2))
---
%%grad Q, K, V
A = tf.nn.softmax(Q @ tf.transpose(K)/tf.sqrt(3.))
O = A @ V
L = tf.reduce_sum(O)
=== batched masked attention
Q = tf.random.normal((2, 3, 4)); K = tf.random.normal((2, 3, 4)); V = tf.random.normal((2, 3, 4)); mask = tf.linalg.band_part(tf.ones((3, 3)), -1, 0)
---
%%grad Q, V
S = tf.matmul(Q, K, transpose_b=True)/2.
S = S + (1 - mask)*-1e9
O = tf.matmul(tf.nn.softmax(S, axis=-1), V)
L = tf.reduce_mean(O**2)
=== multi-head by einsum
x = tf.random.normal((2, 3, 4)); Wq = tf.random.normal((4, 2, 2)); Wk = tf.random.normal((4, 2, 2))
---
%%grad Wq, Wk
q = tf.einsum('bnd,dhk->bhnk', x, Wq)
k = tf.einsum('bnd,dhk->bhnk', x, Wk)
s = tf.einsum('bhnk,bhmk->bhnm', q, k)
L = tf.reduce_sum(tf.nn.softmax(s)**2)
=== vanilla RNN, three steps | chain
W = 0.5*tf.random.normal((3, 3)); U = tf.random.normal((2, 3)); xs = tf.random.normal((3, 2)); h0 = tf.zeros((1, 3))
---
%%grad W, U
h = h0
for t in range(3):
    h = tf.tanh(h @ W + xs[t][None] @ U)
L = tf.reduce_sum(h**2)
=== a GRU step
x = tf.random.normal((1, 3)); h = tf.random.normal((1, 2)); Wz = tf.random.normal((5, 2)); Wr = tf.random.normal((5, 2)); Wh = tf.random.normal((5, 2))
---
%%grad Wz, Wh
xh = tf.concat([x, h], 1)
z = tf.sigmoid(xh @ Wz)
r = tf.sigmoid(xh @ Wr)
g = tf.tanh(tf.concat([x, r*h], 1) @ Wh)
hn = (1 - z)*h + z*g
L = tf.reduce_sum(hn)
=== an LSTM step | chain
x = tf.random.normal((2, 3)); h = tf.random.normal((2, 2)); c = tf.random.normal((2, 2)); W = tf.random.normal((5, 8)); b = tf.zeros((8,))
---
%%grad c, b
i, f, o, g = tf.split(tf.concat([x, h], 1) @ W + b, 4, axis=1)
c1 = tf.sigmoid(f)*c + tf.sigmoid(i)*tf.tanh(g)
h1 = tf.sigmoid(o)*tf.tanh(c1)
L = tf.reduce_sum(h1)
=== Gaussian log-likelihood
X = tf.random.normal((8, 3)); mu = tf.random.normal((3,)); S = tf.constant([[2., .3, 0], [.3, 1, .1], [0, .1, 1.5]])
---
%%grad mu, S
d = X - mu
q = tf.einsum('ni,ij,nj->n', d, tf.linalg.inv(S), d)
ll = -0.5*tf.reduce_sum(q) - 0.5*8*tf.linalg.logdet(S)
=== diagonal Gaussian
x = tf.random.normal((6, 3)); m = tf.random.normal((3,)); s = tf.random.normal((3,))
---
%%grad m, s
ll = tf.reduce_sum(-0.5*((x - m)/tf.exp(s))**2 - s - 0.5*np.log(2*np.pi))
=== VAE KL
mu = tf.random.normal((4, 2)); logvar = tf.random.normal((4, 2))
---
%%grad mu, logvar
kl = -0.5*tf.reduce_mean(tf.reduce_sum(1 + logvar - mu**2 - tf.exp(logvar), axis=1))
=== mixture of Gaussians
x = tf.random.normal((7,)); mu = tf.constant([-1., 0.5, 2.]); logpi = tf.constant([0.1, 0.2, -0.3])
---
%%grad mu, logpi
logw = tf.nn.log_softmax(logpi)
lp = logw - 0.5*(x[:, None] - mu)**2
L = tf.reduce_sum(tf.reduce_logsumexp(lp, axis=1))
=== Poisson regression
X = tf.random.normal((6, 2)); w = 0.3*tf.random.normal((2,)); y = tf.constant([0., 1, 3, 2, 0, 1])
---
%%grad w
eta = tf.linalg.matvec(X, w)
nll = tf.reduce_sum(tf.exp(eta) - y*eta)
=== Student t
x = tf.random.normal((6,)); nu = tf.constant(4.0)
---
%%grad nu, x
ll = tf.reduce_sum(tf.math.lgamma((nu + 1)/2) - tf.math.lgamma(nu/2) - 0.5*tf.math.log(nu*np.pi) - (nu + 1)/2*tf.math.log1p(x**2/nu))
=== Dirichlet
a = tf.constant([1.5, 2.0, 0.7]); p = tf.constant([0.2, 0.5, 0.3])
---
%%grad a, p
ll = tf.reduce_sum((a - 1)*tf.math.log(p)) + tf.math.lgamma(tf.reduce_sum(a)) - tf.reduce_sum(tf.math.lgamma(a))
=== PCA objective
X = tf.random.normal((8, 4)); W = tf.random.normal((4, 2))
---
%%grad W
Xc = X - tf.reduce_mean(X, axis=0)
R = Xc - Xc @ W @ tf.transpose(W)
J = tf.reduce_mean(tf.reduce_sum(R**2, axis=1))
=== Rayleigh quotient
A = tf.constant([[2., 1, 0], [1, 3, 1], [0, 1, 4]]); v = tf.random.normal((3,))
---
%%grad v
rq = tf.tensordot(v, tf.linalg.matvec(A, v), 1)/tf.tensordot(v, v, 1)
=== Oja's objective
C = tf.constant([[2., 1, 0], [1, 3, 1], [0, 1, 4]]); V = tf.random.normal((3, 2))
---
%%grad V
M = tf.transpose(V) @ C @ V
J = tf.linalg.trace(M) - 0.5*tf.reduce_sum((tf.transpose(V) @ V - tf.eye(2))**2)
=== graph Laplacian
W = tf.random.uniform((5, 5)); f = tf.random.normal((5,))
---
%%grad f, W
A = 0.5*(W + tf.transpose(W))
Lap = tf.linalg.diag(tf.reduce_sum(A, 1)) - A
E = tf.tensordot(f, tf.linalg.matvec(Lap, f), 1)
=== GCN layer
A = tf.cast(tf.random.uniform((5, 5)) > 0.5, tf.float32) + tf.eye(5); X = tf.random.normal((5, 3)); W = tf.random.normal((3, 2))
---
%%grad W, X
d = tf.math.rsqrt(tf.reduce_sum(A, 1))
An = d[:, None]*A*d[None, :]
H = tf.nn.relu(An @ X @ W)
L = tf.reduce_sum(H**2)
=== message passing by segments
x = tf.random.normal((4, 2)); src = tf.constant([0, 1, 2, 3, 0]); dst = tf.constant([1, 2, 3, 0, 2]); W = tf.random.normal((2, 2))
---
%%grad x, W
m = tf.gather(x, src) @ W
agg = tf.math.unsorted_segment_sum(m, dst, 4)
L = tf.reduce_sum(tf.tanh(agg))
=== contrastive loss (InfoNCE)
U = tf.random.normal((4, 3)); V = tf.random.normal((4, 3)); tau = 0.5
---
%%grad U, V
S = U @ tf.transpose(V)/tau
L = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.range(4), logits=S))
=== cosine contrastive
U = tf.random.normal((4, 3)); V = tf.random.normal((4, 3))
---
%%grad U
Un = tf.math.l2_normalize(U, axis=1)
Vn = tf.math.l2_normalize(V, axis=1)
L = -tf.reduce_mean(tf.reduce_sum(Un*Vn, axis=1))
=== triplet loss
a = tf.random.normal((4, 3)); p = tf.random.normal((4, 3)); n = tf.random.normal((4, 3))
---
%%grad a, p
dp = tf.reduce_sum((a - p)**2, -1)
dn = tf.reduce_sum((a - n)**2, -1)
L = tf.reduce_mean(tf.maximum(dp - dn + 1.0, 0.0))
=== matrix factorisation with a mask
R = tf.random.normal((4, 5)); M = tf.cast(tf.random.uniform((4, 5)) > 0.4, tf.float32); U = tf.random.normal((4, 2)); V = tf.random.normal((5, 2))
---
%%grad U, V
E = M*(R - tf.matmul(U, V, transpose_b=True))
L = tf.reduce_sum(E**2) + 0.1*(tf.nn.l2_loss(U) + tf.nn.l2_loss(V))
=== NMF divergence
V = tf.random.uniform((4, 5)) + 0.1; W = tf.random.uniform((4, 2)) + 0.1; H = tf.random.uniform((2, 5)) + 0.1
---
%%grad W, H
P = W @ H
D = tf.reduce_sum(V*tf.math.log(V/P) - V + P)
=== PageRank, two steps
P = tf.random.uniform((4, 4)); r0 = tf.ones((4,))/4
---
%%grad P
T = P/tf.reduce_sum(P, axis=0)
r = r0
for _ in range(2):
    r = 0.85*tf.linalg.matvec(T, r) + 0.15/4
s = tf.reduce_sum(r**2)
=== power iteration | chain
A = tf.random.normal((3, 3)); v0 = tf.ones((3,))
---
%%grad A
v = v0
for _ in range(3):
    v = tf.linalg.matvec(A, v)
    v = v/tf.norm(v)
lam = tf.tensordot(v, tf.linalg.matvec(A, v), 1)
=== polynomial features
x = tf.random.normal((6,)); c = tf.random.normal((4,)); y = tf.random.normal((6,))
---
%%grad c, x
Phi = tf.stack([tf.ones_like(x), x, x**2, x**3], axis=1)
L = tf.reduce_mean((tf.linalg.matvec(Phi, c) - y)**2)
=== hat functions
x = tf.random.uniform((5,)); knots = tf.linspace(0., 1., 4); c = tf.random.normal((4,))
---
%%grad c
B = tf.nn.relu(1 - 3*tf.abs(x[:, None] - knots))
L = tf.reduce_sum(tf.linalg.matvec(B, c)**2)
=== smoothness penalty
c = tf.random.normal((7,))
---
%%grad c
d2 = c[2:] - 2*c[1:-1] + c[:-2]
P = tf.reduce_sum(d2**2)
=== Euler steps of an ODE
A = tf.constant([[0., 1.], [-1., -0.1]]); x0 = tf.constant([1.0, 0.0]); h = 0.1
---
%%grad A, x0
x = x0
for _ in range(3):
    x = x + h*tf.linalg.matvec(A, x)
J = tf.reduce_sum(x**2)
=== Lotka–Volterra, a step
z = tf.constant([1.0, 0.5]); p = tf.constant([1.1, 0.4, 0.1, 0.4])
---
%%grad p, z
dz = tf.stack([p[0]*z[0] - p[1]*z[0]*z[1], p[2]*z[0]*z[1] - p[3]*z[1]])
z1 = z + 0.1*dz
J = tf.reduce_sum(z1**2)
=== heat equation, explicit | chain
u = tf.random.normal((8,))
---
%%grad u
v = u
for _ in range(2):
    lap = tf.roll(v, 1, 0) - 2*v + tf.roll(v, -1, 0)
    v = v + 0.2*lap
E = tf.reduce_sum(v**2)
=== an image filter
img = tf.random.normal((1, 6, 6, 1)); k = tf.random.normal((3, 3, 1, 1))
---
%%grad k, img
out = tf.nn.conv2d(img, k, strides=1, padding='SAME')
L = tf.reduce_mean(out**2)
=== total variation
img = tf.random.normal((5, 5))
---
%%grad img
dx = img[1:, :] - img[:-1, :]
dy = img[:, 1:] - img[:, :-1]
tv = tf.reduce_sum(tf.abs(dx)) + tf.reduce_sum(tf.abs(dy))
=== conv, relu, pool
img = tf.random.normal((2, 6, 6, 1)); k = tf.Variable(tf.random.normal((3, 3, 1, 2))); b = tf.Variable(tf.random.normal((2,)))
---
%%grad k, b
h = tf.nn.relu(tf.nn.conv2d(img, k, 1, 'VALID') + b)
p = tf.nn.max_pool2d(h, 2, 2, 'SAME')
L = tf.reduce_sum(p)
=== conv1d
x = tf.random.normal((2, 7, 2)); k = tf.random.normal((3, 2, 2))
---
%%grad k, x
y = tf.nn.conv1d(x, k, stride=2, padding='SAME')
L = tf.reduce_sum(y**2)
=== depthwise blur
x = tf.random.normal((1, 5, 5, 2)); k = tf.random.normal((3, 3, 2, 1))
---
%%grad x, k
y = tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], 'SAME')
L = tf.reduce_sum(tf.sigmoid(y))
=== layer norm
x = tf.random.normal((3, 5)); g = tf.ones((5,)); b = tf.zeros((5,))
---
%%grad x, g, b
m, v = tf.nn.moments(x, axes=[-1], keepdims=True)
y = g*(x - m)*tf.math.rsqrt(v + 1e-5) + b
L = tf.reduce_sum(y**3)
=== batch norm
x = tf.random.normal((6, 3)); gamma = tf.ones((3,)); beta = tf.zeros((3,))
---
%%grad x, gamma
mean, var = tf.nn.moments(x, axes=[0])
y = tf.nn.batch_normalization(x, mean, var, beta, gamma, 1e-3)
L = tf.reduce_sum(tf.nn.relu(y))
=== fused batch norm
x = tf.random.normal((2, 3, 3, 2)); gamma = tf.ones((2,)); beta = tf.zeros((2,))
---
%%grad x, gamma, beta
y, _, _ = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta)
L = tf.reduce_sum(tf.tanh(y))
=== two-layer network
X = tf.random.normal((5, 3)); Y = tf.random.normal((5, 2)); W1 = tf.Variable(tf.random.normal((3, 4))); b1 = tf.Variable(tf.zeros(4)); W2 = tf.Variable(tf.random.normal((4, 2))); b2 = tf.Variable(tf.zeros(2))
---
%%grad W1, b1, W2, b2
H = tf.nn.relu(tf.matmul(X, W1) + b1)
O = tf.matmul(H, W2) + b2
L = tf.reduce_mean(tf.reduce_sum(tf.square(O - Y), axis=1))
=== embedding and mean
E = tf.Variable(tf.random.normal((6, 3))); ids = tf.constant([[1, 2, 5], [0, 2, 2]]); w = tf.random.normal((3,))
---
%%grad E, w
m = tf.reduce_mean(tf.nn.embedding_lookup(E, ids), axis=1)
L = tf.reduce_sum(tf.sigmoid(tf.linalg.matvec(m, w)))
=== word2vec with negatives
C = tf.random.normal((5, 3)); O = tf.random.normal((5, 3)); neg = tf.constant([1, 3, 4])
---
%%grad C, O
c = C[0]
L = -tf.math.log_sigmoid(tf.reduce_sum(O[2]*c)) - tf.reduce_sum(tf.math.log_sigmoid(-tf.linalg.matvec(tf.gather(O, neg), c)))
=== cross product
a = tf.random.normal((3,)); b = tf.random.normal((3,)); c = tf.random.normal((3,))
---
%%grad a, b
v = tf.tensordot(c, tf.linalg.cross(a, b), 1)
=== log determinant barrier
X = tf.constant([[2., .3, 0], [.3, 1, .1], [0, .1, 1.5]]); C = tf.random.normal((3, 3))
---
%%grad X
f = tf.linalg.trace(C @ X) - tf.linalg.logdet(X)
=== solve
A = tf.random.normal((3, 3)) + 4*tf.eye(3); b = tf.random.normal((3, 1)); y = tf.random.normal((3, 1))
---
%%grad A, b
x = tf.linalg.solve(A, b)
J = tf.reduce_sum((x - y)**2)
=== nuclear norm
A = tf.random.normal((4, 3)); B = tf.random.normal((4, 3))
---
%%grad A
s = tf.linalg.svd(A, compute_uv=False)
J = 0.5*tf.reduce_sum((A - B)**2) + 0.1*tf.reduce_sum(s)
=== sum of the largest eigenvalues
A = tf.random.normal((3, 3)); S = A + tf.transpose(A)
---
%%grad S
f = tf.reduce_sum(tf.linalg.eigvalsh(S)[-2:])
=== least squares by lstsq
A = tf.random.normal((5, 2)); b = tf.random.normal((5, 1))
---
%%grad A, b
x = tf.linalg.lstsq(A, b)
r = tf.reduce_sum((A @ x - b)**2)
=== softmax policy gradient
theta = tf.random.normal((4, 3)); s = tf.random.normal((5, 4)); a = tf.constant([0, 2, 1, 1, 0]); R = tf.random.normal((5,))
---
%%grad theta
logp = tf.nn.log_softmax(s @ theta)
chosen = tf.gather(logp, a, batch_dims=1)
J = tf.reduce_mean(R*chosen)
=== PPO clip
lp = tf.random.normal((6,)); old = tf.random.normal((6,)); adv = tf.random.normal((6,))
---
%%grad lp
ratio = tf.exp(lp - old)
J = tf.reduce_mean(tf.minimum(ratio*adv, tf.clip_by_value(ratio, 0.8, 1.2)*adv))
=== discounted returns
r = tf.random.normal((5,)); g = tf.constant(0.9)
---
%%grad r, g
disc = g**tf.range(5, dtype=tf.float32)
G = tf.reduce_sum(disc*r)
=== portfolio
w = tf.random.normal((4,)); mu = tf.random.normal((4,)); S = tf.eye(4) + 0.1*tf.ones((4, 4))
---
%%grad w
x = tf.nn.softmax(w)
sharpe = tf.reduce_sum(mu*x)/tf.sqrt(tf.tensordot(x, tf.linalg.matvec(S, x), 1))
=== Sinkhorn, one round | chain
C = tf.random.uniform((3, 4)); eps = 0.5
---
%%grad C
K = tf.exp(-C/eps)
u = (1/3)/tf.reduce_sum(K, 1)
v = (1/4)/tf.linalg.matvec(K, u, transpose_a=True)
P = u[:, None]*K*v[None, :]
cost = tf.reduce_sum(P*C)
=== top-k margin
z = tf.random.normal((3, 5))
---
%%grad z
top = tf.math.top_k(z, k=2).values
m = tf.reduce_sum(top[:, 0] - top[:, 1])
=== cumulative hazard
h = tf.random.normal((6,)); d = tf.constant([1., 0, 1, 1, 0, 1])
---
%%grad h
risk = tf.math.cumulative_logsumexp(h, reverse=True)
L = -tf.reduce_sum(d*(h - risk))
=== Hessian of logistic regression
X = tf.random.normal((5, 3)); w = tf.random.normal((3,)); y = tf.constant([0., 1, 1, 0, 1])
---
%%grad w --hessian
L = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(y, tf.linalg.matvec(X, w)))
=== Hessian of ridge
A = tf.random.normal((5, 4)); b = tf.random.normal((5,)); x = tf.random.normal((4,))
---
%%grad x --hessian
J = tf.reduce_sum((tf.linalg.matvec(A, x) - b)**2) + 0.5*tf.reduce_sum(x**2)
=== Jacobian of softmax
z = tf.random.normal((4,))
---
%%grad z -J
p = tf.nn.softmax(z)
=== Jacobian of a layer
x = tf.random.normal((3,)); W = tf.random.normal((4, 3)); b = tf.random.normal((4,))
---
%%grad x, W -J
h = tf.tanh(tf.linalg.matvec(W, x) + b)
=== Jacobian of polar coordinates
p = tf.random.uniform((5, 2)) + 0.5
---
%%grad p -J
q = tf.stack([p[:, 0]*tf.cos(p[:, 1]), p[:, 0]*tf.sin(p[:, 1])], axis=1)
=== frames
x = tf.random.normal((12,))
---
%%grad x
F = tf.signal.frame(x, 4, 2)
L = tf.reduce_sum(F**2)
=== overlap add
f = tf.random.normal((3, 4))
---
%%grad f
s = tf.signal.overlap_and_add(f, 2)
L = tf.reduce_sum(s**2)
=== Kalman update
P = tf.constant([[1., .2], [.2, 2.]]); H = tf.constant([[1., 0.5]]); R = tf.constant([[0.3]]); z = tf.constant([[1.2]]); m = tf.constant([[0.5], [0.1]])
---
%%grad P, m
S = H @ P @ tf.transpose(H) + R
K = P @ tf.transpose(H) @ tf.linalg.inv(S)
m1 = m + K @ (z - H @ m)
J = tf.reduce_sum(m1**2)
=== RMS norm
x = tf.random.normal((3, 5)); g = tf.random.normal((5,))
---
%%grad x, g
y = x*tf.math.rsqrt(tf.reduce_mean(x**2, -1, keepdims=True) + 1e-6)*g
L = tf.reduce_sum(tf.sin(y))
=== rotary embedding
q = tf.random.normal((3, 4)); th = tf.random.normal((3, 2)); k = tf.random.normal((3, 4))
---
%%grad q
q1, q2 = q[:, ::2], q[:, 1::2]
r = tf.stack([q1*tf.cos(th) - q2*tf.sin(th), q1*tf.sin(th) + q2*tf.cos(th)], axis=-1)
s = tf.reduce_sum(tf.reshape(r, (3, 4))*k)
=== transposed conv
x = tf.random.normal((1, 3, 3, 2)); k = tf.random.normal((2, 2, 1, 2))
---
%%grad x, k
y = tf.nn.conv2d_transpose(x, k, (1, 6, 6, 1), 2)
L = tf.reduce_sum(y**2)
=== upsampling
x = tf.random.normal((1, 3, 3, 1)); t = tf.random.normal((1, 6, 6, 1))
---
%%grad x
y = tf.image.resize(x, (6, 6))
L = tf.reduce_mean((y - t)**2)
=== ordinal regression
th = tf.constant([-1., 0.5, 2.]); f = tf.random.normal((4,)); y = tf.constant([0, 1, 3, 2])
---
%%grad th, f
c = tf.sigmoid(th - f[:, None])
p = tf.concat([c, tf.ones((4, 1))], 1) - tf.concat([tf.zeros((4, 1)), c], 1)
ll = tf.reduce_sum(tf.math.log(tf.gather(p, y, axis=1, batch_dims=1)))
=== planar flow
u = tf.random.normal((3,)); w = tf.random.normal((3,)); b = tf.constant(0.1); z = tf.random.normal((5, 3))
---
%%grad u, w, b
a = tf.linalg.matvec(z, w) + b
f = z + tf.tanh(a)[:, None]*u
ld = tf.math.log(tf.abs(1 + (1 - tf.tanh(a)**2)*tf.tensordot(u, w, 1)))
L = tf.reduce_mean(0.5*tf.reduce_sum(f**2, 1) - ld)
=== quaternion rotation | chain
q = tf.random.normal((4,)); v = tf.random.normal((3,)); t = tf.random.normal((3,))
---
%%grad q
n = q/tf.norm(q)
r = v + 2*tf.linalg.cross(n[1:], tf.linalg.cross(n[1:], v) + n[0]*v)
L = tf.reduce_sum((r - t)**2)
=== Lennard-Jones
x = 2*tf.random.normal((4, 3))
---
%%grad x
d = x[:, None] - x[None]
r2 = tf.reduce_sum(d**2, -1) + tf.eye(4)
m = 1 - tf.eye(4)
E = 0.5*tf.reduce_sum(m*4*(r2**-6 - r2**-3))
=== Newton-Schulz
A = tf.random.normal((3, 3))
---
%%grad A
X = A/tf.norm(A)
X = 1.5*X - 0.5*X @ tf.transpose(X) @ X
L = tf.reduce_sum(X**2)
=== scatter update
x = tf.random.normal((5,)); u = tf.random.normal((2,))
---
%%grad x, u
y = tf.tensor_scatter_nd_update(x, [[1], [3]], u)
L = tf.reduce_sum(y**3)
=== prod with a zero
x = tf.constant([2., 0., 3.])
---
%%grad x
p = tf.reduce_prod(x)
=== tri-diagonal solve
d = tf.constant([[1., 1, 0], [4, 5, 6], [0, 1, 1]]); r = tf.random.normal((3, 1))
---
%%grad d, r
x = tf.linalg.tridiagonal_solve(d, r)
L = tf.reduce_sum(x**2)
=== SVD low rank
A = tf.random.normal((4, 3))
---
%%grad A
s = tf.linalg.svd(A, compute_uv=False)
f = tf.reduce_sum(tf.math.log(1 + s**2))
=== quadratic forms by vectorized_map
X = tf.random.normal((4, 3)); W = tf.random.normal((3, 3))
---
%%grad W
q = tf.vectorized_map(lambda v: tf.tensordot(v, tf.linalg.matvec(W, v), 1), X)
loss = tf.reduce_sum(q**2)
=== overlapping average pool
x = tf.random.normal((1, 5, 5, 1))
---
%%grad x
y = tf.nn.avg_pool2d(x, 3, 2, 'SAME')
loss = tf.reduce_sum(y**2)
=== causal convolution
x = tf.random.normal((2, 5, 2)); k = tf.random.normal((2, 2, 3))
---
%%grad k, x
h = tf.nn.conv1d(tf.pad(x, [[0, 0], [1, 0], [0, 0]]), k, 1, 'VALID')
loss = tf.reduce_sum(tf.tanh(h))
=== soft orthogonality
W = tf.random.normal((4, 3))
---
%%grad W
loss = 0.25*tf.reduce_sum((tf.transpose(W) @ W - tf.eye(3))**2)
=== mixture with weights
lp = tf.random.normal((6, 3)); logits = tf.random.normal((3,))
---
%%grad logits
ll = tf.reduce_mean(tf.reduce_logsumexp(tf.nn.log_softmax(logits) + lp, axis=1))
=== condition number
A = tf.random.normal((3, 3))
---
%%grad A
s = tf.linalg.svd(A, compute_uv=False)
c = tf.math.log(s[0]) - tf.math.log(s[-1])
=== Jacobian of a unit vector
x = tf.random.normal((3,))
---
%%grad x -J
u = x/tf.norm(x)
=== power spectrum
x = tf.random.normal((8,))
---
%%grad x
F = tf.signal.rfft(x)
L = tf.reduce_sum(tf.abs(F)**3)
=== circular convolution by FFT
x = tf.random.normal((3, 6)); h = tf.random.normal((6,))
---
%%grad x, h
X = tf.signal.fft(tf.cast(x, tf.complex64))
H = tf.signal.fft(tf.cast(h, tf.complex64))
y = tf.math.real(tf.signal.ifft(X*H))
L = tf.reduce_sum(y**2)
=== low-pass filter
x = tf.random.normal((7,)); keep = tf.constant([1., 1, 0, 0])
---
%%grad x
y = tf.signal.irfft(tf.signal.rfft(x)*tf.cast(keep, tf.complex64), fft_length=[7])
L = tf.reduce_sum(tf.exp(y))
=== padded spectrum of frames
x = tf.random.normal((2, 5))
---
%%grad x
S = tf.math.log(1e-3 + tf.abs(tf.signal.rfft(x, fft_length=[8]))**2)
L = tf.reduce_mean(S)
=== discrete cosine transform
x = tf.random.normal((5,)); t = tf.random.normal((5,))
---
%%grad x
c = tf.signal.dct(x, norm='ortho')
L = tf.reduce_sum((c - t)**2)
=== phase retrieval
a = tf.random.normal((4, 4)); b = tf.random.normal((4, 4)); m = tf.random.uniform((4, 4))
---
%%grad a, b
Z = tf.signal.fft2d(tf.complex(a, b))
L = tf.reduce_sum((tf.abs(Z) - m)**2)
=== transfer function | chain
R = tf.constant(2.0); C = tf.constant(0.3); w = tf.constant([0.5, 1., 2.])
---
%%grad R, C
H = 1/tf.complex(tf.ones_like(w), w*R*C)
L = tf.reduce_sum(tf.abs(H)) + tf.reduce_sum(tf.math.angle(H))
=== a state under a Hamiltonian
a = tf.random.normal((3, 1)); A = tf.random.normal((3, 3)); B = tf.random.normal((3, 3))
---
%%grad a, A
psi = tf.complex(a, 0.5*a)
H = tf.complex(A, B)
E = tf.math.real(tf.matmul(psi, tf.matmul(H, psi), adjoint_a=True))
L = tf.reduce_sum(E**2)
=== Mandelbrot steps | chain
c = tf.constant([0.1, -0.3]); d = tf.constant([0.2, 0.4])
---
%%grad c, d
z = tf.complex(c, d)
z = z*z + tf.complex(c, d)
z = z**2 + tf.complex(c, d)
L = tf.reduce_sum(tf.abs(z))
=== plane waves
k = tf.random.normal((2,)); r = tf.random.normal((5, 2)); y = tf.random.normal((5,))
---
%%grad k
phase = tf.linalg.matvec(r, k)
psi = tf.exp(tf.complex(tf.zeros_like(phase), phase))
L = tf.abs(tf.reduce_sum(psi*tf.cast(y, tf.complex64)))**2
"""

"""Cells that bring their own tape, as notebooks write them; made without sight of adopt mode.

A gradient call that raises is not counted in `calls`, since no tape answered it. A call inside a
`tf.function` counts once a trace.

`ForwardAccumulator` calls tapes only the first time that a process meets an op with these shapes:
run again there, its cells have no library calls. "left open at the end" leaves a tape recording.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TapeCell:
    """One cell with a tape of its own, and what its tapes are asked."""

    name: str
    cell: str
    keys: tuple[str, ...] = ()
    calls: int = 1
    before: str = ""
    derived: bool = True
    library: int = 0


BASICS = (
    TapeCell(
        "square at a point",
        """%%grad
x = tf.Variable(3.0)

with tf.GradientTape() as tape:
    y = x**2

# dy = 2x * dx
dy_dx = tape.gradient(y, x)
dy_dx.numpy()
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "slope as an argument of print",
        """%%grad
x = tf.constant(4.0)
with tf.GradientTape() as g:
  g.watch(x)
  y = tf.sqrt(x) * tf.math.log(x)
print(g.gradient(y, x).numpy())
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "two partials unpacked",
        """%%grad
x = tf.Variable(2.0)
y = tf.Variable(-1.5)
with tf.GradientTape() as tape:
    z = x**2 * y + tf.sin(y)
dz_dx, dz_dy = tape.gradient(z, [x, y])
print("dz/dx =", dz_dx.numpy())
print("dz/dy =", dz_dy.numpy())
""",
        keys=("dz/dx", "dz/dy"),
    ),
    TapeCell(
        "first a list, then a dict of sources",
        """%%grad
w = tf.Variable([[0.1, -0.4], [0.7, 0.2], [-0.3, 0.5]], name='w')
b = tf.Variable(tf.zeros(2, dtype=tf.float32), name='b')
x = [[1., 2., 3.]]

with tf.GradientTape(persistent=True) as tape:
  y = x @ w + b
  loss = tf.reduce_mean(y**2)

[dl_dw, dl_db] = tape.gradient(loss, [w, b])
print(w.shape)
print(dl_dw.shape)

my_vars = {
    'w': w,
    'b': b
}

grad = tape.gradient(loss, my_vars)
grad['b']
""",
        keys=("dloss/dw", "dloss/db"),
        calls=2,
    ),
    TapeCell(
        "dictionary of parameters",
        """%%grad
params = {'w': tf.Variable([0.5, -0.25]), 'b': tf.Variable(0.1)}
lr = 0.05
features = tf.constant([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
target = tf.constant([1.0, 0.5, 2.0])

with tf.GradientTape() as tape:
    pred = tf.linalg.matvec(features, params['w']) + params['b']
    loss = tf.reduce_mean(tf.square(pred - target))
grads = tape.gradient(loss, params)
params['w'].assign_sub(lr * grads['w'])
params['b'].assign_sub(lr * grads['b'])
print(params['w'].numpy(), params['b'].numpy())
""",
        keys=("dloss/dparams['w']", "dloss/dparams['b']"),
    ),
    TapeCell(
        "tuple of sources",
        """%%grad
a, b, c = (tf.Variable(v) for v in (1.0, 2.0, 3.0))
with tf.GradientTape() as tape:
    out = a * b + b * c + c * a
da, db, dc = tape.gradient(out, (a, b, c))
print(f"{da:.1f} {db:.1f} {dc:.1f}")
""",
        keys=("dout/da", "dout/db", "dout/dc"),
    ),
    TapeCell(
        "nested structure of sources",
        """%%grad
params = {
    'hidden': {'w': tf.Variable([[0.2, -0.1], [0.4, 0.3]]), 'b': tf.Variable([0.0, 0.1])},
    'out': [tf.Variable([[1.0], [-1.0]]), tf.Variable([0.05])],
}
X = tf.constant([[1.0, 0.0], [0.5, -1.0]])
with tf.GradientTape() as tape:
    h = tf.tanh(X @ params['hidden']['w'] + params['hidden']['b'])
    yhat = h @ params['out'][0] + params['out'][1]
    loss = tf.reduce_sum(yhat**2)
grads = tape.gradient(loss, params)
tf.nest.map_structure(lambda p, g: p.assign_sub(0.1 * g), params, grads)
print(sorted(grads), grads['out'][1].numpy())
""",
        keys=(
            "dloss/dparams['hidden']['w']",
            "dloss/dparams['hidden']['b']",
            "dloss/dparams['out'][0]",
            "dloss/dparams['out'][1]",
        ),
    ),
    TapeCell(
        "dictionary and list written in the call",
        """%%grad
u = tf.Variable(0.5)
v = tf.Variable(1.5)
k = tf.Variable(-2.0)
with tf.GradientTape() as t:
    q = tf.exp(u * v) + k * v
answer = t.gradient(q, {'first': u, 'rest': [v, k]})
print(answer['first'].numpy(), [r.numpy() for r in answer['rest']])
""",
        keys=("dq/du", "dq/dv", "dq/dk"),
    ),
    TapeCell(
        "dense layer's trainable variables",
        """%%grad
keras.utils.set_random_seed(1)
layer = keras.layers.Dense(2, activation='sigmoid')
x = tf.constant([[1., 2., 3.]])

with tf.GradientTape() as tape:
  # Forward pass
  y = layer(x)
  loss = tf.reduce_mean(y**2)

# Calculate gradients with respect to every trainable variable
grad = tape.gradient(loss, layer.trainable_variables)
for var, g in zip(layer.trainable_variables, grad):
  print(f'{var.name}, shape: {g.shape}')
""",
        keys=("dloss/dlayer.trainable_variables[0]", "dloss/dlayer.trainable_variables[1]"),
    ),
    TapeCell(
        "kernel and bias by attribute",
        """%%grad
layer = tf.keras.layers.Dense(1, kernel_initializer='ones', name='readout')
batch = tf.constant([[0.5, -0.5], [1.0, 2.0]])
labels = tf.constant([[1.0], [0.0]])
layer.build(batch.shape)
with tf.GradientTape() as tape:
    err = layer(batch) - labels
    loss = tf.reduce_mean(err * err)
gk, gb = tape.gradient(loss, [layer.kernel, layer.bias])
gk.numpy(), gb.numpy()
""",
        keys=("dloss/dlayer.kernel", "dloss/dlayer.bias"),
    ),
    TapeCell(
        "only the watched variable",
        """%%grad
x0 = tf.Variable(0.0)
x1 = tf.Variable(10.0)

with tf.GradientTape(watch_accessed_variables=False) as tape:
  tape.watch(x1)
  y0 = tf.math.sin(x0)
  y1 = tf.nn.softplus(x1)
  y = y0 + y1
  ys = tf.reduce_sum(y)

grad = tape.gradient(ys, {'x1': x1})
print('dy/dx1:', grad['x1'].numpy())
""",
        keys=("dys/dx1",),
    ),
    TapeCell(
        "intermediate value as source",
        """%%grad
x = tf.constant(3.0)

with tf.GradientTape() as tape:
  tape.watch(x)
  y = x * x
  z = y * y

# dz_dy = 2 * y and y = x ** 2 = 9
print(tape.gradient(z, y).numpy())
""",
        keys=("dz/dy",),
    ),
    TapeCell(
        "persistent tape asked four times",
        """%%grad
x = tf.constant([1, 3.0])
with tf.GradientTape(persistent=True) as tape:
  tape.watch(x)
  y = x * x
  z = y * y
  s = tf.reduce_sum(z)

print(tape.gradient(z, x).numpy())  # [4.0, 108.0] (4 * x**3 at x = [1.0, 3.0])
print(tape.gradient(y, x).numpy())  # [2.0, 6.0] (2 * x at x = [1.0, 3.0])
print(tape.gradient(s, y).numpy())
print(tape.gradient(s, x).numpy())
del tape   # Drop the reference to the tape
""",
        keys=("dz/dx", "dy/dx", "ds/dy", "ds/dx"),
        calls=4,
    ),
    TapeCell(
        "watch a list of constants",
        """%%grad
a = tf.constant(2.0)
b = tf.constant(5.0)
with tf.GradientTape() as tape:
    tape.watch([a, b])
    area = a * b
    diagonal = tf.sqrt(a**2 + b**2)
    ratio = area / diagonal
ga, gb = tape.gradient(ratio, [a, b])
print(ga.numpy(), gb.numpy())
""",
        keys=("dratio/da", "dratio/db"),
    ),
    TapeCell(
        "branch chosen by the value",
        """%%grad
v0 = tf.Variable(2.0)
v1 = tf.Variable(3.0)
switch = tf.constant(1.0)
with tf.GradientTape() as tape:
  if switch > 0.0:
    result = v0 * v1
  else:
    result = v1**2
dv0, dv1 = tape.gradient(result, [v0, v1])
print(dv0, dv1, sep='; ')
""",
        keys=("dresult/dv0", "dresult/dv1"),
    ),
    TapeCell(
        "recording stopped for a metric",
        """%%grad
x = tf.Variable(2.0)
y = tf.Variable(3.0)

with tf.GradientTape() as t:
  x_sq = x * x
  with t.stop_recording():
    debug = tf.reduce_max([x_sq, y * y])
  z = x_sq * y

print('so far', debug.numpy())
grad = t.gradient(z, {'x': x, 'y': y})
grad['x'].numpy() + grad['y'].numpy()
""",
        keys=("dz/dx", "dz/dy"),
    ),
    TapeCell(
        "gradient asked while recording is stopped",
        """%%grad
w = tf.Variable([1.0, -2.0])
with tf.GradientTape(persistent=True) as tape:
    for _ in range(2):
        loss = tf.reduce_sum(w**2)
        with tape.stop_recording():
            g = tape.gradient(loss, w)
        w.assign_sub(0.25 * g)
print(w.numpy())
""",
        keys=("dloss/dw",),
        calls=2,
    ),
    TapeCell(
        "tape reset",
        """%%grad
x = tf.Variable(2.0)
y = tf.Variable(3.0)
reset = True

with tf.GradientTape() as t:
  y_sq = y * y
  if reset:
    # Throw out all the tape recorded so far.
    t.reset()
  z = x * x + 5.0 * x

t.gradient(z, x)
""",
        keys=("dz/dx",),
    ),
    TapeCell(
        "dictionary of targets",
        """%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
  y0 = x**2
  y1 = 1 / x

print(tape.gradient({'y0': y0, 'y1': y1}, x).numpy())
""",
    ),
    TapeCell(
        "list of targets",
        """%%grad
x = tf.Variable(0.5)
with tf.GradientTape(persistent=True) as tape:
    data_term = (x - 1.0)**2
    penalty = 0.1 * x**4
both = tape.gradient([data_term, penalty], x)
one = tape.gradient(data_term, x)
two = tape.gradient(penalty, x)
assert abs(both - one - two) < 1e-6
""",
        keys=("d(data_term+penalty)/dx", "ddata_term/dx", "dpenalty/dx"),
        calls=3,
    ),
    TapeCell(
        "curve and its slope",
        """%%grad
xs = tf.linspace(-2.0, 2.0, 9)
with tf.GradientTape() as tape:
    tape.watch(xs)
    ys = tf.nn.sigmoid(xs)
dys = tape.gradient(ys, xs)
for a, b in zip(xs.numpy(), dys.numpy()):
    print(f"{a:5.2f} {'*' * int(100 * b)}")
""",
        keys=("dys/dxs",),
    ),
    TapeCell(
        "long curve and its slope",
        """%%grad
x = tf.linspace(-10.0, 10.0, 200 + 1)
with tf.GradientTape() as tape:
  tape.watch(x)
  y = tf.nn.sigmoid(x)
dy_dx = tape.gradient(y, x)
print(dy_dx.shape, float(tf.reduce_max(dy_dx)))
""",
        keys=("dy/dx",),
        derived=False,
    ),
    TapeCell(
        "last line silenced",
        """%%grad
theta = tf.Variable(math.pi / 6)
with tf.GradientTape() as tape:
    r = tf.cos(theta)**3
slope = tape.gradient(r, theta)
slope;
""",
        keys=("dr/dtheta",),
    ),
    TapeCell(
        "prints in the middle",
        """%%grad
x = tf.Variable(1.2)
print("x is", x.numpy())
with tf.GradientTape() as tape:
    print("recording ...")
    u = x**2 + 1
    print(f"u = {u.numpy():.2f}")
    f = tf.math.log(u)
print("asking ...")
df_dx = tape.gradient(f, x)
print(f"df/dx = {df_dx.numpy():.4f}, by hand {2 * 1.2 / (1.44 + 1):.4f}")
""",
        keys=("df/dx",),
    ),
    TapeCell(
        "arguments spread over lines",
        """%%grad
kernel_1 = tf.Variable([[0.3, 0.1], [-0.2, 0.4]])
kernel_2 = tf.Variable([[1.0], [0.5]])
inputs = tf.constant([[1.0, 2.0]])
with tf.GradientTape(
    persistent=False,
    watch_accessed_variables=True,
) as tape:
    hidden = tf.nn.softplus(
        tf.matmul(
            inputs,
            kernel_1,
        )
    )
    objective = tf.reduce_sum(
        tf.matmul(hidden, kernel_2)
    )
(
    grad_1,
    grad_2,
) = tape.gradient(
    target=objective,
    sources=[
        kernel_1,  # the hidden layer
        kernel_2,
    ],
)
grad_2.numpy().ravel().tolist()
""",
        keys=("dobjective/dkernel_1", "dobjective/dkernel_2"),
    ),
    TapeCell(
        "walrus in a condition",
        """%%grad
w = tf.Variable(0.8)
with tf.GradientTape() as tape:
    loss = (w - 2.0) ** 4
if (g := tape.gradient(loss, w)) is not None and abs(g) > 1:
    w.assign_sub(0.01 * g)
    print('moved to', w.numpy())
""",
        keys=("dloss/dw",),
    ),
    TapeCell(
        "name bound again on the way",
        """%%grad
x = tf.Variable(0.7)
with tf.GradientTape() as tape:
    out = x * 2
    out = tf.tanh(out)
    out += 0.5 * x
    out = out * out
grad = tape.gradient(out, x)
grad
""",
        keys=("dout/dx",),
    ),
    TapeCell(
        "integers aside",
        """%%grad
counter = tf.Variable(0, trainable=False, dtype=tf.int64)
labels = tf.constant([2, 0, 1])
logits = tf.Variable([[0.1, 0.2, 0.3], [1.0, -1.0, 0.0], [0.0, 0.5, 0.0]])
with tf.GradientTape() as tape:
    counter.assign_add(1)
    onehot = tf.one_hot(labels, depth=3)
    n = tf.cast(tf.shape(logits)[0], tf.float32)
    correct = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
    loss = -tf.reduce_sum(onehot * tf.nn.log_softmax(logits)) / n
dlogits = tape.gradient(loss, logits)
print(counter.numpy(), int(tf.math.count_nonzero(correct)), dlogits.shape)
""",
        keys=("dloss/dlogits",),
    ),
    TapeCell(
        "double precision",
        """%%grad
x = tf.Variable(1e-3, dtype=tf.float64)
with tf.GradientTape() as tape:
    y = tf.math.expm1(x) / x
print(tape.gradient(y, x).numpy())
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "complex amplitude",
        """%%grad
z = tf.Variable(1.0 + 2.0j, dtype=tf.complex64)
with tf.GradientTape() as tape:
    power = tf.math.real(z * tf.math.conj(z))
tape.gradient(power, z).numpy()
""",
        keys=("dpower/dz",),
        derived=False,
    ),
    TapeCell(
        "isinstance of a tape",
        """%%grad
x = tf.constant(1.0)
tape = tf.GradientTape()
assert isinstance(tape, tf.GradientTape)
with tape as same:
    same.watch(x)
    y = tf.math.atan(x)
assert same is tape
assert callable(tf.GradientTape.gradient)
print(type(tape.gradient(y, x)).__name__)
""",
        keys=("dy/dx",),
    ),
)

OPTIONS = (
    TapeCell(
        "output gradients by keyword",
        """%%grad
x = tf.Variable([1.0, 2.0, 3.0])
weights = tf.constant([1.0, 0.1, 0.01])
with tf.GradientTape() as tape:
    y = x**3
vjp = tape.gradient(y, x, output_gradients=weights)
print(vjp.numpy())
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "output gradients by position",
        """%%grad
a = tf.constant([[1.0, 2.0], [3.0, 4.0]])
b = tf.constant([[0.5], [-1.0]])
upstream = tf.constant([[1.0], [2.0]])
with tf.GradientTape() as tape:
    tape.watch(a)
    tape.watch(b)
    c = tf.matmul(a, b)
da, db = tape.gradient(c, [a, b], upstream)
assert np.allclose(da, upstream @ tf.transpose(b))
assert np.allclose(db, tf.transpose(a) @ upstream)
""",
        keys=("dc/da", "dc/db"),
    ),
    TapeCell(
        "output gradients for two targets",
        """%%grad
x = tf.Variable([0.5, 1.0])
with tf.GradientTape() as tape:
    s = tf.sin(x)
    c = tf.cos(x)
tape.gradient([s, c], x, output_gradients=[tf.cos(x), -tf.sin(x)])
""",
    ),
    TapeCell(
        "backpropagation by hand through a middle layer",
        """%%grad
x = tf.Variable([0.2, -0.3])
with tf.GradientTape() as first:
    h = tf.exp(x)
with tf.GradientTape() as second:
    second.watch(h)
    out = tf.reduce_sum(h**2)
dh = second.gradient(out, h)
dx = first.gradient(h, x, output_gradients=dh)
dx.numpy()
""",
        keys=("dout/dh", "dh/dx"),
        calls=2,
    ),
    TapeCell(
        "unconnected as zero, by enum",
        """%%grad
x = tf.Variable([2., 2.])
y = tf.Variable(3.)

with tf.GradientTape() as tape:
  z = y**2
gx, gy = tape.gradient(z, [x, y], unconnected_gradients=tf.UnconnectedGradients.ZERO)
print(gx, gy)
""",
        keys=("dz/dx", "dz/dy"),
    ),
    TapeCell(
        "unconnected as zero, by word",
        """%%grad
used = tf.Variable(1.5)
spare = tf.Variable([[1.0, 0.0]])
with tf.GradientTape() as tape:
    loss = tf.math.cosh(used)
grads = tape.gradient(loss, {'used': used, 'spare': spare}, unconnected_gradients='zero')
{k: v.numpy() for k, v in grads.items()}
""",
        keys=("dloss/dused", "dloss/dspare"),
    ),
    TapeCell(
        "unconnected as none, said aloud",
        """%%grad
p = tf.Variable(0.3)
with tf.GradientTape() as tape:
    entropy = -p * tf.math.log(p) - (1 - p) * tf.math.log(1 - p)
dH = tape.gradient(entropy, p, unconnected_gradients=tf.UnconnectedGradients.NONE)
print('slope of the entropy', dH.numpy())
""",
        keys=("dentropy/dp",),
    ),
    TapeCell(
        "jacobian of a scalar source",
        """%%grad
x = tf.linspace(-3.0, 3.0, 7)
delta = tf.Variable(0.0)

with tf.GradientTape() as tape:
  y = tf.nn.sigmoid(x+delta)

dy_dx = tape.jacobian(y, delta)
print(dy_dx.shape)
""",
        keys=("dy/ddelta",),
    ),
    TapeCell(
        "jacobian of polar coordinates",
        """%%grad
polar = tf.Variable([2.0, 0.5])
with tf.GradientTape() as tape:
    r, phi = polar[0], polar[1]
    xy = tf.stack([r * tf.cos(phi), r * tf.sin(phi)])
J = tape.jacobian(xy, polar)
print('det J =', tf.linalg.det(J).numpy(), '(should be r)')
""",
        keys=("dxy/dpolar",),
    ),
    TapeCell(
        "jacobian of a dense layer",
        """%%grad
keras.utils.set_random_seed(2)
layer = tf.keras.layers.Dense(3, activation='softplus')
x = tf.constant([[0.5, -1.0]])

with tf.GradientTape(persistent=True) as tape:
  y = layer(x)

j = tape.jacobian(y, layer.kernel)
print(layer.kernel.shape, j.shape)
g = tape.gradient(y, layer.kernel)
assert np.allclose(g, tf.reduce_sum(j, axis=[0, 1]), atol=1e-6)
""",
        keys=("dy/dlayer.kernel",),
        calls=2,
    ),
    TapeCell(
        "jacobian of two sources, without pfor",
        """%%grad
m = tf.Variable([[1.0, 2.0], [0.0, 1.0]])
v = tf.Variable([3.0, -1.0])
with tf.GradientTape(persistent=True) as tape:
    image = tf.linalg.matvec(m, v) ** 2
jm, jv = tape.jacobian(image, [m, v], experimental_use_pfor=False)
jm.shape, jv.shape
""",
        keys=("dimage/dm", "dimage/dv"),
    ),
    TapeCell(
        "batch jacobian of a small net",
        """%%grad
x = tf.constant([[0.1, 0.9], [-0.5, 0.3], [1.0, 1.0]])
w = tf.constant([[1.0, -1.0], [0.5, 2.0]])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = tf.tanh(x @ w)
bj = tape.batch_jacobian(y, x)
print(bj.shape)
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "batch jacobian against the full jacobian",
        """%%grad
keras.utils.set_random_seed(3)
x = tf.random.normal([7, 5])
layer1 = tf.keras.layers.Dense(8, activation=tf.nn.elu)
layer2 = tf.keras.layers.Dense(6, activation=tf.nn.elu)

with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
  tape.watch(x)
  y = layer1(x)
  y = layer2(y)

j = tape.jacobian(y, x)
jb = tape.batch_jacobian(y, x)
error = tf.reduce_max(abs(jb - tf.einsum('bxby->bxy', j)))
assert error < 1e-3
print(j.shape, jb.shape)
del tape
""",
        calls=2,
        derived=False,
    ),
    TapeCell(
        "Hessian through the jacobian of the gradient",
        """%%grad
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        f = x[0]**2 * x[1] + x[1]**3
    g = t1.gradient(f, x)
h = t2.jacobian(g, x)
print(g.numpy())
h.numpy()
""",
        keys=("df/dx",),
        calls=2,
    ),
    TapeCell(
        "Hessian entry by entry",
        """%%grad
x = tf.Variable(1.0)
y = tf.Variable(2.0)
with tf.GradientTape(persistent=True) as outer:
    with tf.GradientTape(persistent=True) as inner:
        f = x**2 * y + x * y**3
    df_dx = inner.gradient(f, x)
    df_dy = inner.gradient(f, y)
hessian = [[outer.gradient(row, v).numpy() for v in (x, y)] for row in (df_dx, df_dy)]
print(np.array(hessian))
del inner, outer
""",
        keys=("df/dx", "df/dy"),
        calls=6,
    ),
    TapeCell(
        "Hessian of a layer's kernel",
        """%%grad
keras.utils.set_random_seed(4)
x = tf.constant([[1.0, 0.5, -0.5], [0.2, -1.0, 0.3]])
layer1 = tf.keras.layers.Dense(2, activation=tf.nn.tanh)
layer2 = tf.keras.layers.Dense(2, activation=tf.nn.tanh)

with tf.GradientTape() as t2:
  with tf.GradientTape() as t1:
    x1 = layer1(x)
    x1 = layer2(x1)
    loss = tf.reduce_mean(x1**2)

  g = t1.gradient(loss, layer1.kernel)

h = t2.jacobian(g, layer1.kernel)
print(f'layer.kernel.shape: {layer1.kernel.shape}')
print(f'h.shape: {h.shape}')
""",
        keys=("dloss/dlayer1.kernel",),
        calls=2,
    ),
    TapeCell(
        "Hessian times a vector",
        """%%grad
w = tf.Variable([1.0, -1.0, 0.5])
v = tf.constant([0.0, 1.0, 2.0])
with tf.GradientTape() as back_tape:
    with tf.GradientTape() as fwd_tape:
        loss = tf.reduce_sum(w**4) + tf.reduce_prod(w)
    grad = fwd_tape.gradient(loss, w)
hvp = back_tape.gradient(grad, w, output_gradients=v)
print(hvp.numpy())
""",
        keys=("dloss/dw",),
        calls=2,
    ),
)

NESTED = (
    TapeCell(
        "second derivative, inner gradient in the outer block",
        """%%grad
x = tf.Variable(0.5)
with tf.GradientTape() as tape2:
    with tf.GradientTape() as tape1:
        y = tf.sin(x) * x
    dy_dx = tape1.gradient(y, x)
d2y_dx2 = tape2.gradient(dy_dx, x)
print('first', dy_dx.numpy(), 'second', d2y_dx2.numpy())
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    TapeCell(
        "second derivative, inner gradient in the inner block",
        """%%grad
x = tf.Variable(0.5)
with tf.GradientTape() as tape2:
    with tf.GradientTape() as tape1:
        y = tf.exp(-x**2)
        dy_dx = tape1.gradient(y, x)
d2y_dx2 = tape2.gradient(dy_dx, x)
d2y_dx2
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    TapeCell(
        "both tapes in one with statement",
        """%%grad
t = tf.Variable(2.0)
with tf.GradientTape() as acc_tape, tf.GradientTape() as vel_tape:
    position = 4.9 * t**2 + 3.0 * t
    velocity = vel_tape.gradient(position, t)
acceleration = acc_tape.gradient(velocity, t)
print(f"v = {velocity.numpy():.2f} m/s, a = {acceleration.numpy():.2f} m/s^2")
""",
        keys=("dposition/dt",),
        calls=2,
    ),
    TapeCell(
        "three tapes deep",
        """%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as t3:
    with tf.GradientTape() as t2:
        with tf.GradientTape() as t1:
            y = x**5
        dy_dx = t1.gradient(y, x)
    d2y_dx2 = t2.gradient(dy_dx, x)
d3y_dx3 = t3.gradient(d2y_dx2, x)
print(dy_dx.numpy(), d2y_dx2.numpy(), d3y_dx3.numpy())
""",
        keys=("dy/dx", "d2y/dx2", "d3y/dx3"),
        calls=3,
    ),
    TapeCell(
        "three tapes deep, all asked in the innermost block",
        """%%grad
x = tf.constant(1.0)
with tf.GradientTape() as g3:
  g3.watch(x)
  with tf.GradientTape() as g2:
    g2.watch(x)
    with tf.GradientTape() as g1:
      g1.watch(x)
      y = x * tf.math.log(x + 1.0)
      dy_dx = g1.gradient(y, x)
      d2y_dx2 = g2.gradient(dy_dx, x)
      d3y_dx3 = g3.gradient(d2y_dx2, x)
print([float(d) for d in (dy_dx, d2y_dx2, d3y_dx3)])
""",
        keys=("dy/dx", "d2y/dx2", "d3y/dx3"),
        calls=3,
    ),
    TapeCell(
        "input gradient penalty",
        """%%grad
x = tf.constant([[0.4, -0.2], [1.0, 0.3]])
w = tf.Variable([[0.5], [-1.0]])

with tf.GradientTape() as t2:
  # The inner tape only takes the gradient with respect to the input, not the variables.
  with tf.GradientTape(watch_accessed_variables=False) as t1:
    t1.watch(x)
    y = tf.tanh(x @ w)
    out = tf.reduce_sum(y**2)
  # 1. Calculate the input gradient.
  g1 = t1.gradient(out, x)
  # 2. Calculate the magnitude of the input gradient.
  g1_mag = tf.norm(g1)

# 3. Calculate the gradient of the magnitude with respect to the model.
dg1_mag = t2.gradient(g1_mag, w)
print(dg1_mag.shape)
""",
        keys=("dout/dx", "dg1_mag/dw"),
        calls=2,
    ),
    TapeCell(
        "WGAN-GP critic step",
        """%%grad
class Critic(tf.Module):
    def __init__(self):
        super().__init__()
        self.w1 = tf.Variable([[0.6, -0.3, 0.2], [0.1, 0.5, -0.4]])
        self.w2 = tf.Variable([[0.7], [-0.2], [0.3]])

    def __call__(self, x):
        return tf.nn.tanh(x @ self.w1) @ self.w2


def gradient_penalty(critic, real, fake, alpha):
    interpolated = real + alpha * (fake - real)
    with tf.GradientTape() as gp_tape:
        gp_tape.watch(interpolated)
        pred = critic(interpolated)
    grads = gp_tape.gradient(pred, [interpolated])[0]
    norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1]))
    return tf.reduce_mean((norm - 1.0) ** 2)


critic = Critic()
real = tf.constant([[1.0, 2.0], [0.5, -0.5]])
fake = tf.constant([[0.0, 0.3], [-1.0, 0.8]])
alpha = tf.constant([[0.25], [0.75]])
gp_weight = 10.0
with tf.GradientTape() as tape:
    c_cost = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real))
    gp = gradient_penalty(critic, real, fake, alpha)
    c_loss = c_cost + gp * gp_weight
c_gradient = tape.gradient(c_loss, critic.trainable_variables)
for v, g in zip(critic.trainable_variables, c_gradient):
    v.assign_sub(0.01 * g)
print(f"penalty {gp:.4f}")
""",
        keys=(
            "dc_loss/dcritic.trainable_variables[0]",
            "dc_loss/dcritic.trainable_variables[1]",
        ),
        calls=2,
    ),
    TapeCell(
        "PINN for an exponential decay",
        """%%grad
keras.utils.set_random_seed(5)
model = keras.Sequential([
    keras.layers.Input((1,)),
    keras.layers.Dense(4, activation='tanh'),
    keras.layers.Dense(1),
])
optimizer = keras.optimizers.Adam(0.01)
t_col = tf.reshape(tf.linspace(0.0, 1.0, 5), (-1, 1))

for epoch in range(3):
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner_tape:
            inner_tape.watch(t_col)
            u = model(t_col)
        u_t = inner_tape.gradient(u, t_col)
        residual = u_t + 2.0 * u
        loss_ode = tf.reduce_mean(tf.square(residual))
        loss_ic = tf.reduce_mean(tf.square(model(tf.zeros((1, 1))) - 1.0))
        loss = loss_ode + loss_ic
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    print(epoch, float(loss))
""",
        keys=("du/dt_col", "dloss/dmodel.trainable_variables[0]"),
        calls=6,
    ),
    TapeCell(
        "PINN residual of the heat equation",
        """%%grad
W1 = tf.Variable([[0.5, -0.4, 0.3], [0.2, 0.6, -0.1]])
b1 = tf.Variable([0.1, 0.0, -0.1])
W2 = tf.Variable([[0.8], [-0.5], [0.4]])

def net(x, t):
    return tf.tanh(tf.concat([x, t], 1) @ W1 + b1) @ W2

def pde_residual(x, t, nu=0.1):
    with tf.GradientTape() as tape_xx:
        tape_xx.watch(x)
        with tf.GradientTape(persistent=True) as tape_x:
            tape_x.watch([x, t])
            u = net(x, t)
        u_x = tape_x.gradient(u, x)
        u_t = tape_x.gradient(u, t)
    u_xx = tape_xx.gradient(u_x, x)
    del tape_x
    return u_t - nu * u_xx

x_f = tf.constant([[0.2], [0.5], [0.8]])
t_f = tf.constant([[0.0], [0.3], [0.6]])
with tf.GradientTape() as tape:
    res = pde_residual(x_f, t_f)
    mse_f = tf.reduce_mean(res**2)
gW1, gb1, gW2 = tape.gradient(mse_f, [W1, b1, W2])
print(mse_f.numpy(), gW1.shape, gb1.shape, gW2.shape)
""",
        keys=("dmse_f/dW1", "dmse_f/db1", "dmse_f/dW2"),
        calls=4,
    ),
    TapeCell(
        "MAML inner and outer step",
        """%%grad
theta = tf.Variable(0.7)
inner_lr, outer_lr = 0.1, 0.05
tasks = [(1.0, 2.0), (2.0, -1.0)]  # (slope seen, slope wanted)
with tf.GradientTape() as outer_tape:
    meta_loss = 0.0
    for support, query in tasks:
        with tf.GradientTape() as inner_tape:
            inner_loss = (theta * support - 1.0) ** 2
        g = inner_tape.gradient(inner_loss, theta)
        adapted = theta - inner_lr * g
        meta_loss += (adapted * support - query) ** 2
meta_grad = outer_tape.gradient(meta_loss, theta)
theta.assign_sub(outer_lr * meta_grad)
theta.numpy()
""",
        keys=("dinner_loss/dtheta", "dmeta_loss/dtheta"),
        calls=3,
    ),
    TapeCell(
        "MAML with weights in a list",
        """%%grad
weights = [tf.Variable([[0.4, -0.6]]), tf.Variable([[0.3], [0.9]])]

def forward(x, ws):
    return tf.nn.sigmoid(x @ ws[0]) @ ws[1]

def mse(y, p):
    return tf.reduce_mean((y - p) ** 2)

x_s, y_s = tf.constant([[0.0], [1.0]]), tf.constant([[0.0], [0.8]])
x_q, y_q = tf.constant([[0.5], [1.5]]), tf.constant([[0.5], [1.0]])

with tf.GradientTape() as test_tape:
    with tf.GradientTape() as train_tape:
        train_loss = mse(y_s, forward(x_s, weights))
    gradients = train_tape.gradient(train_loss, weights)
    fast = [w - 0.1 * g for w, g in zip(weights, gradients)]
    test_loss = mse(y_q, forward(x_q, fast))
meta = test_tape.gradient(test_loss, weights)
[m.numpy().round(4).tolist() for m in meta]
""",
        keys=(
            "dtrain_loss/dweights[0]",
            "dtrain_loss/dweights[1]",
            "dtest_loss/dweights[0]",
            "dtest_loss/dweights[1]",
        ),
        calls=2,
    ),
    TapeCell(
        "hypergradient of a learning rate",
        """%%grad
lr = tf.Variable(0.1)
w = tf.constant([1.0, -2.0])
with tf.GradientTape() as outer:
    cur = w
    for _ in range(3):
        with tf.GradientTape() as inner:
            inner.watch(cur)
            loss = tf.reduce_sum(cur**2 * [1.0, 0.5])
        cur = cur - lr * inner.gradient(loss, cur)
    final = tf.reduce_sum(cur**2 * [1.0, 0.5])
print('d final / d lr', outer.gradient(final, lr).numpy())
""",
        keys=("dfinal/dlr",),
        calls=4,
    ),
)

FUNCTIONS = (
    TapeCell(
        "function of this cell",
        """%%grad
def derivative(f, x):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


def poly(t):
    return 3 * t**2 - 2 * t + 1


print(derivative(poly, 2.0).numpy())
print(derivative(tf.sin, 0.0).numpy())
""",
        keys=("dy/dx",),
        calls=2,
    ),
    TapeCell(
        "functions of earlier cells",
        """%%grad
W = tf.Variable(5.0)
B = tf.Variable(0.0)
for i in range(4):
    current = train(W, B, inputs, outputs, 0.1)
    print(i, current.numpy())
""",
        before="""def model(w, b, x):
    return w * x + b

def loss_fn(target_y, predicted_y):
    return tf.reduce_mean(tf.square(target_y - predicted_y))
###
inputs = tf.constant([-1.0, 0.0, 0.5, 1.0])
outputs = 3.0 * inputs + 2.0
###
def train(w, b, x, y, learning_rate):
    with tf.GradientTape() as t:
        current_loss = loss_fn(y, model(w, b, x))
    dw, db = t.gradient(current_loss, [w, b])
    w.assign_sub(learning_rate * dw)
    b.assign_sub(learning_rate * db)
    return current_loss
""",
        keys=("dcurrent_loss/dw", "dcurrent_loss/db"),
        calls=4,
    ),
    TapeCell(
        "class of an earlier cell",
        """%%grad
reg = LinearRegression(n_features=2)
history = reg.fit(X, y, epochs=5)
print([round(h, 4) for h in history])
reg.w.numpy()
""",
        before="""class LinearRegression:
    '''Ordinary least squares by gradient descent.'''

    def __init__(self, n_features, lr=0.1):
        self.w = tf.Variable(tf.zeros([n_features, 1]))
        self.b = tf.Variable(0.0)
        self.lr = lr

    def predict(self, X):
        return tf.matmul(X, self.w) + self.b

    def fit(self, X, y, epochs):
        losses = []
        for _ in range(epochs):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self.predict(X) - y) ** 2)
            dw, db = tape.gradient(loss, [self.w, self.b])
            self.w.assign_sub(self.lr * dw)
            self.b.assign_sub(self.lr * db)
            losses.append(float(loss))
        return losses
###
X = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
y = tf.constant([[1.0], [2.0], [3.0]])
""",
        keys=("dloss/dself.w", "dloss/dself.b"),
        calls=5,
    ),
    TapeCell(
        "class of this cell, list of own variables",
        """%%grad
class Perceptron(object):
  def __init__(self):
    self.W = tf.Variable([[0.1], [0.2]])
    self.B = tf.Variable([0.0])
    self.params = [self.W, self.B]

  def __call__(self, x):
    return tf.sigmoid(x @ self.W + self.B)

  def step(self, x, y):
    with tf.GradientTape() as tape:
      p = self(x)
      bce = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))
    for var, g in zip(self.params, tape.gradient(bce, self.params)):
      var.assign_sub(0.5 * g)
    return bce

net = Perceptron()
print(net.step(tf.constant([[0., 1.], [1., 1.]]), tf.constant([[0.], [1.]])).numpy())
""",
        keys=("dbce/dself.params[0]", "dbce/dself.params[1]"),
    ),
    TapeCell(
        "static method, class method and property",
        """%%grad
class Spring:
    stiffness = tf.Variable(4.0)

    def __init__(self, x):
        self.x = tf.Variable(x)

    @staticmethod
    def energy(k, x):
        return 0.5 * k * x**2

    @property
    def force(self):
        with tf.GradientTape() as tape:
            potential = self.energy(self.stiffness, self.x)
        return -tape.gradient(potential, self.x)

    @classmethod
    def softness(cls, x):
        with tf.GradientTape() as tape:
            energy = cls.energy(cls.stiffness, x)
        return tape.gradient(energy, cls.stiffness)

s = Spring(0.25)
print(s.force.numpy(), Spring.softness(2.0).numpy())
""",
        keys=("dpotential/dself.x", "denergy/dcls.stiffness"),
        calls=2,
    ),
    TapeCell(
        "trainer that holds its model",
        """%%grad
class Model(tf.Module):
    def __init__(self):
        self.weight = tf.Variable(1.0)
        self.bias = tf.Variable(0.0)

    def __call__(self, x):
        return self.weight * x + self.bias

class Trainer:
    def __init__(self, model):
        self.model = model

    def train_step(self, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((self.model(x) - y) ** 2)
        grads = tape.gradient(loss, [self.model.weight, self.model.bias])
        for v, g in zip([self.model.weight, self.model.bias], grads):
            v.assign_sub(0.1 * g)
        return loss

trainer = Trainer(Model())
trainer.train_step(tf.constant([0.0, 1.0]), tf.constant([1.0, 3.0])).numpy()
""",
        keys=("dloss/dself.model.weight", "dloss/dself.model.bias"),
    ),
    TapeCell(
        "lambda that asks the tape",
        """%%grad
x = tf.Variable(1.0)
ask = lambda tape, y: tape.gradient(y, x)
with tf.GradientTape() as t:
    area = math.pi * x**2
print(ask(t, area).numpy())
""",
    ),
    TapeCell(
        "list of lambdas under test",
        """%%grad
funcs = {
    'square': lambda t: t**2,
    'cube': lambda t: t**3,
    'gauss': lambda t: tf.exp(-t * t),
}
x0 = tf.Variable(0.5)
for name, f in funcs.items():
    with tf.GradientTape() as tape:
        value = f(x0)
    print(f"{name:>8}: f = {value.numpy():.3f}, f' = {tape.gradient(value, x0).numpy():.3f}")
""",
        keys=("dvalue/dx0",),
        calls=3,
    ),
    TapeCell(
        "list comprehension of answers",
        """%%grad
x = tf.Variable(1.5)
with tf.GradientTape(persistent=True) as tape:
    powers = [x**n for n in range(1, 5)]
slopes = [tape.gradient(p, x).numpy() for p in powers]
print(slopes)
""",
        calls=4,
    ),
    TapeCell(
        "dictionary comprehension of answers",
        """%%grad
alpha = tf.Variable(0.2)
with tf.GradientTape(persistent=True) as tape:
    terms = {'l1': 3.0 * alpha, 'l2': alpha**2, 'smooth': tf.sqrt(alpha**2 + 1e-2)}
report = {name: float(tape.gradient(term, alpha)) for name, term in terms.items()}
del tape
report
""",
        calls=3,
    ),
    TapeCell(
        "generator of slopes",
        """%%grad
def slopes(points):
    for p in points:
        x = tf.Variable(p)
        with tf.GradientTape() as tape:
            y = x / (1 + x**2)
        yield tape.gradient(y, x).numpy()

for s in slopes([0.0, 0.5, 1.5]):
    print(f'{s:+.3f}')
""",
        keys=("dy/dx",),
        calls=3,
    ),
    TapeCell(
        "generator suspended inside the block",
        """%%grad
def staged(x):
    with tf.GradientTape() as tape:
        y = x**2
        yield y
        z = tf.math.log(y)
        yield z
    yield tape.gradient(z, x)

x = tf.Variable(4.0)
*values, slope = staged(x)
print([v.numpy() for v in values], slope.numpy())
""",
        keys=("dz/dx",),
    ),
    TapeCell(
        "generator expression in sum",
        """%%grad
w = tf.Variable([1.0, 2.0])
batches = [tf.constant([1.0, 0.0]), tf.constant([0.5, 0.5]), tf.constant([0.0, 2.0])]
with tf.GradientTape(persistent=True) as tape:
    losses = [tf.reduce_sum(w * b) ** 2 for b in batches]
mean_grad = sum(tape.gradient(loss, w) for loss in losses) / len(losses)
mean_grad.numpy()
""",
        calls=3,
    ),
    TapeCell(
        "sources by a loop variable",
        """%%grad
height = tf.Variable(1.8)
weight = tf.Variable(75.0)
with tf.GradientTape(persistent=True) as tape:
    bmi = weight / height**2
for name, var in [('height', height), ('weight', weight)]:
    print(name, tape.gradient(bmi, var).numpy())
""",
        calls=2,
    ),
    TapeCell(
        "map over sources",
        """%%grad
abc = [tf.Variable(1.0), tf.Variable(-3.0), tf.Variable(2.0)]
with tf.GradientTape(persistent=True) as tape:
    a, b, c = abc
    root = (-b + tf.sqrt(b**2 - 4 * a * c + 1.0)) / (2 * a)
sensitivities = list(map(lambda p: tape.gradient(root, p), abc))
print(*[s.numpy() for s in sensitivities])
""",
        calls=3,
    ),
    TapeCell(
        "recursive higher derivatives",
        """%%grad
def nth_derivative(f, x, n):
    if n == 0:
        return f(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        lower = nth_derivative(f, x, n - 1)
    return tape.gradient(lower, x)

at = tf.constant(1.0)
[nth_derivative(lambda t: t**4, at, n).numpy() for n in range(4)]
""",
        calls=6,
    ),
    TapeCell(
        "decorator with wraps",
        """%%grad
import functools

def grad(f):
    @functools.wraps(f)
    def wrapper(x, *args, **kwargs):
        x = tf.Variable(x)
        with tf.GradientTape() as tape:
            value = f(x, *args, **kwargs)
        return tape.gradient(value, x)
    return wrapper

@grad
def hill(x, n=2):
    '''Hill curve.'''
    return x**n / (1.0 + x**n)

print(hill.__name__, hill(0.5).numpy(), hill(0.5, n=3).numpy())
""",
        keys=("dvalue/dx",),
        calls=2,
    ),
    TapeCell(
        "decorator taken twice",
        """%%grad
def D(f):
    def df(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)
    return df

f = lambda x: tf.sin(2 * x)
x0 = tf.constant(0.3)
print(D(f)(x0).numpy(), D(D(f))(x0).numpy())
""",
        calls=3,
    ),
    TapeCell(
        "global statement",
        """%%grad
weight = tf.Variable(2.0)
last_grad = None

def update():
    global last_grad, weight
    with tf.GradientTape() as tape:
        cost = tf.math.log(1 + weight**2)
    last_grad = tape.gradient(cost, weight)
    weight = tf.Variable(weight - 0.5 * last_grad)

update()
update()
print(last_grad.numpy(), weight.numpy())
""",
        keys=("dcost/dweight",),
        calls=2,
    ),
    TapeCell(
        "closure over the parameters",
        """%%grad
def make_objective(data):
    mu = tf.Variable(0.0)

    def value_and_grad():
        with tf.GradientTape() as tape:
            nll = 0.5 * tf.reduce_sum((data - mu) ** 2)
        return nll, tape.gradient(nll, mu)

    return mu, value_and_grad

mu, value_and_grad = make_objective(tf.constant([1.0, 2.0, 6.0]))
nll, g = value_and_grad()
mu.assign_sub(g / 3)
print(nll.numpy(), g.numpy(), mu.numpy())
""",
        keys=("dnll/dmu",),
    ),
    TapeCell(
        "own context manager around the tape",
        """%%grad
from contextlib import contextmanager

@contextmanager
def recording(*tensors):
    with tf.GradientTape() as tape:
        for t in tensors:
            tape.watch(t)
        yield tape

p = tf.constant([0.2, 0.3, 0.5])
with recording(p) as tp:
    H = -tf.reduce_sum(p * tf.math.log(p))
print(tp.gradient(H, p).numpy())
""",
        keys=("dH/dp",),
    ),
    TapeCell(
        "own subclass of the tape",
        """%%grad
class SlopeTape(tf.GradientTape):
    def slope(self, y, x):
        return self.gradient(y, x)

x = tf.Variable(0.1)
with SlopeTape() as tape:
    y = tf.math.asinh(x)
tape.slope(y, x).numpy()
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "bound method kept under a name",
        """%%grad
from functools import partial

x = tf.Variable(3.0)
y = tf.Variable(4.0)
with tf.GradientTape(persistent=True) as tape:
    r = tf.sqrt(x * x + y * y)
grad_r = partial(tape.gradient, r)
gradient = tape.gradient
print(grad_r(x).numpy(), gradient(r, y).numpy())
""",
        calls=2,
    ),
)

SPELLINGS = (
    TapeCell(
        "alias of the class",
        """%%grad
Tape = tf.GradientTape
x = tf.Variable(0.9)
with Tape() as t:
    y = tf.acos(x)
print(t.gradient(y, x))
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "class imported directly",
        """%%grad
from tensorflow import GradientTape, Variable, constant, matmul

A = Variable([[2.0, 1.0], [1.0, 3.0]])
b = constant([[1.0], [2.0]])
with GradientTape() as gt:
    quad = matmul(b, matmul(A, b), transpose_a=True)
gA = gt.gradient(quad, A)
gA.numpy()
""",
        keys=("dquad/dA",),
    ),
    TapeCell(
        "class imported in an earlier cell",
        """%%grad
x = tf.Variable(10.0)
with GT(persistent=True) as g:
    db = 20.0 * tf.math.log(x) / math.log(10.0)
print("per unit", g.gradient(db, x).numpy())
""",
        before="from tensorflow import GradientTape as GT",
        keys=("ddb/dx",),
    ),
    TapeCell(
        "module under another name",
        """%%grad
import tensorflow as tensorf

c = tensorf.Variable(36.6)
with tensorf.GradientTape() as tape:
    f = c * 9 / 5 + 32
print(tape.gradient(f, c).numpy())
""",
        keys=("df/dc",),
    ),
    TapeCell(
        "class from the private module",
        """%%grad
from tensorflow.python.eager import backprop

v = tf.Variable(2.0)
with backprop.GradientTape() as tape:
    e_kin = 0.5 * 3.0 * v**2
tape.gradient(e_kin, v).numpy()
""",
        keys=("de_kin/dv",),
    ),
    TapeCell(
        "tape factory by partial",
        """%%grad
import functools
ptape = functools.partial(tf.GradientTape, persistent=True)
x = tf.Variable(1.0)
y = tf.Variable(2.0)
with ptape() as tape:
    z = x * tf.exp(y)
print(tape.gradient(z, x).numpy(), tape.gradient(z, y).numpy())
""",
        keys=("dz/dx", "dz/dy"),
        calls=2,
    ),
    TapeCell(
        "tape entered and left by hand",
        """%%grad
x = tf.Variable(2.0)
tape = tf.GradientTape()
tape.__enter__()
y = x**3 - 4 * x
tape.__exit__(None, None, None)
dy = tape.gradient(y, x)
print("dy/dx at 2:", dy.numpy())
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "tape object entered twice",
        """%%grad
w = tf.Variable(1.0)
tape = tf.GradientTape(persistent=True)
with tape:
    first = w**2
offset = 10.0
with tape:
    second = first * w + offset
print(tape.gradient(second, w).numpy())
""",
        keys=("dsecond/dw",),
    ),
    TapeCell(
        "asked within the block",
        """%%grad
x = tf.Variable([1.0, 4.0])
with tf.GradientTape() as tape:
    root = tf.reduce_sum(tf.sqrt(x))
    grad = tape.gradient(root, x)
    x.assign_add(grad)
x.numpy()
""",
        keys=("droot/dx",),
    ),
    TapeCell(
        "left open at the end",
        """%%grad
x = tf.Variable(0.25)
open_tape = tf.GradientTape(persistent=True)
open_tape.__enter__()
odds = x / (1 - x)
logit = tf.math.log(odds)
slope = open_tape.gradient(logit, x)
print(slope.numpy())
""",
        keys=("dlogit/dx",),
    ),
    TapeCell(
        "recorded in an earlier cell",
        """%%grad
dy_dx = tape.gradient(y, x)
print(dy_dx.numpy())
""",
        before="""x = tf.Variable(5.0)
with tf.GradientTape() as tape:
    y = x**2 + 3 * x
""",
        keys=("dy/dx",),
        derived=False,
    ),
    TapeCell(
        "recorded in an earlier cell, asked twice",
        """%%grad
print(tape.gradient(volume, r).numpy())
print(tape.gradient(volume, h).numpy())
""",
        before="""r = tf.Variable(2.0)
h = tf.Variable(3.0)
###
with tf.GradientTape(persistent=True) as tape:
    volume = math.pi * r**2 * h / 3
""",
        keys=("dvolume/dr", "dvolume/dh"),
        calls=2,
        derived=False,
    ),
    TapeCell(
        "made in an earlier cell, entered in this one",
        """%%grad
with recorder:
    recorder.watch(x)
    y = tf.sin(x) / x
recorder.gradient(y, x)
""",
        before="""recorder = tf.GradientTape()
x = tf.constant(2.0)
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "expired tape caught",
        """%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = x * x
    z = y * y
print("dz/dx:", tape.gradient(z, x).numpy())
try:
    print("dy/dx:", tape.gradient(y, x).numpy())
except RuntimeError as err:
    print("RuntimeError:", str(err)[:40])
""",
        keys=("dz/dx",),
    ),
    TapeCell(
        "failed op inside the block caught",
        """%%grad
a = tf.Variable([[1.0, 2.0]])
b = tf.constant([[3.0, 4.0]])
with tf.GradientTape() as tape:
    try:
        prod = tf.matmul(a, b)
    except tf.errors.InvalidArgumentError:
        print('shapes do not match, transposing')
        prod = tf.matmul(a, b, transpose_b=True)
    loss = tf.squeeze(prod) ** 2
tape.gradient(loss, a).numpy()
""",
        keys=("dloss/da",),
    ),
    TapeCell(
        "block left by an exception",
        """%%grad
x = tf.Variable(7.0)
try:
    with tf.GradientTape() as tape:
        y = 1.0 / x
        raise StopIteration('enough recorded')
except StopIteration as stop:
    print(stop)
g = tape.gradient(y, x)
print(g.numpy() * 49)
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "two tapes open at once, asked crosswise",
        """%%grad
x = tf.Variable(1.0)
y = tf.Variable(2.0)
with tf.GradientTape(watch_accessed_variables=False) as tx:
    with tf.GradientTape(watch_accessed_variables=False) as ty:
        tx.watch(x)
        ty.watch(y)
        z = tf.exp(x) * tf.math.log(y) + x * y
print(ty.gradient(z, y).numpy())
print(tx.gradient(z, x).numpy())
""",
        keys=("dz/dx", "dz/dy"),
        calls=2,
    ),
)

TRAINING = (
    TapeCell(
        "five steps of gradient descent",
        """%%grad
x = tf.Variable(0.0)
learning_rate = 0.2
for step in range(5):
    with tf.GradientTape() as tape:
        loss = (x - 3.0) ** 2
    grad = tape.gradient(loss, x)
    x.assign_sub(learning_rate * grad)
    print(f"step {step}: x = {x.numpy():.4f}, loss = {loss.numpy():.4f}")
""",
        keys=("dloss/dx",),
        calls=5,
    ),
    TapeCell(
        "fifty epochs of linear regression",
        """%%grad
rng = np.random.default_rng(0)
X = tf.constant(rng.uniform(-1, 1, 10), dtype=tf.float32)
Y = 3.0 * X + 0.5
m = tf.Variable(0.0)
c = tf.Variable(0.0)
history = []
for epoch in range(50):
    with tf.GradientTape() as tape:
        y_pred = m * X + c
        mse = tf.reduce_mean(tf.square(Y - y_pred))
    dm, dc = tape.gradient(mse, [m, c])
    m.assign_sub(0.3 * dm)
    c.assign_sub(0.3 * dc)
    history.append(mse.numpy())
print(f"slope {m.numpy():.3f}, intercept {c.numpy():.3f}")
""",
        keys=("dmse/dm", "dmse/dc"),
        calls=50,
    ),
    TapeCell(
        "a thousand tiny steps",
        """%%grad
a = tf.Variable(4.0)
for i in range(1000):
    with tf.GradientTape() as tape:
        cost = a * a
    a.assign_sub(0.01 * tape.gradient(cost, a))
a.numpy()
""",
        keys=("dcost/da",),
        calls=1000,
    ),
    TapeCell(
        "early stopping",
        """%%grad
w = tf.Variable(5.0)
for i in range(100):
    with tf.GradientTape() as tape:
        loss = 0.5 * (w - 1.0) ** 2
    g = tape.gradient(loss, w)
    if abs(g.numpy()) < 0.1:
        print('converged after', i)
        break
    w.assign_sub(0.5 * g)
""",
        keys=("dloss/dw",),
        calls=7,
    ),
    TapeCell(
        "while loop with momentum",
        """%%grad
pos = tf.Variable([2.0, -1.0])
velocity = tf.zeros(2)
steps = 0
while steps < 8:
    with tf.GradientTape() as tape:
        bowl = pos[0] ** 2 + 10 * pos[1] ** 2
    grad = tape.gradient(bowl, pos)
    velocity = 0.5 * velocity - 0.02 * grad
    pos.assign_add(velocity)
    steps += 1
pos.numpy().round(3)
""",
        keys=("dbowl/dpos",),
        calls=8,
    ),
    TapeCell(
        "epochs and batches from a dataset",
        """%%grad
xs = tf.constant([0.0, 1.0, 2.0, 3.0])
ys = 2 * xs - 1
dataset = tf.data.Dataset.from_tensor_slices((xs, ys)).batch(2)
slope = tf.Variable(0.5)
shift = tf.Variable(0.0)
for epoch in range(2):
    for step, (xb, yb) in enumerate(dataset):
        with tf.GradientTape() as tape:
            loss_value = tf.reduce_mean(tf.abs(slope * xb + shift - yb) ** 2)
        grads = tape.gradient(loss_value, [slope, shift])
        for var, g in zip([slope, shift], grads):
            var.assign_sub(0.05 * g)
    print(f'epoch {epoch}: {loss_value:.4f}')
""",
        keys=("dloss_value/dslope", "dloss_value/dshift"),
        calls=4,
    ),
    TapeCell(
        "keras model with Adam",
        """%%grad
keras.utils.set_random_seed(7)
model = keras.Sequential([
    keras.Input(shape=(2,)),
    keras.layers.Dense(3, activation="tanh"),
    keras.layers.Dense(1, activation="sigmoid"),
])
optimizer = keras.optimizers.Adam(learning_rate=0.05)
bce = keras.losses.BinaryCrossentropy()
X = tf.constant([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
y = tf.constant([[0.], [1.], [1.], [0.]])
for epoch in range(4):
    with tf.GradientTape() as tape:
        logits = model(X, training=True)
        loss = bce(y, logits)
    grads = tape.gradient(loss, model.trainable_weights)
    optimizer.apply_gradients(zip(grads, model.trainable_weights))
print(f"loss {float(loss):.4f}")
""",
        keys=("dloss/dmodel.trainable_weights[0]", "dloss/dmodel.trainable_weights[3]"),
        calls=4,
    ),
    TapeCell(
        "train step function with SGD",
        """%%grad
def train_step(x, y):
    with tf.GradientTape() as tape:
        predictions = net(x)
        loss = loss_object(y, predictions)
    gradients = tape.gradient(loss, net.trainable_variables)
    gradients, norm = tf.clip_by_global_norm(gradients, 5.0)
    opt.apply_gradients(zip(gradients, net.trainable_variables))
    return loss, norm

for _ in range(3):
    loss, norm = train_step(features, labels)
    print(f"{float(loss):.4f} {float(norm):.4f}")
""",
        before="""keras.utils.set_random_seed(8)
net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
opt = keras.optimizers.SGD(0.1, momentum=0.9)
###
features = tf.constant([[1.0, 0.0, 0.5], [0.2, -0.3, 0.8], [-1.0, 0.4, 0.1], [0.0, 0.9, -0.6]])
labels = tf.constant([0, 2, 1, 1])
""",
        keys=("dloss/dnet.trainable_variables[0]", "dloss/dnet.trainable_variables[1]"),
        calls=3,
    ),
    TapeCell(
        "subclassed keras model",
        """%%grad
class TwoLayer(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, activation='softplus', kernel_initializer='ones')
        self.out = keras.layers.Dense(1, kernel_initializer='ones')

    def call(self, inputs):
        return self.out(self.hidden(inputs))

mlp = TwoLayer()
x = tf.constant([[0.5, -0.2], [-0.4, 0.9]])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(mlp(x) - 1.0))
grads = tape.gradient(loss, mlp.trainable_variables)
for v, g in zip(mlp.trainable_variables, grads):
    v.assign(v - 0.01 * g)
[g.shape for g in grads]
""",
        keys=("dloss/dmlp.trainable_variables[0]", "dloss/dmlp.trainable_variables[3]"),
    ),
    TapeCell(
        "encoder and decoder in one list",
        """%%grad
keras.utils.set_random_seed(9)
encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation='tanh')])
decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
batch = tf.constant([[1., 0., 0., 1.], [0., 1., 1., 0.]])
with tf.GradientTape() as tape:
    code = encoder(batch)
    recon = decoder(code)
    recon_loss = tf.reduce_mean((batch - recon) ** 2)
grads = tape.gradient(recon_loss, [*encoder.trainable_weights, *decoder.trainable_weights])
print(len(grads), float(tf.linalg.global_norm(grads)))
""",
    ),
    TapeCell(
        "concatenated lists of variables",
        """%%grad
actor = [tf.Variable([0.1, 0.2]), tf.Variable(0.0)]
critic = [tf.Variable([0.3, -0.1])]
state = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    logit = tf.tensordot(actor[0], state, 1) + actor[1]
    value = tf.tensordot(critic[0], state, 1)
    total = tf.nn.softplus(-logit) + 0.5 * (value - 1.0) ** 2
variables = actor + critic
grads = tape.gradient(total, variables)
[v.assign_sub(0.1 * g) for v, g in zip(variables, grads)];
""",
        keys=("dtotal/dvariables[0]", "dtotal/dvariables[1]", "dtotal/dvariables[2]"),
    ),
    TapeCell(
        "GAN with two tapes",
        """%%grad
keras.utils.set_random_seed(10)
generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
discriminator = keras.Sequential([
    keras.Input((2,)), keras.layers.Dense(3, activation='tanh'), keras.layers.Dense(1)])
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
generator_optimizer = keras.optimizers.Adam(1e-3)
discriminator_optimizer = keras.optimizers.Adam(1e-3)

def discriminator_loss(real_output, fake_output):
    real_loss = cross_entropy(tf.ones_like(real_output), real_output)
    fake_loss = cross_entropy(tf.zeros_like(fake_output), fake_output)
    return real_loss + fake_loss

def train_step(images, noise):
    with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
        generated_images = generator(noise, training=True)
        real_output = discriminator(images, training=True)
        fake_output = discriminator(generated_images, training=True)
        gen_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        disc_loss = discriminator_loss(real_output, fake_output)

    gen_grads = gen_tape.gradient(gen_loss, generator.trainable_variables)
    disc_grads = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
    generator_optimizer.apply_gradients(zip(gen_grads, generator.trainable_variables))
    discriminator_optimizer.apply_gradients(zip(disc_grads, discriminator.trainable_variables))
    return gen_loss, disc_loss

g, d = train_step(tf.constant([[1.0, 1.2], [0.8, 1.1]]), tf.constant([[0.1, -0.3], [0.7, 0.2]]))
print(f"G {float(g):.3f}  D {float(d):.3f}")
""",
        keys=(
            "dgen_loss/dgenerator.trainable_variables[0]",
            "ddisc_loss/ddiscriminator.trainable_variables[0]",
        ),
        calls=2,
    ),
    TapeCell(
        "toy GAN with scalar players",
        """%%grad
g_w = tf.Variable(0.5)
d_w = tf.Variable(1.0)
noise = tf.constant([-1.0, 0.2, 1.1])
real = tf.constant([2.0, 2.5, 1.8])
for it in range(2):
    with tf.GradientTape(persistent=True) as tape:
        fake = g_w * noise
        d_loss = tf.reduce_mean(tf.nn.softplus(-d_w * real) + tf.nn.softplus(d_w * fake))
        g_loss = tf.reduce_mean(tf.nn.softplus(-d_w * fake))
    d_w.assign_sub(0.1 * tape.gradient(d_loss, d_w))
    g_w.assign_sub(0.1 * tape.gradient(g_loss, g_w))
    del tape
print(d_w.numpy(), g_w.numpy())
""",
        keys=("dd_loss/dd_w", "dg_loss/dg_w"),
        calls=4,
    ),
    TapeCell(
        "logistic regression",
        """%%grad
X = tf.constant([[0.5, 1.0], [-1.0, 0.3], [2.0, -0.7], [0.1, 0.1]])
t = tf.constant([1.0, 0.0, 1.0, 1.0])
w = tf.Variable([0.0, 0.0])
b = tf.Variable(0.0)
for epoch in range(3):
    with tf.GradientTape() as tape:
        logits = tf.linalg.matvec(X, w) + b
        nll = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=t, logits=logits))
        reg = 0.01 * tf.nn.l2_loss(w)
        cost = nll + reg
    dw, db = tape.gradient(cost, [w, b])
    w.assign_sub(1.0 * dw)
    b.assign_sub(1.0 * db)
(w.numpy(), b.numpy())
""",
        keys=("dcost/dw", "dcost/db"),
        calls=3,
    ),
    TapeCell(
        "softmax regression",
        """%%grad
X = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.5]])
Y = tf.one_hot([0, 1, 2, 1], 3)
theta = tf.Variable([[0.1, -0.2, 0.0], [0.3, 0.1, -0.1]])
with tf.GradientTape() as tape:
    probs = tf.nn.softmax(X @ theta)
    ce = -tf.reduce_mean(tf.reduce_sum(Y * tf.math.log(probs), axis=1))
grad = tape.gradient(ce, theta)
by_hand = tf.transpose(X) @ (probs - Y) / 4.0
np.testing.assert_allclose(grad, by_hand, atol=1e-6)
print('cross entropy', ce.numpy())
""",
        keys=("dce/dtheta",),
    ),
    TapeCell(
        "weights of a large layer",
        """%%grad
rng = np.random.default_rng(1)
X = tf.constant(rng.normal(size=(32, 20)), tf.float32)
W = tf.Variable(rng.normal(size=(20, 10)) * 0.1, dtype=tf.float32)
with tf.GradientTape() as tape:
    out = tf.nn.relu(X @ W)
    loss = tf.reduce_mean(tf.reduce_sum(out, axis=1))
dW = tape.gradient(loss, W)
print(dW.shape, round(float(tf.norm(dW)), 4))
""",
        keys=("dloss/dW",),
        derived=False,
    ),
    TapeCell(
        "embedding lookup",
        """%%grad
table = tf.Variable([[0.1, 0.2], [0.3, -0.1], [-0.4, 0.5], [0.0, 0.6]])
center, context = 1, [0, 3]
with tf.GradientTape() as tape:
    v = tf.nn.embedding_lookup(table, [center])
    u = tf.nn.embedding_lookup(table, context)
    score = tf.reduce_sum(u * v, axis=1)
    loss = tf.reduce_sum(tf.nn.softplus(-score))
g = tape.gradient(loss, table)
print(type(g).__name__, g.indices.numpy())
tf.convert_to_tensor(g).numpy()
""",
        keys=("dloss/dtable",),
    ),
    TapeCell(
        "matrix factorization",
        """%%grad
R = tf.constant([[5.0, 3.0, 0.0], [4.0, 0.0, 1.0]])
mask = tf.cast(R > 0, tf.float32)
P = tf.Variable([[0.5], [0.4]])
Q = tf.Variable([[1.0], [0.8], [0.2]])
for _ in range(2):
    with tf.GradientTape() as tape:
        err = mask * (R - tf.matmul(P, Q, transpose_b=True))
        loss = tf.reduce_sum(err**2) + 0.1 * (tf.reduce_sum(P**2) + tf.reduce_sum(Q**2))
    gP, gQ = tape.gradient(loss, [P, Q])
    P.assign_sub(0.02 * gP)
    Q.assign_sub(0.02 * gQ)
print(loss.numpy())
""",
        keys=("dloss/dP", "dloss/dQ"),
        calls=2,
    ),
    TapeCell(
        "recurrent cell unrolled by hand",
        """%%grad
Wx = tf.Variable([[0.5, -0.3]])
Wh = tf.Variable([[0.1, 0.4], [-0.2, 0.3]])
seq = tf.constant([0.5, -1.0, 0.8])
with tf.GradientTape() as tape:
    h = tf.zeros((1, 2))
    for x_t in tf.unstack(seq):
        h = tf.tanh(x_t * Wx + h @ Wh)
    loss = tf.reduce_sum(h**2)
dWx, dWh = tape.gradient(loss, [Wx, Wh])
dWh.numpy()
""",
        keys=("dloss/dWx", "dloss/dWh"),
    ),
    TapeCell(
        "attention of three tokens",
        """%%grad
q = tf.Variable([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
k = tf.constant([[0.2, 0.8], [0.6, -0.4], [1.0, 0.3]])
v = tf.constant([[1.0], [2.0], [3.0]])
with tf.GradientTape() as tape:
    scores = q @ tf.transpose(k) / math.sqrt(2)
    weights = tf.nn.softmax(scores, axis=-1)
    context = weights @ v
    pooled = tf.reduce_mean(context)
tape.gradient(pooled, q).numpy()
""",
        keys=("dpooled/dq",),
    ),
    TapeCell(
        "variational autoencoder's bound",
        """%%grad
mean = tf.Variable([[0.3, -0.2]])
logvar = tf.Variable([[-0.5, 0.1]])
eps = tf.constant([[0.7, -1.1]])
data = tf.constant([[0.0, 1.0]])
with tf.GradientTape() as tape:
    z = mean + tf.exp(0.5 * logvar) * eps
    rec = tf.reduce_sum((data - tf.sigmoid(z)) ** 2)
    kl = -0.5 * tf.reduce_sum(1 + logvar - mean**2 - tf.exp(logvar))
    elbo_loss = rec + kl
d_mean, d_logvar = tape.gradient(elbo_loss, [mean, logvar])
print(d_mean.numpy(), d_logvar.numpy())
""",
        keys=("delbo_loss/dmean", "delbo_loss/dlogvar"),
    ),
    TapeCell(
        "policy gradient of one episode",
        """%%grad
policy = tf.Variable([[0.0, 0.1], [0.2, -0.1]])
states = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
actions = tf.constant([0, 1, 0])
rewards = [0.0, 0.0, 1.0]
returns, running = [], 0.0
for r in rewards[::-1]:
    running = r + 0.9 * running
    returns.insert(0, running)
with tf.GradientTape() as tape:
    log_probs = tf.nn.log_softmax(states @ policy)
    taken = tf.reduce_sum(tf.one_hot(actions, 2) * log_probs, axis=1)
    objective = -tf.reduce_mean(taken * tf.constant(returns))
policy.assign_sub(tape.gradient(objective, policy))
""",
        keys=("dobjective/dpolicy",),
    ),
    TapeCell(
        "TD target computed before the tape",
        """%%grad
q_weights = tf.Variable([0.5, -0.5, 0.2])
s, s_next = tf.constant([1.0, 0.0, 1.0]), tf.constant([0.0, 1.0, 1.0])
reward, gamma = 1.0, 0.95

def q_value(state):
    return tf.reduce_sum(q_weights * state)

td_target = reward + gamma * q_value(s_next).numpy()
with tf.GradientTape() as tape:
    td_error = td_target - q_value(s)
    td_loss = tf.square(td_error)
dq = tape.gradient(td_loss, q_weights)
print(f'TD error {td_error.numpy():.3f}', dq.numpy())
""",
        keys=("dtd_loss/dq_weights",),
    ),
    TapeCell(
        "fit of a Gaussian by maximum likelihood",
        """%%grad
sample = tf.constant([1.2, 0.7, 1.9, 1.4, 0.8])
mu, log_sigma = tf.Variable(0.0), tf.Variable(0.0)
optimizer = tf.keras.optimizers.SGD(learning_rate=0.1)
for i in range(3):
    with tf.GradientTape() as tape:
        sigma = tf.exp(log_sigma)
        nll = tf.reduce_mean(0.5 * ((sample - mu) / sigma) ** 2 + log_sigma)
    gradients = tape.gradient(nll, [mu, log_sigma])
    optimizer.apply_gradients(zip(gradients, [mu, log_sigma]))
    if not i % 2:
        print(i, nll.numpy())
""",
        keys=("dnll/dmu", "dnll/dlog_sigma"),
        calls=3,
    ),
    TapeCell(
        "adversarial example by FGSM",
        """%%grad
keras.utils.set_random_seed(11)
classifier = keras.Sequential([
    keras.Input((3, 3)),
    keras.layers.Flatten(),
    keras.layers.Dense(2, activation='softmax'),
])
loss_object = tf.keras.losses.CategoricalCrossentropy()

def create_adversarial_pattern(input_image, input_label):
  with tf.GradientTape() as tape:
    tape.watch(input_image)
    prediction = classifier(input_image)
    loss = loss_object(input_label, prediction)

  # Get the gradients of the loss w.r.t to the input image.
  gradient = tape.gradient(loss, input_image)
  # Get the sign of the gradients to create the perturbation
  signed_grad = tf.sign(gradient)
  return signed_grad

image = tf.reshape(tf.linspace(0.0, 1.0, 9), (1, 3, 3))
label = tf.constant([[1.0, 0.0]])
perturbations = create_adversarial_pattern(image, label)
adv = tf.clip_by_value(image + 0.1 * perturbations, 0, 1)
perturbations[0].numpy()
""",
        keys=("dloss/dinput_image",),
    ),
    TapeCell(
        "saliency map",
        """%%grad
keras.utils.set_random_seed(12)
cnn = keras.Sequential([
    keras.Input((4, 4, 1)),
    keras.layers.Flatten(),
    keras.layers.Dense(5, activation='tanh'),
    keras.layers.Dense(3),
])
img = tf.reshape(tf.sin(tf.range(16.0)), (1, 4, 4, 1))
with tf.GradientTape() as tape:
    tape.watch(img)
    preds = cnn(img)
    top = int(tf.argmax(preds[0]))
    score = preds[:, top]
grads = tape.gradient(score, img)
saliency = tf.reduce_max(tf.abs(grads), axis=-1)[0]
print(top, saliency.shape)
""",
        keys=("dscore/dimg",),
        derived=False,
    ),
    TapeCell(
        "Grad-CAM of a small convolution",
        """%%grad
keras.utils.set_random_seed(13)
inp = keras.Input((6, 6, 1))
conv = keras.layers.Conv2D(2, 3, activation='relu', name='last_conv')(inp)
out = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(conv))
grad_model = keras.Model(inp, [conv, out])
picture = tf.reshape(tf.linspace(-1.0, 1.0, 36), (1, 6, 6, 1))
with tf.GradientTape() as tape:
    conv_output, predictions = grad_model(picture)
    class_channel = predictions[:, 0]
grads = tape.gradient(class_channel, conv_output)
pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
heatmap = tf.maximum(tf.squeeze(conv_output[0] @ pooled_grads[..., tf.newaxis]), 0)
heatmap.shape
""",
        keys=("dclass_channel/dconv_output",),
        derived=False,
    ),
    TapeCell(
        "integrated gradients",
        """%%grad
w = tf.constant([[1.0, -0.5], [0.3, 0.8], [-0.6, 0.2]])
baseline = tf.zeros(3)
point = tf.constant([1.0, 2.0, -1.0])

def compute_gradients(images, target_class_idx):
    with tf.GradientTape() as tape:
        tape.watch(images)
        probs = tf.nn.softmax(images @ w, axis=-1)[:, target_class_idx]
    return tape.gradient(probs, images)

alphas = tf.linspace(0.0, 1.0, 6)[:, tf.newaxis]
path_gradients = compute_gradients(baseline + alphas * (point - baseline), 1)
avg = tf.reduce_mean((path_gradients[:-1] + path_gradients[1:]) / 2.0, axis=0)
print('attributions', ((point - baseline) * avg).numpy())
""",
        keys=("dprobs/dimages",),
    ),
    TapeCell(
        "deep dream ascent",
        """%%grad
filters = tf.constant([[0.5, -0.2], [0.1, 0.9], [-0.3, 0.4], [0.7, 0.0]])
img = tf.constant([[0.1, 0.2, 0.3, 0.4]])

def calc_loss(img):
    return tf.reduce_mean(tf.math.square(img @ filters))

for n in range(3):
    with tf.GradientTape() as tape:
        # `GradientTape` only watches `tf.Variable`s by default
        tape.watch(img)
        loss = calc_loss(img)
    gradients = tape.gradient(loss, img)
    gradients /= tf.math.reduce_std(gradients) + 1e-8
    img = tf.clip_by_value(img + gradients * 0.01, -1, 1)
print("Step {}, loss {:.4f}".format(n, loss))
""",
        keys=("dloss/dimg",),
        calls=3,
    ),
    TapeCell(
        "neural style with Gram matrices",
        """%%grad
def gram_matrix(input_tensor):
  result = tf.linalg.einsum('bijc,bijd->bcd', input_tensor, input_tensor)
  input_shape = tf.shape(input_tensor)
  num_locations = tf.cast(input_shape[1]*input_shape[2], tf.float32)
  return result/(num_locations)

style = tf.reshape(tf.cos(tf.range(12.0)), (1, 2, 2, 3))
content = tf.reshape(tf.range(12.0) / 12.0, (1, 2, 2, 3))
image = tf.Variable(content)
with tf.GradientTape() as tape:
  style_loss = tf.reduce_mean((gram_matrix(image) - gram_matrix(style))**2)
  content_loss = tf.reduce_mean((image - content + 0.1)**2)
  total = 1e-2 * style_loss + content_loss
grad = tape.gradient(total, image)
image.assign(tf.clip_by_value(image - 0.1 * grad, 0.0, 1.0))
print(total.numpy())
""",
        keys=("dtotal/dimage",),
    ),
)

SCIENCE = (
    TapeCell(
        "Newton's method for a root",
        """%%grad
x = tf.Variable(1.5)
for k in range(5):
    with tf.GradientTape() as tape:
        f = x**3 - x - 2.0
    x.assign_sub(f / tape.gradient(f, x))
    print(k, x.numpy())
""",
        keys=("df/dx",),
        calls=5,
    ),
    TapeCell(
        "Newton's method for a minimum",
        """%%grad
x = tf.Variable(3.0)
for i in range(4):
    with tf.GradientTape() as g2:
        with tf.GradientTape() as g1:
            y = tf.exp(x) - 5.0 * x
        first = g1.gradient(y, x)
    second = g2.gradient(first, x)
    x.assign_sub(first / second)
print(f"minimum at {x.numpy():.5f}, log 5 = {math.log(5):.5f}")
""",
        keys=("dy/dx",),
        calls=8,
    ),
    TapeCell(
        "Newton step on Rosenbrock",
        """%%grad
p = tf.Variable([-1.0, 0.5], dtype=tf.float64)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        banana = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    grad = inner.gradient(banana, p)
H = outer.jacobian(grad, p)
step = tf.linalg.solve(H, grad[:, None])[:, 0]
p.assign_sub(step)
p.numpy()
""",
        keys=("dbanana/dp",),
        calls=2,
    ),
    TapeCell(
        "Euler-Lagrange for a pendulum",
        """%%grad
m, l, g = 1.0, 2.0, 9.81
q = tf.Variable(0.4)
qdot = tf.Variable(0.3)

def lagrangian(q, qdot):
    T = 0.5 * m * l**2 * qdot**2
    V = -m * g * l * tf.cos(q)
    return T - V

with tf.GradientTape(persistent=True) as t2:
    with tf.GradientTape(persistent=True) as t1:
        L = lagrangian(q, qdot)
    dL_dq = t1.gradient(L, q)
    dL_dqdot = t1.gradient(L, qdot)
mass = t2.gradient(dL_dqdot, qdot)
qddot = dL_dq / mass
print(qddot.numpy(), -g / l * math.sin(0.4))
""",
        keys=("dL/dq", "dL/dqdot"),
        calls=3,
    ),
    TapeCell(
        "harmonic oscillator by leapfrog",
        """%%grad
k, mass, dt = 2.0, 1.0, 0.1

def force(pos):
    with tf.GradientTape() as tape:
        tape.watch(pos)
        V = 0.5 * k * pos**2
    return -tape.gradient(V, pos)

pos, mom = tf.constant(1.0), tf.constant(0.0)
for _ in range(3):
    mom += 0.5 * dt * force(pos)
    pos += dt * mom / mass
    mom += 0.5 * dt * force(pos)
energy = 0.5 * mom**2 / mass + 0.5 * k * pos**2
energy.numpy()
""",
        keys=("dV/dpos",),
        calls=6,
    ),
    TapeCell(
        "Hamilton's equations",
        """%%grad
z = tf.Variable([0.5, 1.0])  # (q, p)
with tf.GradientTape() as tape:
    q, p = tf.unstack(z)
    ham = p**2 / 2 + q**4 / 4
dH = tape.gradient(ham, z)
symplectic = tf.constant([[0.0, 1.0], [-1.0, 0.0]])
print("dz/dt =", tf.linalg.matvec(symplectic, dH).numpy())
""",
        keys=("dham/dz",),
    ),
    TapeCell(
        "Lennard-Jones force",
        """%%grad
epsilon, sigma = 1.0, 1.0
r = tf.Variable([0.95, 1.1, 1.5, 2.0])
with tf.GradientTape() as tape:
    sr6 = (sigma / r) ** 6
    U = 4 * epsilon * (sr6**2 - sr6)
F = -tape.gradient(U, r)
print(F.numpy().round(3))
""",
        keys=("dU/dr",),
    ),
    TapeCell(
        "projectile's range by its angle",
        """%%grad
angle = tf.Variable(math.radians(30.0))
speed = tf.Variable(20.0)
with tf.GradientTape() as tape:
    reach = speed**2 * tf.sin(2 * angle) / 9.81
sens = tape.gradient(reach, {'angle': angle, 'speed': speed})
for name in sens:
    print(f"d reach / d {name}: {sens[name].numpy():.3f}")
""",
        keys=("dreach/dangle", "dreach/dspeed"),
    ),
    TapeCell(
        "Black-Scholes Greeks",
        """%%grad
def norm_cdf(x):
    return 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))

def call_price(S, K, T, r, sigma):
    d1 = (tf.math.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * tf.sqrt(T))
    d2 = d1 - sigma * tf.sqrt(T)
    return S * norm_cdf(d1) - K * tf.exp(-r * T) * norm_cdf(d2)

S = tf.Variable(100.0)
K = tf.constant(105.0)
T = tf.Variable(0.5)
r = tf.Variable(0.02)
sigma = tf.Variable(0.25)
with tf.GradientTape() as tape:
    price = call_price(S, K, T, r, sigma)
delta, theta, rho, vega = tape.gradient(price, [S, T, r, sigma])
print(f"price {price.numpy():.3f}")
print(f"delta {delta.numpy():.4f} vega {vega.numpy():.3f}")
print(f"theta {-theta.numpy():.3f} rho {rho.numpy():.3f}")
""",
        keys=("dprice/dS", "dprice/dT", "dprice/dr", "dprice/dsigma"),
    ),
    TapeCell(
        "option's gamma and vanna",
        """%%grad
S, vol = tf.Variable(100.0, dtype=tf.float64), tf.Variable(0.2, dtype=tf.float64)
K, T = 100.0, 1.0
with tf.GradientTape() as second_order:
    with tf.GradientTape() as first_order:
        d1 = (tf.math.log(S / K) + 0.5 * vol**2 * T) / (vol * T**0.5)
        d2 = d1 - vol * T**0.5
        C = 0.5 * (S * (1 + tf.math.erf(d1 / 2**0.5)) - K * (1 + tf.math.erf(d2 / 2**0.5)))
    delta = first_order.gradient(C, S)
gamma, vanna = second_order.gradient(delta, (S, vol))
round(float(gamma), 6), round(float(vanna), 6)
""",
        keys=("dC/dS",),
        calls=2,
    ),
    TapeCell(
        "quadratic form and trace",
        """%%grad
A = tf.constant([[2.0, 1.0], [0.0, 3.0]])
x = tf.Variable([1.0, -1.0])
X = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
with tf.GradientTape(persistent=True) as tape:
    q = tf.tensordot(x, tf.linalg.matvec(A, x), 1)
    tr = tf.linalg.trace(A @ X @ tf.transpose(X))
np.testing.assert_allclose(tape.gradient(q, x), (A + tf.transpose(A)).numpy() @ x.numpy())
np.testing.assert_allclose(tape.gradient(tr, X), (A + tf.transpose(A)).numpy() @ X.numpy())
print('both identities hold')
""",
        keys=("dq/dx", "dtr/dX"),
        calls=2,
    ),
    TapeCell(
        "log determinant",
        """%%grad
C = tf.Variable([[2.0, 0.5], [0.5, 1.0]])
with tf.GradientTape() as tape:
    logdet = tf.math.log(tf.linalg.det(C))
G = tape.gradient(logdet, C)
print(np.allclose(G, np.linalg.inv(C.numpy()).T, atol=1e-5))
""",
        keys=("dlogdet/dC",),
    ),
    TapeCell(
        "Gaussian process marginal likelihood",
        """%%grad
Xtr = tf.constant([0.0, 1.0, 2.5], dtype=tf.float64)
ytr = tf.constant([0.2, 0.9, 0.4], dtype=tf.float64)
log_length = tf.Variable(0.0, dtype=tf.float64)
with tf.GradientTape() as tape:
    sq = (Xtr[:, None] - Xtr[None, :]) ** 2
    Kmat = tf.exp(-0.5 * sq / tf.exp(2 * log_length)) + 0.1 * tf.eye(3, dtype=tf.float64)
    Lc = tf.linalg.cholesky(Kmat)
    alpha = tf.linalg.cholesky_solve(Lc, ytr[:, None])[:, 0]
    nlml = 0.5 * tf.reduce_sum(ytr * alpha) + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(Lc)))
grad = tape.gradient(nlml, log_length)
print(nlml.numpy(), grad.numpy())
""",
        keys=("dnlml/dlog_length",),
    ),
    TapeCell(
        "constraint with a Lagrange multiplier",
        """%%grad
x, y, lam = tf.Variable(0.6), tf.Variable(0.5), tf.Variable(-0.9)
with tf.GradientTape() as tape:
    lagr = x**2 + y**2 + lam * (x + y - 1)
print([float(g) for g in tape.gradient(lagr, [x, y, lam])])
""",
        keys=("dlagr/dx", "dlagr/dy", "dlagr/dlam"),
    ),
    TapeCell(
        "Taylor coefficients from one persistent tape",
        """%%grad
x = tf.Variable(0.0)
coefficients = []
with tf.GradientTape(persistent=True) as tape:
    f = tf.exp(2 * x)
    coefficients.append(f)
    for n in range(1, 4):
        f = tape.gradient(f, x)
        coefficients.append(f / math.factorial(n))
[float(c) for c in coefficients]
""",
        calls=3,
    ),
)

EDGES = (
    TapeCell(
        "train step in a tf.function",
        """%%grad
w = tf.Variable(1.0)

@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((w * x - y) ** 2)
    grad = tape.gradient(loss, w)
    w.assign_sub(0.1 * grad)
    return loss

xb, yb = tf.constant([1.0, 2.0]), tf.constant([2.0, 4.0])
for _ in range(5):
    loss = train_step(xb, yb)
print(w.numpy())
""",
        derived=False,
    ),
    TapeCell(
        "tf.function without autograph",
        """%%grad
@tf.function(autograph=False)
def slope(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.sin(x) * x
    return tape.gradient(y, x)

slope(tf.constant(1.0)).numpy()
""",
        derived=False,
    ),
    TapeCell(
        "tf.function under an eager tape",
        """%%grad
@tf.function
def f(x):
    return x**3 - 2.0 * x

x = tf.Variable(1.5)
with tf.GradientTape() as tape:
    y = f(x)
print(tape.gradient(y, x).numpy())
""",
        keys=("dy/dx",),
        derived=False,
    ),
    TapeCell(
        "keras fit beside an own call",
        """%%grad
keras.utils.set_random_seed(14)
tiny = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
tiny.compile(optimizer='sgd', loss='mse')
X = np.array([[0.0], [1.0], [2.0]], dtype='float32')
Y = 2 * X + 1
tiny.fit(X, Y, epochs=2, verbose=0)
x_in = tf.constant([[1.5]])
with tf.GradientTape() as tape:
    tape.watch(x_in)
    out = tiny(x_in)
dout_dx = tape.gradient(out, x_in)
print(dout_dx.shape)
""",
        keys=("dout/dx_in",),
        library=-1,
    ),
    TapeCell(
        "eager keras fit beside an own call",
        """%%grad
keras.utils.set_random_seed(15)
lin = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
lin.compile('sgd', 'mse', run_eagerly=True)
data, goal = tf.ones((4, 2)), tf.zeros((4, 1))
lin.fit(data, goal, epochs=2, batch_size=2, verbose=0)
with tf.GradientTape() as tape:
    final_loss = tf.reduce_mean((lin(data) - goal) ** 2)
print([g.shape for g in tape.gradient(final_loss, lin.trainable_variables)])
""",
        keys=("dfinal_loss/dlin.trainable_variables[0]",),
        library=4,
    ),
    TapeCell(
        "own train_step under fit",
        """%%grad
class CustomModel(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = tf.reduce_mean((y - y_pred) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {'loss': loss}

keras.utils.set_random_seed(16)
inputs = keras.Input((2,))
custom = CustomModel(inputs, keras.layers.Dense(1)(inputs))
custom.compile(optimizer=keras.optimizers.SGD(0.1))
custom.fit(np.ones((4, 2), 'float32'), np.ones((4, 1), 'float32'), epochs=2, verbose=0);
""",
        derived=False,
    ),
    TapeCell(
        "own train_step under an eager fit",
        """%%grad
keras.utils.set_random_seed(17)
inputs = keras.Input((2,))
custom = Weighted(inputs, keras.layers.Dense(1, activation='tanh')(inputs))
custom.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
xs = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]], dtype='float32')
history = custom.fit(xs, xs[:, :1], batch_size=2, epochs=1, shuffle=False, verbose=0)
print(sorted(history.history))
""",
        before="""class Weighted(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            residual = y - self(x, training=True)
            wloss = tf.reduce_mean(residual**2)
        gradients = tape.gradient(wloss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {'wloss': wloss}
""",
        keys=("dwloss/dself.trainable_variables[0]",),
        calls=2,
    ),
    TapeCell(
        "forward accumulator beside an own call",
        """%%grad
x = tf.constant([2.0, 3.0, 0.5, 1.5])
direction = tf.constant([1.0, 0.0, 0.5, -1.0])
with tf.autodiff.ForwardAccumulator(primals=x, tangents=direction) as acc:
    y = tf.reduce_sum(tf.math.lgamma(x) * x)
jvp = acc.jvp(y)
with tf.GradientTape() as tape:
    tape.watch(x)
    s = tf.reduce_sum(x**3)
print(jvp.numpy(), tape.gradient(s, x).numpy())
""",
        keys=("ds/dx",),
        library=-1,
    ),
    TapeCell(
        "forward over backward",
        """%%grad
w = tf.Variable([1.0, 2.0])
vec = tf.constant([1.0, -1.0])
with tf.autodiff.ForwardAccumulator(w, vec) as acc:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w**2) * w[0]
    grad = tape.gradient(loss, w)
hvp = acc.jvp(grad)
print(grad.numpy(), hvp.numpy())
""",
        keys=("dloss/dw",),
        library=-1,
    ),
    TapeCell(
        "custom gradient that is right",
        """%%grad
@tf.custom_gradient
def log1pexp(x):
  e = tf.exp(x)
  def grad(upstream):
    return upstream * (1 - 1 / (1 + e))
  return tf.math.log(1 + e), grad

x = tf.constant(1.0)
with tf.GradientTape() as tape:
  tape.watch(x)
  y = log1pexp(x)
dy_dx = tape.gradient(y, x)
dy_dx.numpy()
""",
        keys=("dy/dx",),
    ),
    TapeCell(
        "custom gradient that clips",
        """%%grad
# Establish an identity operation, but clip during the gradient pass.
@tf.custom_gradient
def clip_gradients(y):
  def backward(dy):
    return tf.clip_by_norm(dy, 0.5)
  return y, backward

v = tf.Variable(2.0)
with tf.GradientTape() as t:
  output = clip_gradients(v * v)
print(t.gradient(output, v))  # calls "backward", which clips 4 to 2
""",
        keys=("doutput/dv",),
    ),
    TapeCell(
        "user function called back by a library",
        """%%grad
def slope_at(p):
    with tf.GradientTape() as tape:
        tape.watch(p)
        y = p * tf.exp(-p)
    return tape.gradient(y, p)

points = tf.constant([0.0, 0.5, 2.0])
print(np.vectorize(lambda v: float(slope_at(tf.constant(v))), otypes=[float])(points.numpy()))
""",
        keys=("dy/dp",),
        calls=3,
    ),
    TapeCell(
        "tape deleted at once",
        """%%grad
x = tf.Variable(3.0)
with tf.GradientTape(persistent=True) as tape:
    y = x**2
    z = tf.sqrt(y + 7)
dz_dx = tape.gradient(z, x)
dz_dy = tape.gradient(z, y)
dy_dx = tape.gradient(y, x)
del tape
print(dz_dx.numpy(), (dz_dy * dy_dx).numpy())
""",
        keys=("dz/dx", "dz/dy", "dy/dx"),
        calls=3,
    ),
    TapeCell(
        "names bound by the answer are used on",
        """%%grad
x = tf.Variable([1.0, 2.0, 2.0])
with tf.GradientTape() as tape:
    n = tf.norm(x)
unit = tape.gradient(n, x)
with tf.GradientTape() as tape:
    tape.watch(unit)
    cosine = tf.reduce_sum(unit * [0.0, 0.6, 0.8])
back = tape.gradient(cosine, unit)
back.numpy()
""",
        keys=("dn/dx", "dcosine/dunit"),
        calls=2,
    ),
    TapeCell(
        "scale and shift of batch normalization",
        """%%grad
keras.utils.set_random_seed(18)
bn = keras.layers.BatchNormalization()
dense = keras.layers.Dense(1)
feats = tf.constant([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
with tf.GradientTape() as tape:
    normed = bn(feats, training=True)
    loss = tf.reduce_mean((dense(normed) - 1.0) ** 2)
g_gamma, g_beta = tape.gradient(loss, [bn.gamma, bn.beta])
print(g_gamma.shape, g_beta.shape)
""",
        keys=("dloss/dbn.gamma", "dloss/dbn.beta"),
        derived=False,
    ),
    TapeCell(
        "numerical check of a gradient",
        """%%grad
def f(w):
    return tf.reduce_sum(tf.math.log_sigmoid(w) * [1.0, 2.0])

w = tf.Variable([0.3, -0.6], dtype=tf.float32)
with tf.GradientTape() as tape:
    out = f(w)
analytic = tape.gradient(out, w).numpy()
h = 1e-2
numeric = [
    float((f(w + h * e) - f(w - h * e)) / (2 * h))
    for e in np.eye(2, dtype=np.float32)
]
print(np.allclose(analytic, numeric, atol=1e-3))
""",
        keys=("dout/dw",),
    ),
    TapeCell(
        "gradient accumulation over micro batches",
        """%%grad
w = tf.Variable([0.5, 0.3])
accum = [tf.zeros_like(w)]
micro = [tf.constant([1.0, 0.0]), tf.constant([0.0, 2.0]), tf.constant([1.0, 1.0])]
for mb in micro:
    with tf.GradientTape() as tape:
        part = (tf.reduce_sum(w * mb) - 1.0) ** 2 / len(micro)
    accum = [a + g for a, g in zip(accum, tape.gradient(part, [w]))]
w.assign_sub(0.1 * accum[0])
w.numpy()
""",
        calls=3,
    ),
    TapeCell(
        "source by subscript",
        """%%grad
ws = [tf.Variable(1.0), tf.Variable(2.0)]
with tf.GradientTape(persistent=True) as tape:
    out = ws[0] * ws[1] ** 2
first = tape.gradient(out, ws[0])
both = tape.gradient(out, ws)
print(first.numpy(), [b.numpy() for b in both])
""",
        keys=("dout/dws[0]", "dout/dws[1]"),
        calls=2,
    ),
    TapeCell(
        "target is a call",
        """%%grad
def rate(t):
    return tf.exp(-0.5 * t)

t = tf.Variable(2.0)
with tf.GradientTape() as tape:
    survival = 1.0 - rate(t)
    hazard = survival * rate(t)
    slope = tape.gradient(tf.square(hazard), t)
print(slope.numpy())
""",
    ),
    TapeCell(
        "calls joined by semicolons on one line",
        """%%grad
x = tf.Variable(2.0); y = tf.Variable(5.0)
with tf.GradientTape(persistent=True) as t: z = x**2 / y
a = t.gradient(z, x); b = t.gradient(z, y); print(a.numpy(), b.numpy())
""",
        keys=("dz/dx", "dz/dy"),
        calls=2,
    ),
)

UNUSUAL = (
    TapeCell(
        "unusual: rows of a variable looked up",
        """%%grad
table = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
with tf.GradientTape() as tape:
    e = tf.gather(table, [0, 2, 2])
    loss = tf.reduce_sum(e ** 2)
g = tape.gradient(loss, table)
""",
    ),
    TapeCell(
        "unusual: class trainer",
        """%%grad
class Trainer:
    def __init__(self, lr):
        self.w = tf.Variable(1.0, name="w"); self.lr = lr
    def __call__(self, x, y):
        with tf.GradientTape() as self.tape:
            self.loss = tf.reduce_mean((self.w * x - y) ** 2)
        g = self.tape.gradient(self.loss, self.w)
        self.w.assign_sub(self.lr * g)
        return g
t = Trainer(0.1)
for _ in range(2):
    t(tf.constant([1.0, 2.0]), tf.constant([2.0, 4.0]))
""",
        calls=2,
    ),
    TapeCell(
        "unusual: closure grad",
        """%%grad
def make_grad(f):
    def df(x):
        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)
    return df
dsin = make_grad(tf.sin)
d2sin = make_grad(dsin)
print(d2sin(1.0).numpy())
""",
        calls=2,
    ),
    TapeCell(
        "unusual: decorator timed",
        """%%grad
import functools
def logged(f):
    @functools.wraps(f)
    def inner(*a, **k):
        out = f(*a, **k)
        return out
    return inner
@logged
def step(w):
    with tf.GradientTape() as tape:
        loss = tf.exp(w) * w
    return tape.gradient(loss, w)
g = step(tf.Variable(0.5))
""",
        calls=1,
    ),
    TapeCell(
        "unusual: generator steps",
        """%%grad
def descend(w, n):
    for _ in range(n):
        with tf.GradientTape() as tape:
            loss = (w - 2.0) ** 2
        g = tape.gradient(loss, w)
        w.assign_sub(0.2 * g)
        yield loss.numpy(), g
trace = [l for l, _ in descend(tf.Variable(0.0), 3)]
""",
        calls=3,
    ),
    TapeCell(
        "unusual: with several managers",
        """%%grad
from contextlib import nullcontext
x = tf.Variable(2.0)
with nullcontext() as _, tf.GradientTape(persistent=True) as ta, tf.name_scope("f"), tf.GradientTape() as tb:
    y = x ** 3
    z = tf.sin(y)
a = ta.gradient(z, x); b = tb.gradient(y, x)
""",
        calls=2,
    ),
    TapeCell(
        "unusual: tape passed",
        """%%grad
def ask(tape, target, *sources):
    return tape.gradient(target, sources)
def forward(x, tape):
    tape.watch(x)
    return x * tf.cos(x)
x = tf.constant(1.0)
with tf.GradientTape() as tape:
    y = forward(x, tape)
(g,) = ask(tape, y, x)
""",
        calls=1,
    ),
    TapeCell(
        "unusual: exitstack",
        """%%grad
from contextlib import ExitStack
v = tf.Variable([1.0, 2.0])
with ExitStack() as stack:
    tape = stack.enter_context(tf.GradientTape())
    s = tf.reduce_sum(v ** 3)
g = tape.gradient(s, v)
""",
        calls=1,
    ),
    TapeCell(
        "unusual: manual enter",
        """%%grad
v = tf.Variable(2.0)
tape = tf.GradientTape()
tape.__enter__()
y = tf.math.log(v)
tape.__exit__(None, None, None)
print(tape.gradient(y, v))
""",
        calls=1,
    ),
    TapeCell(
        "unusual: jacobian loop",
        """%%grad
x = tf.Variable([0.1, 0.2])
with tf.GradientTape(persistent=True) as tape:
    f = tf.stack([tf.sin(x[0]), x[0] * x[1], tf.exp(x[1])])
    rows = tf.unstack(f)
J = tf.stack([tape.gradient(r, x) for r in rows])
""",
        calls=3,
    ),
    TapeCell(
        "unusual: jac in newton",
        """%%grad
x = tf.Variable([1.0, 1.0])
for _ in range(3):
    with tf.GradientTape() as tape:
        F = tf.stack([x[0] ** 2 + x[1] ** 2 - 2.5, x[0] - x[1] ** 2])
    J = tape.jacobian(F, x)
    x.assign_sub(tf.linalg.solve(J, F[:, None])[:, 0])
""",
        calls=3,
    ),
    TapeCell(
        "unusual: gan class",
        """%%grad
class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.g = keras.layers.Dense(2); self.d = keras.layers.Dense(1)
    def losses_of(self, z, real):
        fake = self.g(z)
        return tf.reduce_mean(self.d(fake)), tf.reduce_mean(self.d(real)) - tf.reduce_mean(self.d(fake))
    def custom_step(self, z, real):
        with tf.GradientTape(persistent=True) as tape:
            gl, dl = self.losses_of(z, real)
        return (tape.gradient(gl, self.g.trainable_variables), tape.gradient(dl, self.d.trainable_variables))
gan = GAN()
out = gan.custom_step(tf.ones((2, 3)), tf.ones((2, 2)))
""",
        calls=2,
    ),
    TapeCell(
        "unusual: maml functional",
        """%%grad
w = {"a": tf.Variable(0.5), "b": tf.Variable(0.1)}
def model(p, x):
    return p["a"] * x + p["b"]
def mse(p, x, y):
    return tf.reduce_mean((model(p, x) - y) ** 2)
tasks = [(tf.constant([1.0, 2.0]), tf.constant([2.0, 3.0])), (tf.constant([0.0, 1.0]), tf.constant([1.0, 0.0]))]
with tf.GradientTape() as meta:
    total = 0.0
    for x, y in tasks:
        with tf.GradientTape() as inner:
            l = mse(w, x, y)
        g = inner.gradient(l, w)
        fast = {k: w[k] - 0.1 * g[k] for k in w}
        total += mse(fast, x, y)
mg = meta.gradient(total, w)
""",
        calls=3,
    ),
    TapeCell(
        "unusual: async def",
        """%%grad
async def slope(x):
    with tf.GradientTape() as tape:
        y = x ** 2 + x
    return tape.gradient(y, x)
g = await slope(tf.Variable(3.0))
""",
        calls=1,
    ),
    TapeCell(
        "unusual: lambda one liner",
        """%%grad
X = [tf.Variable(1.0), tf.Variable(2.0)]
grad = lambda t, y, v: t.gradient(y, v)
with tf.GradientTape(persistent=True) as T: Y = X[0] * X[1] ** 2
G = list(map(lambda v: grad(T, Y, v), X))
""",
        calls=2,
    ),
    TapeCell(
        "unusual: partial and walrus",
        """%%grad
from functools import partial
def loss(a, w): return tf.reduce_sum(tf.square(a - w))
w = tf.Variable([1.0, 2.0])
f = partial(loss, tf.constant([0.0, 1.0]))
with tf.GradientTape() as tape:
    l = f(w)
if (g := tape.gradient(l, w)) is not None:
    print(g.numpy())
""",
        calls=1,
    ),
    TapeCell(
        "unusual: recursion",
        """%%grad
def nth(f, x, n):
    if n == 0:
        return f(x)
    with tf.GradientTape() as t:
        t.watch(x)
        y = nth(f, x, n - 1)
    return t.gradient(y, x)
print(nth(lambda v: v ** 4, tf.constant(1.0), 3).numpy())
""",
        calls=3,
    ),
    TapeCell(
        "unusual: dataclass state",
        """%%grad
from dataclasses import dataclass
@dataclass
class State:
    q: tf.Variable
    p: tf.Variable
    @property
    def energy(self):
        return self.p ** 2 / 2 + (1 - tf.cos(self.q))
s = State(tf.Variable(0.3), tf.Variable(1.0))
with tf.GradientTape() as tape:
    H = s.energy
dq, dp = tape.gradient(H, (s.q, s.p))
""",
        calls=1,
    ),
    TapeCell(
        "unusual: try finally",
        """%%grad
x = tf.Variable(1.0)
tape = tf.GradientTape(persistent=True)
try:
    with tape:
        y = x * x
        raise ValueError("inside")
except ValueError:
    g = tape.gradient(y, x)
finally:
    h = tape.gradient(y, x)
""",
        calls=2,
    ),
    TapeCell(
        "unusual: hvp",
        """%%grad
x = tf.Variable([1.0, 2.0]); v = tf.constant([1.0, 0.0])
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        f = tf.reduce_sum(x ** 3) + x[0] * x[1]
    g = inner.gradient(f, x)
    gv = tf.tensordot(g, v, 1)
hvp = outer.gradient(gv, x)
""",
        calls=2,
    ),
    TapeCell(
        "unusual: dict nested model",
        """%%grad
params = {"enc": [tf.Variable([[1.0, 2.0]]), tf.Variable([0.5, 0.1])], "dec": (tf.Variable([[1.0], [2.0]]),)}
x = tf.constant([[1.0], [2.0]])
with tf.GradientTape() as tape:
    h = tf.nn.sigmoid(x @ params["enc"][0] + params["enc"][1])
    loss = tf.reduce_mean(h @ params["dec"][0])
grads = tape.gradient(loss, params)
""",
        calls=1,
    ),
    TapeCell(
        "unusual: exec string",
        '''%%grad
code = """
q = tf.Variable(1.5)
with tf.GradientTape() as tp:
    r = tf.sqrt(q)
gq = tp.gradient(r, q)
"""
exec(code)
print(gq)
''',
        calls=1,
    ),
    TapeCell(
        "unusual: while true break",
        """%%grad
p = tf.Variable(5.0)
it = 0
while True:
    with tf.GradientTape() as tape: c = tf.abs(p) ** 1.5
    d = tape.gradient(c, p); it += 1
    p.assign_sub(d * 0.2)
    if it == 4: break
""",
        calls=4,
    ),
    TapeCell(
        "Grad-CAM, the class chosen by the answer",
        """%%grad
inputs = keras.Input((6, 6, 1))
maps = keras.layers.Conv2D(2, 3, activation="relu", name="last_conv")(inputs)
scores = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps))
both = keras.Model(inputs, [maps, scores])
photo = tf.random.uniform((1, 6, 6, 1), seed=5)
with tf.GradientTape() as tape:
    features, answer = both(photo)
    best = tf.argmax(answer[0])
    score = answer[:, best]
slopes = tape.gradient(score, features)
weights = tf.reduce_mean(slopes, axis=(0, 1, 2))
heat = tf.nn.relu(tf.squeeze(features[0] @ weights[..., tf.newaxis]))
""",
        keys=("dscore/dfeatures",),
    ),
    TapeCell(
        "style against content, features asked for before the tape",
        """%%grad
conv = keras.layers.Conv2D(3, 3, activation="softplus")
photo, painting = tf.random.uniform((1, 6, 6, 3), seed=6), tf.random.uniform((1, 6, 6, 3), seed=7)
def gram(maps):
    return tf.einsum("bijc,bijd->bcd", maps, maps) / 16.0
wanted_style, wanted_content = gram(conv(painting)), conv(photo)
image = tf.Variable(photo)
with tf.GradientTape() as tape:
    maps = conv(image)
    style = tf.reduce_mean((gram(maps) - wanted_style) ** 2)
    content = tf.reduce_mean((maps - wanted_content) ** 2)
    loss = 0.1 * style + content
grad = tape.gradient(loss, image)
""",
        keys=("dloss/dimage",),
    ),
    TapeCell(
        "straight-through codebook",
        """%%grad
codebook = tf.Variable([[0.5, -1.0], [1.5, 0.2], [-0.7, 0.9]])
z = tf.Variable([[0.4, -0.3], [-0.2, 0.6]])
with tf.GradientTape() as tape:
    far = tf.reduce_sum((z[:, None] - codebook[None]) ** 2, axis=-1)
    nearest = tf.gather(codebook, tf.argmin(far, axis=1))
    passed = z + tf.stop_gradient(nearest - z)
    loss = tf.reduce_sum(passed**2) + tf.reduce_sum((nearest - tf.stop_gradient(z)) ** 2)
dz, dbook = tape.gradient(loss, [z, codebook])
""",
        keys=("dloss/dz", "dloss/dcodebook"),
    ),
)


CELLS: tuple[TapeCell, ...] = (
    BASICS + OPTIONS + NESTED + FUNCTIONS + SPELLINGS + TRAINING + SCIENCE + EDGES + UNUSUAL
)

# Asked twice, not persistent: raises RuntimeError.
S5 = """%%grad
x = tf.constant(3.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x
    z = y * y
dz_dx = tape.gradient(z, x)
print(dz_dx.numpy())
dy_dx = tape.gradient(y, x)
print(dy_dx.numpy())
"""

SEEDS: dict[str, TapeCell] = {
    "S1": TapeCell(
        "S1",
        """%%grad
x = tf.ones((2, 3))
with tf.GradientTape() as t:
    t.watch(x)
    y = tf.reduce_sum(x)
    z = tf.multiply(y, y)
dz_dx = t.gradient(z, x)
print(dz_dx)
""",
        keys=("dz/dx",),
    ),
    "S2": TapeCell(
        "S2",
        """%%grad
x = tf.ones((2, 2))

with tf.GradientTape() as t:
  t.watch(x)
  y = tf.reduce_sum(x)
  z = tf.multiply(y, y)

# Derivative of z with respect to the original input tensor x
dz_dx = t.gradient(z, x)
for i in [0, 1]:
  for j in [0, 1]:
    assert dz_dx[i][j].numpy() == 8.0
""",
        keys=("dz/dx",),
    ),
    "S3": TapeCell(
        "S3",
        """%%grad
x = tf.constant(2.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = 2*x**3 + 5*x**2 + 3*x
dy_dx = tape.gradient(y, x)
print(dy_dx.numpy())
""",
        keys=("dy/dx",),
    ),
    "S4": TapeCell(
        "S4",
        """%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as tape2:
    with tf.GradientTape() as tape1:
        y = 2*x**3 + 5*x**2 + 3*x
    dy_dx = tape1.gradient(y, x)
d2y_dx2 = tape2.gradient(dy_dx, x)
print(dy_dx.numpy())
print(d2y_dx2.numpy())
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S6": TapeCell(
        "S6",
        """%%grad
x = tf.constant(2.0)
with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    y = 2*x**3 + 5*x**2 + 3*x
    z = y*y*y*y
dy_dx = tape.gradient(y, x)
dz_dy = tape.gradient(z, y)
print(dy_dx.numpy())
print(dz_dy.numpy())
""",
        keys=("dy/dx", "dz/dy"),
        calls=2,
    ),
    "S7": TapeCell(
        "S7",
        """%%grad
w = tf.Variable([1.0])
with tf.GradientTape() as tape:
    loss = w * w
grad = tape.gradient(loss, w)
print(grad)
""",
        keys=("dloss/dw",),
    ),
    "S8": TapeCell(
        "S8",
        """%%grad
w = tf.constant([1.0])
with tf.GradientTape() as tape:
    tape.watch(w)
    loss = w * w
grad = tape.gradient(loss, w)
print(grad)
""",
        keys=("dloss/dw",),
    ),
    "S9": TapeCell(
        "S9",
        """%%grad
x = tf.Variable(1.0)

with tf.GradientTape() as t:
  with tf.GradientTape() as t2:
    y = x * x * x
  # Compute the gradient inside the 't' context manager
  # which means the gradient computation is differentiable as well.
  dy_dx = t2.gradient(y, x)
d2y_dx2 = t.gradient(dy_dx, x)

assert dy_dx.numpy() == 3.0
assert d2y_dx2.numpy() == 6.0
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S10": TapeCell(
        "S10",
        """%%grad
x = tf.constant(3.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x**2
    z = y**2
dz_dx = tape.gradient(z, x)
print("dz/dx:", dz_dx.numpy())
""",
        keys=("dz/dx",),
    ),
    "S11": TapeCell(
        "S11",
        """%%grad
x = tf.constant(3.0)
with tf.GradientTape(persistent=True) as t:
  t.watch(x)
  y = x * x
  z = y * y
dz_dx = t.gradient(z, x)  # 108.0 (4*x^3 at x = 3)
dy_dx = t.gradient(y, x)  # 6.0
print(dz_dx, dy_dx)
del t  # Drop the reference to the tape
""",
        keys=("dz/dx", "dy/dx"),
        calls=2,
    ),
    "S12 after the inner block, after the outer": TapeCell(
        "S12 after the inner block, after the outer",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x * x * x
    dy_dx = tape_1.gradient(y, x)
d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx, d2y_dx2)
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S12 after the inner block, in the outer": TapeCell(
        "S12 after the inner block, in the outer",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x * x * x
    dy_dx = tape_1.gradient(y, x)
    d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx, d2y_dx2)
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S12 in the inner block, after the outer": TapeCell(
        "S12 in the inner block, after the outer",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x * x * x
        dy_dx = tape_1.gradient(y, x)
d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx, d2y_dx2)
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S12 in the inner block, in the outer": TapeCell(
        "S12 in the inner block, in the outer",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x * x * x
        dy_dx = tape_1.gradient(y, x)
    d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx, d2y_dx2)
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    "S12 both in the inner block": TapeCell(
        "S12 both in the inner block",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x**3
        dy_dx = tape_1.gradient(y, x)
        d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx, d2y_dx2)
""",
        keys=("dy/dx", "d2y/dx2"),
        calls=2,
    ),
    # The second answer of these two is None.
    "S13": TapeCell(
        "S13",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape_2:
    with tf.GradientTape() as tape_1:
        y = x * x * x
dy_dx = tape_1.gradient(y, x)
d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx)
print(d2y_dx2)
""",
        keys=("dy/dx",),
        calls=2,
        derived=False,
    ),
    "S14": TapeCell(
        "S14",
        """%%grad
x = tf.Variable(1.0)
with tf.GradientTape(persistent=True) as tape_2:
    with tf.GradientTape(persistent=True) as tape_1:
        y = x * x * x
dy_dx = tape_1.gradient(y, x)
d2y_dx2 = tape_2.gradient(dy_dx, x)
print(dy_dx)
print(d2y_dx2)
""",
        keys=("dy/dx",),
        calls=2,
        derived=False,
    ),
}

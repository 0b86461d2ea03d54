"""Cells that are ill, and healthy ones that look it: what the doctor must find, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patient:
    """One cell in which the user's own tape answers, and what is wrong with an answer."""

    name: str
    cell: str
    cause: str | None  # that of the decisive diagnosis; None: healthy, nothing may be said
    lines: tuple[int, ...] = ()  # that may be named, the best one first; `%%grad` is line 1
    call: int = -1  # which of the cell's answers is ill, one for each source, as they were made
    before: str = ""  # an earlier cell, run without the magic
    error: str = ""  # the exception's type; the cause is that of its note
    repairable: bool = True  # False where no edit gives a finite gradient that is not 0
    zero: bool = False  # the repaired gradient is 0 by right
    in_before: bool = False  # the line stands in the earlier cell, and so does the fix


PATIENTS: tuple[Patient, ...] = (
    # Not watched.
    Patient(
        "a constant nobody watched",
        """\
%%grad
x = tf.constant(3.0)
with tf.GradientTape() as tape:
    y = x**2
dy_dx = tape.gradient(y, x)
print(dy_dx)
""",
        "not_watched",
        (2, 3, 4, 5),
    ),
    Patient(
        "the variable replaced by a tensor between epochs",
        """\
%%grad
x = tf.Variable(2.0)
for epoch in range(2):
    with tf.GradientTape() as tape:
        y = x + 1
    print(type(x).__name__, ":", tape.gradient(y, x))
    x = x + 1
""",
        "not_watched",
        (7, 4, 5, 6),
    ),
    Patient(
        "weights updated with a minus sign",
        """\
%%grad
X = tf.constant([[1.0], [2.0], [3.0]])
t = tf.constant([[2.0], [4.0], [6.0]])
W = tf.Variable([[0.5]])
b = tf.Variable([0.0])
lr = 0.1

for step in range(2):
    with tf.GradientTape() as tape:
        pred = tf.matmul(X, W) + b
        loss = tf.reduce_mean((pred - t) ** 2)
    dW, db = tape.gradient(loss, [W, b])
    print(step, float(loss), dW, db)
    if dW is not None:
        W = W - lr * dW
        b = b - lr * db
""",
        "not_watched",
        (16, 9, 10, 12),
    ),
    Patient(
        "a model class that overwrites its own weight",
        """\
%%grad
class Linear:
    def __init__(self):
        self.w = tf.Variable(1.5)

    def __call__(self, x):
        return self.w * x

    def fit(self, x, y, lr=0.05, epochs=2):
        for _ in range(epochs):
            with tf.GradientTape() as tape:
                mse = tf.reduce_mean(tf.square(self(x) - y))
            grad = tape.gradient(mse, self.w)
            if grad is None:
                return
            self.w = self.w - lr * grad


xs = tf.constant([1.0, 2.0, 4.0])
Linear().fit(xs, 3.0 * xs)
""",
        "not_watched",
        (16, 11, 7, 13),
    ),
    Patient(
        "trainable False in the guide's list",
        """\
%%grad
# A trainable variable, a frozen one, a tensor, an unused constant
x0 = tf.Variable(3.0, name="x0")
x1 = tf.Variable(3.0, name="x1", trainable=False)
x2 = tf.Variable(2.0, name="x2") + 1.0
x3 = tf.constant(3.0, name="x3")

with tf.GradientTape() as tape:
    y = (x0**2) + (x1**2) + (x2**2)

grad = tape.gradient(y, [x0, x1, x2, x3])

for g in grad:
    print(g)
""",
        "not_watched",
        (4, 8, 9, 11),
        call=1,
    ),
    Patient(
        "a variable times a scale is no variable",
        """\
%%grad
n_in, n_hidden = 3, 2
w1 = tf.Variable(tf.ones((n_in, n_hidden))) * 0.01
b1 = tf.Variable(tf.zeros(n_hidden))
x = tf.constant([[0.2, -0.4, 1.0]])
with tf.GradientTape() as t:
    h = tf.tanh(x @ w1 + b1)
    loss = tf.reduce_sum(h)
grads = t.gradient(loss, {"w1": w1, "b1": b1})
grads["w1"], grads["b1"]
""",
        "not_watched",
        (3, 6, 7, 9),
        call=1,
    ),
    Patient(
        "a slice of the weights as the source",
        """\
%%grad
w = tf.Variable([0.5, -1.0, 2.0])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(w))
first = tape.gradient(loss, w[0])
print("dloss/dw0 =", first)
""",
        "not_watched",
        (5,),
    ),
    Patient(
        "a column cut out before the tape, the matrix used in it",
        """\
%%grad
theta = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
bias_col = theta[:, 1]
with tf.GradientTape() as g:
    energy = tf.reduce_sum(tf.exp(0.1 * theta))
g.gradient(energy, bias_col)
""",
        "not_watched",
        (3, 6, 4, 5),
    ),
    Patient(
        "accessed variables not watched on purpose, one forgotten",
        """\
%%grad
a = tf.Variable(1.0)
c = tf.Variable(4.0)
with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(c)
    out = tf.sin(a) * c
da, dc = tape.gradient(out, [a, c])
da, dc
""",
        "not_watched",
        (4, 6, 7, 2),
        call=0,
    ),
    Patient(
        "made anew after the watch",
        """\
%%grad
point = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    tape.watch(point)
    point = tf.constant([0.5, 0.25])
    height = tf.reduce_prod(point)
slope = tape.gradient(height, point)
slope
""",
        "not_watched",
        (5, 6, 3, 7),
    ),
    Patient(
        "watched only after the computation",
        """\
%%grad
def slope(f, at):
    x = tf.constant(at)
    with tf.GradientTape() as tape:
        y = f(x)
        tape.watch(x)
    return tape.gradient(y, x)


slope(lambda t: t**3 - t, 2.0)
""",
        "not_watched",
        (6, 5, 3, 4, 7),
    ),
    Patient(
        "a saliency map of an unwatched image",
        """\
%%grad
def saliency(net, img, label):
    with tf.GradientTape() as tape:
        scores = net(img)
        top = scores[:, label]
    return tape.gradient(top, img)


image = tf.constant(np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 8))
heat = saliency(clf, image, 1)
print("no heat" if heat is None else tf.abs(heat))
""",
        "not_watched",
        (9, 3, 4, 6),
        before="""\
keras.utils.set_random_seed(0)
clf = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
clf.build((None, 8))
""",
    ),
    Patient(
        "a batch from a data set as the source",
        """\
%%grad
ds = tf.data.Dataset.from_tensor_slices([[1.0, 2.0], [3.0, 4.0]]).batch(2)
w = tf.Variable([[1.0], [-1.0]])
for features in ds:
    with tf.GradientTape() as tape:
        score = tf.reduce_sum(tf.sigmoid(features @ w))
    sensitivity = tape.gradient(score, features)
print(sensitivity)
""",
        "not_watched",
        (4, 5, 6, 7),
    ),
    Patient(
        "the outer tape does not know the point",
        """\
%%grad
x = tf.constant(2.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = x**3
    dy_dx = inner.gradient(y, x)
d2y_dx2 = outer.gradient(dy_dx, x)
print(dy_dx.numpy(), d2y_dx2)
""",
        "not_watched",
        (3, 2, 8, 7),
    ),
    Patient(
        "collocation points of a physics network",
        """\
%%grad
t = tf.reshape(tf.linspace(0.0, 1.0, 6), (-1, 1))
W1 = tf.Variable([[0.5, -1.0, 1.5]])
W2 = tf.Variable([[1.0], [0.5], [-0.5]])


def u(t):
    return tf.tanh(t @ W1) @ W2


def residual_inputs():
    with tf.GradientTape() as tape:
        ut = u(t)
    return ut, tape.gradient(ut, t)


u_val, u_t = residual_inputs()
print("u' is", u_t)
""",
        "not_watched",
        (2, 12, 13, 14),
    ),
    Patient(
        "the variables listed before the layer was built",
        """\
%%grad
dense = keras.layers.Dense(3)
params = dense.trainable_variables
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(dense(tf.ones((2, 4))) ** 2)
grads = tape.gradient(loss, params)
print(len(grads), "gradients")
""",
        "not_watched",
        (3, 6, 5),
        call=-1,  # an empty list is answered: no derivative at all
    ),
    Patient(
        "a layer's own weight that is not trainable",
        """\
%%grad
class Scale(keras.layers.Layer):
    def build(self, input_shape):
        self.gamma = self.add_weight(
            shape=(input_shape[-1],), initializer="ones", trainable=False
        )

    def call(self, x):
        return x * self.gamma


layer = Scale()
layer.build((None, 2))
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(tf.constant([[1.0, 2.0], [3.0, 4.0]])) ** 2)
tape.gradient(loss, layer.gamma)
""",
        "not_watched",
        (4, 5, 14, 9, 16),
    ),
    # Left tensorflow.
    Patient(
        "np.mean in the middle",
        """\
%%grad
x = tf.Variable([[1.0, 2.0], [3.0, 4.0]], dtype=tf.float32)

with tf.GradientTape() as tape:
    x2 = x**2
    # This step is calculated with NumPy
    y = np.mean(x2, axis=0)
    # Like most ops, reduce_mean will cast the NumPy array to a constant tensor
    y = tf.reduce_mean(y, axis=0)

print(tape.gradient(y, x))
""",
        "left_tensorflow",
        (7, 9),
    ),
    Patient(
        "math.exp drops the slope of one factor",
        """\
%%grad
t = tf.Variable(0.5)
A = 2.0
with tf.GradientTape() as tape:
    damping = math.exp(-t)
    swing = A * tf.cos(3.0 * t) * damping
velocity = tape.gradient(swing, t)
print(f"v = {velocity.numpy():.4f}")
""",
        "left_tensorflow",
        (5, 6),
    ),
    Patient(
        "float inside the loss",
        """\
%%grad
w = tf.Variable(1.5)


def loss_fn(w, x, y):
    error = w * x - y
    return tf.constant(float(error) ** 2)


with tf.GradientTape() as tape:
    loss = loss_fn(w, 2.0, 4.0)
grad = tape.gradient(loss, w)
grad
""",
        "left_tensorflow",
        (7, 11),
    ),
    Patient(
        "a soft IoU loss on NumPy arrays",
        """\
%%grad
logits = tf.Variable([[2.0, -1.0], [0.5, 3.0]])
mask = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)


def iou_loss(y_true, y_pred):
    p = y_pred.numpy()
    inter = (p * y_true).sum()
    union = (p + y_true - p * y_true).sum()
    return tf.constant(1.0 - inter / union)


with tf.GradientTape() as tape:
    prediction = tf.sigmoid(logits)
    L = iou_loss(mask, prediction)
print(L.numpy(), tape.gradient(L, logits))
""",
        "left_tensorflow",
        (7, 10, 15),
    ),
    Patient(
        "model.predict in the training step",
        """\
%%grad
x = np.array([[1.0, 0.5], [0.0, 2.0]], dtype="float32")
y = np.array([[1.0], [0.0]], dtype="float32")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
bce = keras.losses.BinaryCrossentropy()


def train_step(x, y):
    with tf.GradientTape() as tape:
        y_hat = model.predict(x, verbose=0)
        loss = bce(y, y_hat)
    return tape.gradient(loss, model.trainable_variables)


print(train_step(x, y))
""",
        "left_tensorflow",
        (10, 11),
    ),
    Patient(
        "numpy_function for the sine",
        """\
%%grad
def np_sin(a):
    return np.sin(a)


x = tf.Variable([0.1, 0.2, 0.3])
with tf.GradientTape() as tape:
    s = tf.numpy_function(np_sin, [x], tf.float32)
    z = tf.reduce_sum(s * 2.0)
dz_dx = tape.gradient(z, x)
print(dz_dx)
""",
        "left_tensorflow",
        (8,),
    ),
    Patient(
        "NumPy inside py_function answers zero",
        """\
%%grad
def gaussian(t):
    return np.exp(-(t.numpy() ** 2))


mu = tf.Variable(0.7)
with tf.GradientTape() as tape:
    g = tf.py_function(gaussian, [mu], tf.float32)
    out = 3.0 * g
print(tape.gradient(out, mu))
""",
        "left_tensorflow",
        (8, 3),
    ),
    Patient(
        "py_function with NumPy in one of two terms",
        """\
%%grad
def lookup(v):
    return np.interp(v.numpy(), [0.0, 1.0, 2.0], [0.0, 10.0, 40.0]).astype("float32")


q = tf.Variable(1.5)
with tf.GradientTape() as tape:
    cost = q**2 + tf.py_function(lookup, [q], tf.float32)
marginal = tape.gradient(cost, q)
marginal
""",
        "left_tensorflow",
        (8, 3),
        repairable=False,
    ),
    Patient(
        "a list of floats stacked again",
        """\
%%grad
angles = tf.Variable([0.1, 0.5, 1.0])
with tf.GradientTape() as tape:
    values = [float(a) for a in angles]
    total = tf.reduce_sum(tf.stack(values) ** 2)
tape.gradient(total, angles)
""",
        "left_tensorflow",
        (4, 5),
    ),
    Patient(
        "np.dot for the logit, the bias still learns",
        """\
%%grad
w = tf.Variable(np.array([0.1, -0.2, 0.3], dtype=np.float32))
b = tf.Variable(0.0)
sample, label = np.array([1.0, 2.0, 3.0], dtype=np.float32), 1.0

with tf.GradientTape() as tape:
    logit = np.dot(sample, w) + b
    loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logit)
dw, db = tape.gradient(loss, [w, b])
print("dw:", dw, "db:", db.numpy())
""",
        "left_tensorflow",
        (7,),
        call=0,
    ),
    Patient(
        "the penalty by np.linalg.norm weighs nothing",
        """\
%%grad
beta = tf.Variable([[3.0], [4.0]])
X = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
y = tf.constant([[1.0], [2.0], [3.0]])
lam = 0.5
with tf.GradientTape() as tape:
    rss = tf.reduce_sum((X @ beta - y) ** 2)
    ridge = lam * np.linalg.norm(beta) ** 2
    objective = rss + ridge
tape.gradient(objective, beta).numpy()
""",
        "left_tensorflow",
        (8, 9),
    ),
    Patient(
        "np.array right at the start",
        """\
%%grad
def f(v):
    v = np.array(v)
    return tf.reduce_sum(tf.sin(v) * tf.cos(v))


x0 = tf.constant([0.3, 0.6])
with tf.GradientTape() as gt:
    gt.watch(x0)
    fx = f(x0)
J = gt.gradient(fx, x0)
print(J)
""",
        "left_tensorflow",
        (3, 4),
    ),
    Patient(
        "samples drawn by NumPy",
        """\
%%grad
np.random.seed(7)
mu = tf.Variable(0.5)
log_sigma = tf.Variable(-1.0)
with tf.GradientTape() as tape:
    sigma = tf.exp(log_sigma)
    z = np.random.normal(mu, sigma, size=5).astype(np.float32)
    recon = tf.reduce_mean((tf.constant(z) - 1.0) ** 2)
g_mu = tape.gradient(recon, mu)
print("d recon / d mu =", g_mu)
""",
        "left_tensorflow",
        (7, 8),
    ),
    Patient(
        "the batch losses summed as Python numbers",
        """\
%%grad
w = tf.Variable(2.0)
batches = [(1.0, 3.0), (2.0, 5.0), (3.0, 7.0)]
with tf.GradientTape() as tape:
    total = 0.0
    for x, y in batches:
        loss = (w * x - y) ** 2
        total += loss.numpy()
    total = tf.convert_to_tensor(total / len(batches))
dw = tape.gradient(total, w)
dw
""",
        "left_tensorflow",
        (8, 9),
    ),
    Patient(
        "a Keras layer that clips with NumPy",
        """\
%%grad
class Normalise(keras.layers.Layer):
    def call(self, inputs):
        lo, hi = inputs.numpy().min(), inputs.numpy().max()
        return tf.constant((inputs.numpy() - lo) / (hi - lo))


first, middle, last = keras.layers.Dense(3), Normalise(), keras.layers.Dense(1)
data = tf.constant([[1.0, -1.0], [2.0, 0.5]])
first.build(data.shape)
last.build((None, 3))
with tf.GradientTape() as tape:
    out = last(middle(first(data)))
    loss = tf.reduce_mean((out - 1.0) ** 2)
grads = tape.gradient(loss, [first.kernel, last.kernel])
[g is None for g in grads]
""",
        "left_tensorflow",
        (5, 4, 13),
        call=0,
    ),
    Patient(
        "the distance by math.sqrt",
        """\
%%grad
px, py = tf.Variable(3.0), tf.Variable(4.0)
k, q = 9.0, 2.0
with tf.GradientTape() as tape:
    r = math.sqrt(px * px + py * py)
    potential = tf.constant(k * q / r)
force = tape.gradient(potential, [px, py])
print("F =", force)
""",
        "left_tensorflow",
        (5, 6),
        call=0,
    ),
    Patient(
        "keras.ops.convert_to_numpy on the way",
        """\
%%grad
emb = tf.Variable([[1.0, 0.0], [0.6, 0.8]])
with tf.GradientTape() as tape:
    unit = emb / tf.norm(emb, axis=1, keepdims=True)
    arr = keras.ops.convert_to_numpy(unit)
    sim = tf.reduce_sum(arr[0] * arr[1])
tape.gradient(sim, emb)
""",
        "left_tensorflow",
        (5, 6),
    ),
    # State.
    Patient(
        "assign_add into a second variable",
        """\
%%grad
x0 = tf.Variable(3.0)
x1 = tf.Variable(0.0)

with tf.GradientTape() as tape:
    # Update x1 = x1 + x0.
    x1.assign_add(x0)
    # The tape starts recording from x1.
    y = x1**2  # y = (x1 + x0)**2

# This doesn't work.
print(tape.gradient(y, x0))  # dy/dx0 = 2*(x1 + x0)
""",
        "state",
        (7,),
    ),
    Patient(
        "filled item by item",
        """\
%%grad
xs = tf.constant([1.0, 2.0, 3.0])
out = tf.Variable(tf.zeros(3))
with tf.GradientTape() as tape:
    tape.watch(xs)
    for i in range(3):
        out[i].assign(xs[i] ** 2)
    s = tf.reduce_sum(out)
tape.gradient(s, xs)
""",
        "state",
        (7,),
    ),
    Patient(
        "the inner step of MAML by assign",
        """\
%%grad
w = tf.Variable(1.0)
fast = tf.Variable(1.0)
x_s, y_s, x_q, y_q = 1.0, 3.0, 2.0, 5.0

with tf.GradientTape() as meta:
    with tf.GradientTape() as task:
        inner_loss = (w * x_s - y_s) ** 2
    g = task.gradient(inner_loss, w)
    fast.assign(w - 0.1 * g)
    outer_loss = (fast * x_q - y_q) ** 2
meta_grad = meta.gradient(outer_loss, w)
print(meta_grad)
""",
        "state",
        (10,),
    ),
    Patient(
        "weights from a hypernetwork set into the layer",
        """\
%%grad
z = tf.constant([[0.5, -0.5]])
hyper = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
main = keras.layers.Dense(1, use_bias=False)
main.build((None, 3))

with tf.GradientTape() as tape:
    generated = tf.reshape(z @ hyper, (3, 1))
    main.set_weights([generated])
    pred = main(tf.constant([[1.0, 1.0, 1.0]]))
    loss = tf.reduce_sum(pred**2)
print(tape.gradient(loss, hyper))
""",
        "state",
        (9,),
        repairable=False,  # the layer has to be written as a function
    ),
    Patient(
        "the loss read back from a Keras metric",
        """\
%%grad
w = tf.Variable([1.0, -2.0])
tracker = keras.metrics.Mean()
with tf.GradientTape() as tape:
    per_example = tf.square(w * tf.constant([2.0, 0.5]) - 1.0)
    tracker.update_state(per_example)
    loss = tracker.result()
tape.gradient(loss, w)
""",
        "state",
        (6, 7),
        repairable=False,  # the mean has to be taken by hand
    ),
    Patient(
        "a new variable from the square",
        """\
%%grad
v = tf.Variable(4.0)
with tf.GradientTape() as tape:
    squared = tf.Variable(v * v)
    y = tf.sqrt(squared) + 1.0
grad = tape.gradient(y, v)
grad
""",
        "state",
        (4,),
    ),
    Patient(
        "a cached square makes the slope too small",
        """\
%%grad
cache = tf.Variable(0.0)


def cube(x):
    cache.assign(x * x)
    return x * cache


x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = cube(x)
tape.gradient(y, x)  # 3 * 2**2 = 12?
""",
        "state",
        (6,),
    ),
    Patient(
        "the hidden state kept in a variable",
        """\
%%grad
class Cell(tf.Module):
    def __init__(self):
        self.u = tf.Variable(0.8)
        self.h = tf.Variable(0.0, trainable=False)

    def step(self, x):
        self.h.assign(tf.tanh(self.u * self.h + x))
        return self.h


rnn = Cell()
with tf.GradientTape() as tape:
    for x in [0.5, -0.1, 0.3]:
        h = rnn.step(x)
    loss = (h - 1.0) ** 2
print(tape.gradient(loss, rnn.u))
""",
        "state",
        (8,),
    ),
    Patient(
        "rows written by scatter_nd_update",
        """\
%%grad
table = tf.Variable(tf.zeros((3, 2)))
row = tf.constant([1.0, 2.0])
with tf.GradientTape() as t:
    t.watch(row)
    table.scatter_nd_update([[1]], [row * 3.0])
    total = tf.reduce_sum(table**2)
print(t.gradient(total, row))
""",
        "state",
        (6,),
    ),
    # Outside tape.
    Patient(
        "the function evaluated before the with",
        """\
%%grad
a = tf.Variable(2.0)
y = a**3 + 2 * a
with tf.GradientTape() as tape:
    z = 5.0 * y
print(tape.gradient(z, a))
""",
        "outside_tape",
        (3, 5),
    ),
    Patient(
        "the loss computed after the with",
        """\
%%grad
w = tf.Variable([[0.2], [0.4]])
x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
y = tf.constant([[1.0], [0.0]])

with tf.GradientTape() as tape:
    y_hat = tf.sigmoid(x @ w)
loss = tf.reduce_mean(tf.square(y - y_hat))
gradients = tape.gradient(loss, w)
print(gradients)
""",
        "outside_tape",
        (8,),
    ),
    Patient(
        "inner gradient outside the outer tape",
        """\
%%grad
x = tf.Variable(1.0)  # Create a Tensorflow variable initialized to 1.0

with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = x * x * x

# The first gradient is taken after both blocks
dy_dx = t1.gradient(y, x)
d2y_dx2 = t2.gradient(dy_dx, x)
print("dy_dx:", dy_dx.numpy())
print("d2y_dx2:", d2y_dx2)
""",
        "outside_tape",
        (9,),
    ),
    Patient(
        "inner gradient outside, both tapes persistent",
        """\
%%grad
x = tf.Variable(1.0)
with tf.GradientTape(persistent=True) as outer_tape:
    with tf.GradientTape(persistent=True) as inner_tape:
        y = x**3
first = inner_tape.gradient(y, x)
second = outer_tape.gradient(first, x)
print(first, second)
del inner_tape, outer_tape
""",
        "outside_tape",
        (6,),
    ),
    Patient(
        "one persistent tape asked for the second derivative",
        """\
%%grad
x = tf.constant([1.0, 2.0])
with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    f = tf.reduce_sum(x**4)
grad = tape.gradient(f, x)
hess = tape.jacobian(grad, x)
hess is None
""",
        "outside_tape",
        (6,),
    ),
    Patient(
        "the penalty computed once before the tape",
        """\
%%grad
w = tf.Variable([1.0, -2.0, 3.0])
penalty = 0.1 * tf.reduce_sum(w**2)
x = tf.constant([0.5, 0.5, 0.5])
with tf.GradientTape() as tape:
    mse = (tf.tensordot(w, x, 1) - 2.0) ** 2
    loss = mse + penalty
tape.gradient(loss, w)
""",
        "outside_tape",
        (3, 7),
    ),
    Patient(
        "the encoder runs before the tape",
        """\
%%grad
data = tf.constant([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
code = tf.tanh(tf.matmul(data, enc))
with tf.GradientTape() as tape:
    decoded = tf.matmul(code, dec)
    recon = tf.reduce_mean((decoded - data) ** 2)
g_enc, g_dec = tape.gradient(recon, (enc, dec))
print(g_enc, g_dec, sep=2 * chr(10))
""",
        "outside_tape",
        (3, 5),
        call=0,
        before="""\
enc = tf.Variable([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]])
dec = tf.Variable([[0.1, 0.2, 0.3], [-0.3, 0.2, 0.1]])
""",
    ),
    Patient(
        "fake images made before the generator's tape",
        """\
%%grad
noise = tf.constant([[0.3, -0.7]])
fake = tf.nn.tanh(noise @ G)

with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
    fake_score = tf.sigmoid(fake @ D)
    gen_loss = -tf.reduce_mean(tf.math.log(fake_score))
    disc_loss = -tf.reduce_mean(tf.math.log(1.0 - fake_score))

grad_D = disc_tape.gradient(disc_loss, D)
grad_G = gen_tape.gradient(gen_loss, G)
print(grad_G, grad_D)
""",
        "outside_tape",
        (3, 6),
        before="""\
G = tf.Variable([[0.5, 0.1, -0.3], [0.2, 0.4, 0.6]])
D = tf.Variable([[0.7], [-0.2], [0.1]])
""",
    ),
    Patient(
        "the perturbation added before the tape",
        """\
%%grad
clean = tf.constant([0.2, 0.8, 0.5])
delta = tf.Variable(tf.zeros(3))
weights = tf.constant([1.0, -1.0, 2.0])
adv = clean + delta
for _ in range(1):
    with tf.GradientTape() as tape:
        margin = tf.tensordot(weights, adv, axes=1)
        attack = -tf.math.softplus(-margin)
    g = tape.gradient(attack, delta)
print("step:", g)
""",
        "outside_tape",
        (5, 8),
    ),
    Patient(
        "the softmax taken once, before the loop",
        """\
%%grad
logits = tf.Variable([0.0, 1.0, -1.0])
target = tf.constant([0.2, 0.5, 0.3])
opt = keras.optimizers.SGD(0.5)
probs = tf.nn.softmax(logits)
for step in range(2):
    with tf.GradientTape() as tape:
        kl = tf.reduce_sum(target * tf.math.log(target / probs))
    grad = tape.gradient(kl, logits)
    if grad is not None:
        opt.apply_gradients([(grad, logits)])
grad
""",
        "outside_tape",
        (5, 8),
    ),
    Patient(
        "a step that gets the finished loss",
        """\
%%grad
W = tf.Variable([[1.0], [2.0]])


def step(loss):
    with tf.GradientTape() as tape:
        current = loss
    return tape.gradient(current, W)


x = tf.constant([[3.0, 4.0]])
loss = tf.reduce_sum((x @ W - 1.0) ** 2)
step(loss)
""",
        "outside_tape",
        (12, 7),
        repairable=False,  # the loss has to be computed inside the function
    ),
    Patient(
        "parameters flattened before the tape",
        """\
%%grad
layers = [tf.Variable([[1.0, 2.0]]), tf.Variable([0.5])]
flat = tf.concat([tf.reshape(v, [-1]) for v in layers], axis=0)
with tf.GradientTape() as tape:
    weight_decay = 0.5 * tf.reduce_sum(flat * flat)
tape.gradient(weight_decay, layers)
""",
        "outside_tape",
        (3, 5),
        call=0,
    ),
    # Unconnected.
    Patient(
        "z does not depend on x",
        """\
%%grad
x = tf.Variable(2.0)
y = tf.Variable(3.0)

with tf.GradientTape() as tape:
    z = y * y
print(tape.gradient(z, x))
""",
        "unconnected",
        (7, 6),
        repairable=False,  # nothing connects them
    ),
    Patient(
        "a head that the loss leaves out",
        """\
%%grad
body = tf.Variable([[0.3, -0.6], [0.9, 0.1]])
head_a = tf.Variable([[1.0], [2.0]])
head_b = tf.Variable([[-1.0], [0.5]])
inputs = tf.constant([[1.0, 2.0]])

with tf.GradientTape() as tape:
    features = tf.nn.elu(inputs @ body)
    value = features @ head_a
    policy = features @ head_b
    loss = tf.reduce_mean(value**2)
grads = tape.gradient(loss, [body, head_a, head_b])
[None if g is None else g.shape for g in grads]
""",
        "unconnected",
        (12, 11),
        repairable=False,  # the loss does not use that head
    ),
    Patient(
        "the branch not taken",
        """\
%%grad
x = tf.constant(2.0)

v0 = tf.Variable(2.0)
v1 = tf.Variable(2.0)

with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    if x > 0.0:
        result = v0
    else:
        result = v1**2

dv0, dv1 = tape.gradient(result, [v0, v1])

print(dv0)
print(dv1)
""",
        "unconnected",
        (14, 10, 9),
        repairable=False,  # at this x the other branch counts
    ),
    Patient(
        "one typed twice, two forgotten",
        """\
%%grad
w1 = tf.Variable(0.5)
w2 = tf.Variable(0.25)
bias = tf.Variable(0.1)
x1, x2 = 2.0, 4.0
with tf.GradientTape() as tape:
    pred = w1 * x1 + w1 * x2 + bias
    err = (pred - 1.0) ** 2
tape.gradient(err, [w1, w2, bias])
""",
        "unconnected",
        (9, 7, 8),
        call=1,
        repairable=False,  # w2 is not used; which w1 was meant, no tool can know
    ),
    Patient(
        "source and target swapped",
        """\
%%grad
w = tf.Variable(3.0)
with tf.GradientTape() as tape:
    loss = tf.math.log(w) ** 2
grad = tape.gradient(w, loss)
print(grad)
""",
        "unconnected",
        (5,),
    ),
    Patient(
        "the labels compared with themselves",
        """\
%%grad
mse = keras.losses.MeanSquaredError()
net = keras.layers.Dense(1)
net.build((None, 2))


def train_on(x_batch, y_batch):
    with tf.GradientTape() as tape:
        y_pred = net(x_batch)
        loss = mse(y_batch, y_batch)
    return loss, tape.gradient(loss, net.trainable_variables)


loss, grads = train_on(tf.ones((4, 2)), tf.ones((4, 1)))
print(loss.numpy(), grads)
""",
        "unconnected",
        (11, 10),
        call=0,
        repairable=False,  # what was meant, no tool can know
    ),
    Patient(
        "the gradient of another model's loss",
        """\
%%grad
student = tf.Variable([0.1, 0.2])
teacher = tf.Variable([0.5, -0.5])
x = tf.constant([2.0, 1.0])
with tf.GradientTape() as tape:
    s_out = tf.reduce_sum(student * x)
    t_out = tf.reduce_sum(teacher * x)
    distill = (t_out - 1.0) ** 2
tape.gradient(distill, student)
""",
        "unconnected",
        (9, 8),
        repairable=False,  # the student has no part in that loss
    ),
    Patient(
        "the generator asked about the real images",
        """\
%%grad
gen, disc = tf.Variable([0.4, 0.6]), tf.Variable([1.0, -1.0])
real = tf.constant([0.9, 0.1])
z = tf.constant([1.0, 2.0])
with tf.GradientTape(persistent=True) as tape:
    fake = gen * z
    d_real = tf.reduce_sum(disc * real)
    d_fake = tf.reduce_sum(disc * fake)
    d_loss = tf.math.softplus(-d_real) + tf.math.softplus(d_fake)
    g_loss = tf.math.softplus(-d_real)
d_grad = tape.gradient(d_loss, disc)
g_grad = tape.gradient(g_loss, gen)
del tape
""",
        "unconnected",
        (12, 10),
        repairable=False,  # what was meant, no tool can know
    ),
    # Integer.
    Patient(
        "a constant three without the point",
        """\
%%grad
x = tf.constant(3)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x
print(tape.gradient(y, x))
""",
        "integer",
        (2,),
    ),
    Patient(
        "an integer variable",
        """\
%%grad
n = tf.Variable([1, 2, 3])
with tf.GradientTape() as tape:
    total = tf.reduce_sum(tf.cast(n, tf.float32) ** 2)
tape.gradient(total, n)
""",
        "integer",
        (2, 4),
    ),
    Patient(
        "pixels cast to uint8 and back",
        """\
%%grad
img = tf.Variable([[0.1, 0.5], [0.8, 0.3]])
goal = tf.constant([[0.0, 0.5], [1.0, 0.5]])


def style_loss(picture):
    as_bytes = tf.cast(picture * 255.0, tf.uint8)
    restored = tf.cast(as_bytes, tf.float32) / 255.0
    return tf.reduce_mean(tf.abs(restored - goal))


with tf.GradientTape() as tape:
    loss = style_loss(img)
tape.gradient(loss, img)
""",
        "integer",
        (7,),
    ),
    Patient(
        "an integer array from NumPy",
        """\
%%grad
coef = np.array([2, 5, 3])
at = tf.Variable(np.array(2))
with tf.GradientTape() as tape:
    p = int(coef[0]) * at**3 + int(coef[1]) * at**2 + int(coef[2]) * at
dp = tape.gradient(p, at)
print(dp)
""",
        "integer",
        (3,),
    ),
    Patient(
        "a range is integer",
        """\
%%grad
ks = tf.range(1, 5)
with tf.GradientTape() as tape:
    tape.watch(ks)
    gain = tf.reduce_sum(1.0 / tf.cast(ks, tf.float32))
print(tape.gradient(gain, ks))
""",
        "integer",
        (2, 5),
    ),
    Patient(
        "minutes truncated by a cast",
        """\
%%grad
hours = tf.Variable(2.75)
rate = tf.Variable(30.0)
with tf.GradientTape() as tape:
    whole = tf.cast(hours, tf.int32)
    bill = tf.cast(whole, tf.float32) * rate
d_hours, d_rate = tape.gradient(bill, [hours, rate])
d_hours, d_rate
""",
        "integer",
        (5,),
        call=0,
    ),
    # Nondifferentiable.
    Patient(
        "the accuracy as a loss",
        """\
%%grad
W = tf.Variable([[0.5, -0.5], [0.1, 0.9]])
x = tf.constant([[1.0, 2.0], [2.0, -1.0]])
labels = tf.constant([1, 0], dtype=tf.int64)
with tf.GradientTape() as tape:
    logits = x @ W
    predicted = tf.argmax(logits, axis=1)
    accuracy = tf.reduce_mean(tf.cast(predicted == labels, tf.float32))
    loss = 1.0 - accuracy
tape.gradient(loss, W)
""",
        "nondifferentiable",
        (7, 8),
        repairable=False,  # it takes another loss
    ),
    Patient(
        "quantised by rounding",
        """\
%%grad
def quantize(t, levels=8):
    return tf.round(t * levels) / levels


w = tf.Variable([0.33, -0.71, 0.05])
with tf.GradientTape() as tape:
    q = quantize(w)
    loss = tf.reduce_sum((q - 0.5) ** 2)
print(tape.gradient(loss, w))
""",
        "nondifferentiable",
        (3,),
    ),
    Patient(
        "a count of what exceeds the threshold",
        """\
%%grad
scores = tf.Variable([0.2, 0.9, 0.4, 0.7])
threshold = 0.5
with tf.GradientTape() as tape:
    hits = tf.cast(scores > threshold, tf.float32)
    recall = tf.reduce_sum(hits) / 4.0
g = tape.gradient(recall, scores)
g
""",
        "nondifferentiable",
        (5,),
    ),
    Patient(
        "where with constants on both sides",
        """\
%%grad
x = tf.Variable([-1.0, 0.5, 2.0])
with tf.GradientTape() as tape:
    step = tf.where(x > 0, 1.0, 0.0)
    area = tf.reduce_sum(step)
tape.gradient(area, x)
""",
        "nondifferentiable",
        (4,),
    ),
    Patient(
        "the floor of a price",
        """\
%%grad
price = tf.Variable(12.6)
with tf.GradientTape() as tape:
    euros = tf.floor(price)
    tax = 0.19 * euros
tape.gradient(tax, price)
""",
        "nondifferentiable",
        (4,),
    ),
    Patient(
        "floor division",
        """\
%%grad
seconds = tf.Variable(130.0)
with tf.GradientTape() as tape:
    minutes = seconds // 60.0
    cost = minutes * 0.25
print(tape.gradient(cost, seconds))
""",
        "nondifferentiable",
        (4,),
    ),
    Patient(
        "ranks by argsort",
        """\
%%grad
a = tf.Variable([0.3, 1.2, -0.5])
b = tf.constant([1.0, 2.0, 0.0])
with tf.GradientTape() as tape:
    ranks = tf.cast(tf.argsort(tf.argsort(a)), tf.float32)
    spearman = 1 - tf.reduce_sum((ranks - b) ** 2) / 4.0
tape.gradient(spearman, a)
""",
        "nondifferentiable",
        (5,),
        repairable=False,  # it takes another measure than ranks
    ),
    Patient(
        "a hard choice by one_hot of argmax",
        """\
%%grad
class Router(tf.Module):
    def __init__(self):
        self.gate = tf.Variable([0.1, 0.7, 0.2])
        self.experts = tf.Variable([1.0, -2.0, 3.0])

    def __call__(self, x):
        choice = tf.one_hot(tf.argmax(self.gate), 3)
        return x * tf.reduce_sum(choice * self.experts)


r = Router()
with tf.GradientTape() as tape:
    out = r(2.0) ** 2
dg, de = tape.gradient(out, [r.gate, r.experts])
print(dg, de)
""",
        "nondifferentiable",
        (8,),
        call=0,
    ),
    Patient(
        "an action sampled from the policy",
        """\
%%grad
logits = tf.Variable([[0.1, 0.4, -0.2]])
rewards = tf.constant([1.0, 5.0, -1.0])
with tf.GradientTape() as tape:
    action = tf.random.stateless_categorical(logits, 4, seed=[1, 2])
    ret = tf.reduce_mean(tf.gather(rewards, action[0]))
    loss = -ret
print(tape.gradient(loss, logits))
""",
        "nondifferentiable",
        (5,),
        repairable=False,  # it takes another estimator
    ),
    # Stopped.
    Patient(
        "stop_gradient around the whole prediction",
        """\
%%grad
w = tf.Variable(0.5)
with tf.GradientTape() as tape:
    pred = tf.stop_gradient(w * 3.0)
    loss = (pred - 2.0) ** 2
print(tape.gradient(loss, w))
""",
        "stopped",
        (4,),
    ),
    Patient(
        "stop_gradient on one of two paths",
        """\
%%grad
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    gate = tf.stop_gradient(tf.sigmoid(x))
    swish = x * gate
slope = tape.gradient(swish, x)
slope
""",
        "stopped",
        (4,),
    ),
    Patient(
        "recording stopped for the one thing that counts",
        """\
%%grad
k = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    a = tf.exp(k)
    with tape.stop_recording():
        b = tf.reduce_sum(a * a)
    c = b / 2.0
tape.gradient(c, k)
""",
        "stopped",
        (5, 6),
    ),
    Patient(
        "one of two terms made while not recording",
        """\
%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as t:
    y = x**2
    with t.stop_recording():
        z = y * x
    w = y + z
print("dw/dx =", t.gradient(w, x).numpy())
""",
        "stopped",
        (5, 6),
    ),
    Patient(
        "reset in the middle of the block",
        """\
%%grad
x = tf.Variable(3.0)
started = False
with tf.GradientTape() as tape:
    y = x**2
    if not started:
        # Throw out the tape so far
        tape.reset()
    z = 2.0 * y
dz = tape.gradient(z, x)
print(dz)
""",
        "stopped",
        (8,),
    ),
    Patient(
        "keras.ops.stop_gradient in the layer",
        """\
%%grad
class VectorQuantizer(keras.layers.Layer):
    def call(self, z):
        nearest = keras.ops.stop_gradient(0.9 * z)
        return nearest


enc = keras.layers.Dense(2, kernel_initializer="ones")
vq = VectorQuantizer()
x = tf.constant([[1.0, 2.0, 3.0]])
enc.build(x.shape)
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(vq(enc(x)) ** 2)
g = tape.gradient(loss, enc.kernel)
g
""",
        "stopped",
        (4,),
    ),
    # Higher order.
    Patient(
        "the second derivative of a straight line",
        """\
%%grad
x = tf.Variable(2.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        y = 3.0 * x + 2.0
    dy = inner.gradient(y, x)
d2y = outer.gradient(dy, x)
print(dy, d2y)
""",
        "higher_order",
        (7, 5, 6),
        repairable=False,  # it is 0
    ),
    Patient(
        "the wave equation for something linear in time",
        """\
%%grad
def wave(x, t):
    return tf.sin(x) * t


x, t = tf.constant([[0.5], [1.0]]), tf.constant([[1.0], [2.0]])
with tf.GradientTape(persistent=True) as o:
    o.watch([x, t])
    with tf.GradientTape(persistent=True) as i:
        i.watch([x, t])
        u = wave(x, t)
    u_x = i.gradient(u, x)
    u_t = i.gradient(u, t)
u_xx = o.gradient(u_x, x)
u_tt = o.gradient(u_t, t)
u_tt is None
""",
        "higher_order",
        (15, 3, 13),
        repairable=False,  # it is 0
    ),
    Patient(
        "the Hessian of a linear score",
        """\
%%grad
w = tf.Variable([1.0, 2.0, 3.0])
x = tf.constant([0.1, 0.2, 0.3])
with tf.GradientTape() as hess_tape:
    with tf.GradientTape() as grad_tape:
        score = tf.reduce_sum(w * x)
    g = grad_tape.gradient(score, w)
H = hess_tape.jacobian(g, w)
H
""",
        "higher_order",
        (8, 6, 7),
        repairable=False,  # it is 0
    ),
    Patient(
        "the third derivative of a parabola",
        """\
%%grad
x = tf.constant(4.0)
with tf.GradientTape() as t3:
    t3.watch(x)
    with tf.GradientTape() as t2:
        t2.watch(x)
        with tf.GradientTape() as t1:
            t1.watch(x)
            f = 0.5 * x * x
        f1 = t1.gradient(f, x)
    f2 = t2.gradient(f1, x)
f3 = t3.gradient(f2, x)
f3
""",
        "higher_order",
        (12, 11, 9),
        repairable=False,  # it is 0
    ),
    Patient(
        "a mixed partial of a sum of separate terms",
        """\
%%grad
a = tf.Variable(1.0)
b = tf.Variable(2.0)
with tf.GradientTape() as second:
    with tf.GradientTape() as first:
        f = a**3 + tf.sin(b)
    f_a = first.gradient(f, a)
f_ab = second.gradient(f_a, b)
print("f_ab =", f_ab)
""",
        "higher_order",
        (8, 6, 7),
        repairable=False,  # it is 0
    ),
    # Flat.
    Patient(
        "dead ReLUs",
        """\
%%grad
w = tf.Variable([[0.5, 0.25], [0.5, 0.25]])
b = tf.Variable([-10.0, -20.0])
x = tf.constant([[1.0, 2.0], [0.5, 1.5]])
with tf.GradientTape() as tape:
    hidden = tf.nn.relu(tf.matmul(x, w) + b)
    loss = tf.reduce_mean((tf.reduce_sum(hidden, axis=1) - 1.0) ** 2)
dw, db = tape.gradient(loss, [w, b])
print(dw.numpy(), db.numpy())
""",
        "flat",
        (6,),
    ),
    Patient(
        "a Keras net with all its units dead",
        """\
%%grad
model = keras.Sequential(
    [
        keras.Input((3,)),
        keras.layers.Dense(
            4,
            activation="relu",
            kernel_initializer=keras.initializers.Constant(0.1),
            bias_initializer=keras.initializers.Constant(-5.0),
        ),
        keras.layers.Dense(1, use_bias=False),
    ]
)
x, y = tf.ones((2, 3)), tf.ones((2, 1))
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(keras.losses.mse(y, model(x, training=True)))
grads = tape.gradient(loss, model.trainable_variables)
print([float(tf.norm(g)) for g in grads])
""",
        "flat",
        (5, 7, 16),
        call=0,
    ),
    Patient(
        "a saturated sigmoid",
        """\
%%grad
w = tf.Variable(40.0)
with tf.GradientTape() as tape:
    p = tf.sigmoid(w * 2.0)
    loss = (p - 0.0) ** 2
tape.gradient(loss, w)
""",
        "flat",
        (4,),
    ),
    Patient(
        "inputs not normalised under a tanh",
        """\
%%grad
x_raw = tf.constant(np.arange(8, dtype=np.float32).reshape(2, 4) * 30.0)  # not normalised
W = tf.Variable(tf.ones((4, 1)))


@tf.function
def forward(x):
    return tf.tanh(x @ W)


with tf.GradientTape() as tape:
    cost = tf.reduce_mean((forward(x_raw) + 1.0) ** 2)
dW = tape.gradient(cost, W)
print(dW)
""",
        "flat",
        (8, 12),
    ),
    Patient(
        "clipped to the allowed range",
        """\
%%grad
action = tf.Variable([2.5, -3.0])
with tf.GradientTape() as tape:
    bounded = tf.clip_by_value(action, -1.0, 1.0)
    reward = tf.reduce_sum(bounded * tf.constant([0.3, 0.7]))
tape.gradient(reward, action)
""",
        "flat",
        (4,),
    ),
    Patient(
        "a maximum that the other side wins",
        """\
%%grad
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = tf.maximum(x, 5.0) ** 2
print(tape.gradient(y, x))
""",
        "flat",
        (4,),
    ),
    Patient(
        "binary weights by sign",
        """\
%%grad
latent = tf.Variable([0.3, -0.2, 0.8])
x = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    binary = tf.sign(latent)
    out = tf.reduce_sum(binary * x)
    loss = (out - 1.0) ** 2
tape.gradient(loss, latent)
""",
        "flat",
        (5,),
    ),
    Patient(
        "relu6 beyond its ceiling",
        """\
%%grad
v = tf.Variable([7.0, 9.5])
with tf.GradientTape() as tape:
    act = tf.nn.relu6(v)
    s = tf.reduce_mean(act)
grad = tape.gradient(s, v)
grad.numpy()
""",
        "flat",
        (4,),
    ),
    # Where.
    Patient(
        "sinc with one where",
        """\
%%grad
def sinc(x):
    return tf.where(tf.equal(x, 0.0), tf.ones_like(x), tf.sin(x) / x)


x = tf.Variable([0.0, 1.0, 2.0])
with tf.GradientTape() as tape:
    y = sinc(x)
print(tape.gradient(y, x))
""",
        "where",
        (3,),
    ),
    Patient(
        "the log masked afterwards",
        """\
%%grad
p = tf.Variable([0.0, 0.25, 0.75])
with tf.GradientTape() as tape:
    terms = tf.where(p > 0, p * tf.math.log(p), 0.0)
    entropy = -tf.reduce_sum(terms)
tape.gradient(entropy, p)
""",
        "where",
        (4,),
    ),
    Patient(
        "an ELU of one's own",
        """\
%%grad
def elu(v, alpha=1.0):
    neg = alpha * (tf.exp(v) - 1.0)
    return tf.where(v >= 0.0, v, neg)


v = tf.constant([-1.0, 0.5, 120.0])
with tf.GradientTape() as tape:
    tape.watch(v)
    total = tf.reduce_sum(elu(v))
g = tape.gradient(total, v)
g
""",
        "where",
        (4, 3),
    ),
    Patient(
        "a power under the where",
        """\
%%grad
dist = tf.Variable([0.0, 4.0])
with tf.GradientTape() as tape:
    root = dist**0.5
    safe = tf.where(dist > 0.0, root, tf.zeros_like(root))
    out = tf.reduce_sum(safe)
tape.gradient(out, dist).numpy()
""",
        "where",
        (5, 4),
    ),
    Patient(
        "the inverse kept out by a mask",
        """\
%%grad
degrees = tf.Variable([0.0, 2.0, 4.0])
A = tf.constant([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
with tf.GradientTape() as tape:
    inv = 1.0 / degrees
    inv = tf.where(tf.math.is_inf(inv), 0.0, inv)
    smoothed = tf.linalg.matvec(A, inv)
    loss = tf.reduce_sum(smoothed**2)
print(tape.gradient(loss, degrees))
""",
        "where",
        (6, 5),
    ),
    # Domain.
    Patient(
        "sqrt at zero",
        """\
%%grad
x = tf.Variable(0.0)
with tf.GradientTape() as tape:
    y = tf.sqrt(x)
print(tape.gradient(y, x))
""",
        "domain",
        (4,),
    ),
    Patient(
        "the norm of a zero vector",
        """\
%%grad
delta = tf.Variable(tf.zeros(3))
with tf.GradientTape() as tape:
    size = tf.norm(delta)
    objective = size + tf.reduce_sum((delta - 1.0) ** 2)
tape.gradient(objective, delta)
""",
        "domain",
        (4,),
    ),
    Patient(
        "pairwise distances with the diagonal",
        """\
%%grad
pts = tf.Variable([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])


def pairwise(p):
    diff = p[:, None, :] - p[None, :, :]
    sq = tf.reduce_sum(diff**2, axis=-1)
    return tf.sqrt(sq)


with tf.GradientTape() as tape:
    stress = tf.reduce_sum(pairwise(pts))
tape.gradient(stress, pts)
""",
        "domain",
        (8,),
    ),
    Patient(
        "log of a zero probability",
        """\
%%grad
probs = tf.constant([0.0, 0.4, 0.6])
with tf.GradientTape() as g:
    g.watch(probs)
    H = -tf.reduce_sum(probs * tf.math.log(probs))
g.gradient(H, probs)
""",
        "domain",
        (5,),
    ),
    Patient(
        "cross-entropy by hand with a sure mistake",
        """\
%%grad
class Bernoulli:
    def __init__(self, logit):
        self.logit = tf.Variable(logit)

    def nll(self, y):
        p = tf.sigmoid(self.logit)
        return -(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))


coin = Bernoulli(30.0)
with tf.GradientTape() as tape:
    nll = coin.nll(0.0)
print(nll, tape.gradient(nll, coin.logit))
""",
        "domain",
        (8,),
    ),
    Patient(
        "zero times infinity under a mask",
        """\
%%grad
rate = tf.Variable([0.0, 1.0, 3.0])
mask = tf.constant([0.0, 1.0, 1.0])
with tf.GradientTape() as tape:
    loglik = tf.reduce_sum(mask * tf.math.log(rate))
dll = tape.gradient(loglik, rate)
dll
""",
        "domain",
        (5,),
    ),
    Patient(
        "the cube root of a negative number",
        """\
%%grad
v = tf.Variable(-8.0)
with tf.GradientTape() as tape:
    root = v ** (1 / 3)
tape.gradient(root, v)
""",
        "domain",
        (4,),
    ),
    Patient(
        "a fractional power at zero",
        """\
%%grad
conc = tf.Variable([0.0, 1.0])
k, order = tf.constant(0.7), 0.5
with tf.GradientTape() as tape:
    rate = k * tf.pow(conc, order)
    total = tf.reduce_sum(rate)
tape.gradient(total, conc)
""",
        "domain",
        (5,),
    ),
    Patient(
        "one over zero",
        """\
%%grad
r = tf.Variable(0.0)
with tf.GradientTape() as tape:
    V = 1.0 / r
print("force", -tape.gradient(V, r))
""",
        "domain",
        (4,),
    ),
    Patient(
        "the angle at the origin",
        """\
%%grad
xy = tf.Variable([0.0, 0.0])
with tf.GradientTape() as tape:
    phi = tf.atan2(xy[1], xy[0])
tape.gradient(phi, xy)
""",
        "domain",
        (4,),
        repairable=False,  # no angle at the origin
    ),
    Patient(
        "the angle between a vector and itself",
        """\
%%grad
def angle(u, v):
    cos = tf.reduce_sum(u * v) / (tf.norm(u) * tf.norm(v))
    return tf.acos(cos)


u = tf.Variable([1.0, 0.0])
v = tf.constant([1.0, 0.0])
with tf.GradientTape() as tape:
    a = angle(u, v)
tape.gradient(a, u)
""",
        "domain",
        (4,),
        repairable=False,  # the angle has a corner there
    ),
    Patient(
        "the spread of equal numbers",
        """\
%%grad
batch = tf.Variable([2.0, 2.0, 2.0, 2.0])
with tf.GradientTape() as tape:
    std = tf.math.reduce_std(batch)
    variance_loss = tf.nn.relu(1.0 - std)
tape.gradient(variance_loss, batch)
""",
        "domain",
        (4,),
        repairable=False,  # the spread has a corner there
    ),
    # Overflow.
    Patient(
        "softplus written out",
        """\
%%grad
x = tf.constant(100.0)


def log1pexp(x):
    return tf.math.log(1 + tf.exp(x))


with tf.GradientTape() as tape:
    tape.watch(x)
    y = log1pexp(x)
tape.gradient(y, x)
""",
        "overflow",
        (6,),
    ),
    Patient(
        "softmax written out",
        """\
%%grad
scores = tf.Variable([100.0, 20.0, 3.0])
with tf.GradientTape() as tape:
    e = tf.exp(scores)
    soft = e / tf.reduce_sum(e)
    ce = -tf.math.log(soft[0])
print(tape.gradient(ce, scores))
""",
        "overflow",
        (4,),
    ),
    Patient(
        "the logistic function written out",
        """\
%%grad
sigma = lambda a: 1.0 / (1.0 + tf.exp(-a))
theta = tf.Variable(-5.0)
feature, label = 30.0, 0.0
with tf.GradientTape() as tape:
    h = sigma(theta * feature)
    J = (h - label) ** 2
tape.gradient(J, theta)
""",
        "overflow",
        (2,),
        repairable=False,  # stable, the slope is still 10**-65
    ),
    Patient(
        "log cosh of a far residual",
        """\
%%grad
y_true = tf.constant([1.0, 2.0, 300.0])
c = tf.Variable(1.5)
with tf.GradientTape() as tape:
    res = y_true - c
    loss = tf.reduce_mean(tf.math.log(tf.cosh(res)))
dc = tape.gradient(loss, c)
dc
""",
        "overflow",
        (6,),
    ),
    Patient(
        "gradient descent that runs away",
        """\
%%grad
x = tf.Variable(3.0)
lr = 1.0
for i in range(4):
    with tf.GradientTape() as tape:
        f = x**4 - 2 * x**2
    g = tape.gradient(f, x)
    x.assign_sub(lr * g)
    print(i, x.numpy(), g.numpy())
""",
        "overflow",
        (6, 8),
        repairable=False,  # it takes a smaller step
    ),
    Patient(
        "half precision ends at 65504",
        """\
%%grad
scores = tf.Variable([12.0, 3.0], dtype=tf.float16)
with tf.GradientTape() as tape:
    weights = tf.exp(scores)
    attention = weights / tf.reduce_sum(weights, keepdims=True)
    loss = attention[1]
tape.gradient(loss, scores)
""",
        "overflow",
        (4,),
    ),
    # Underflow.
    Patient(
        "a small product in half precision",
        """\
%%grad
w = tf.Variable(0.5, dtype=tf.float16)
x = tf.constant(1e-4, tf.float16)
with tf.GradientTape() as tape:
    out = w * x
    loss = out * x
print(tape.gradient(loss, w))
""",
        "underflow",
        (5, 6, 7),
    ),
    Patient(
        "mixed precision without loss scaling",
        """\
%%grad
kernel = tf.Variable([[0.01], [0.02]])
batch = tf.constant([[1e-3, 2e-3]])
with tf.GradientTape() as tape:
    k16 = tf.cast(kernel, tf.float16)
    out = tf.cast(batch, tf.float16) @ k16
    loss = tf.reduce_mean(out * out) * tf.cast(1e-2, tf.float16)
tape.gradient(loss, kernel)
""",
        "underflow",
        (6, 7, 5, 8),
    ),
    Patient(
        "a Gaussian far out in its tail",
        """\
%%grad
mu = tf.Variable(0.0)
obs = tf.constant(25.0)
with tf.GradientTape() as tape:
    pdf = tf.exp(-0.5 * (obs - mu) ** 2) / math.sqrt(2 * math.pi)
grad = tape.gradient(pdf, mu)
grad
""",
        "underflow",
        (5,),
    ),
    Patient(
        "a gradient that vanishes through time",
        """\
%%grad
h0 = tf.constant(1.0)
with tf.GradientTape() as tape:
    tape.watch(h0)
    h = h0
    for t in range(200):
        h = 0.5 * h
    last = h
dh = tape.gradient(last, h0)
print("d h_T / d h_0 =", dh.numpy())
""",
        "underflow",
        (7, 9),
    ),
    Patient(
        "the likelihood as a product",
        """\
%%grad
logit = tf.Variable(0.2)
heads = tf.ones(200)
with tf.GradientTape() as tape:
    p = tf.sigmoid(logit)
    likelihood = tf.reduce_prod(p * heads)
tape.gradient(likelihood, logit)
""",
        "underflow",
        (6,),
    ),
    # Kink.
    Patient(
        "relu exactly at zero",
        """\
%%grad
x = tf.Variable(0.0)
with tf.GradientTape() as tape:
    y = tf.nn.relu(x)
print(tape.gradient(y, x))
""",
        "kink",
        (4,),
        repairable=False,  # TensorFlow's choice at the corner
    ),
    Patient(
        "the lasso penalty on weights that start at zero",
        """\
%%grad
w = tf.Variable(tf.zeros(3))
with tf.GradientTape() as tape:
    l1 = 0.1 * tf.reduce_sum(tf.abs(w))
tape.gradient(l1, w)
""",
        "kink",
        (4,),
        repairable=False,  # TensorFlow's choice at the corner
    ),
    Patient(
        "two winners of reduce_max",
        """\
%%grad
votes = tf.constant([1.0, 4.0, 4.0, 2.0])
with tf.GradientTape() as tape:
    tape.watch(votes)
    winner = tf.reduce_max(votes)
share = tape.gradient(winner, votes)
share
""",
        "kink",
        (5,),
    ),
    Patient(
        "a tie between two variables",
        """\
%%grad
left, right = tf.Variable(2.0), tf.Variable(2.0)
with tf.GradientTape() as tape:
    larger = tf.maximum(left, right)
    out = larger**2
tape.gradient(out, [left, right])
""",
        "kink",
        (4,),
        call=0,
    ),
    Patient(
        "the hinge exactly on the margin",
        """\
%%grad
w = tf.Variable([1.0, 0.0])
x, label = tf.constant([1.0, 5.0]), 1.0
with tf.GradientTape() as tape:
    margin = label * tf.reduce_sum(w * x)
    hinge = tf.maximum(0.0, 1.0 - margin)
print(hinge.numpy(), tape.gradient(hinge, w))
""",
        "kink",
        (6,),
        repairable=False,  # TensorFlow's choice at the corner
    ),
    Patient(
        "a leaky unit at its corner",
        """\
%%grad
z = tf.constant([0.0])
with tf.GradientTape() as tape:
    tape.watch(z)
    a = tf.nn.leaky_relu(z, alpha=0.1)
tape.gradient(a, z).numpy()
""",
        "kink",
        (5,),
    ),
    # Summed.
    Patient(
        "softmax summed over its outputs",
        """\
%%grad
logits = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(logits)
print(tape.gradient(p, logits))
""",
        "summed",
        (5, 4),
    ),
    Patient(
        "the gradient of a matrix product is no Jacobian",
        """\
%%grad
A = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
v = tf.Variable([1.0, 1.0])
with tf.GradientTape() as tape:
    out = tf.linalg.matvec(A, v)
tape.gradient(out, v)  # A?
""",
        "summed",
        (6, 5),
    ),
    Patient(
        "Hessian rows summed",
        """\
%%grad
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        f = x[0] ** 2 * x[1] + x[1] ** 3
    g = t1.gradient(f, x)
hessian = t2.gradient(g, x)
print(hessian.numpy())
""",
        "summed",
        (7, 6),
    ),
    Patient(
        "a curve's three components at once",
        """\
%%grad
t = tf.Variable(2.0)
with tf.GradientTape() as tape:
    curve = tf.stack([t, t**2, t**3])
velocity = tape.gradient(curve, t)
velocity
""",
        "summed",
        (5, 4),
    ),
    Patient(
        "the scores of all classes at once",
        """\
%%grad
x = tf.constant([[0.5, -1.0]])
K = tf.constant([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]])


def logits(x):
    return tf.nn.tanh(x) @ K


with tf.GradientTape() as tape:
    tape.watch(x)
    s = logits(x)
dx = tape.gradient(s, x)
print(dx.shape)
""",
        "summed",
        (13, 7, 12),
    ),
    # Custom.
    Patient(
        "a gradient reversal layer",
        """\
%%grad
@tf.custom_gradient
def reverse(x):
    def grad(upstream):
        return -1.0 * upstream

    return tf.identity(x), grad


feat = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    domain = tf.reduce_sum(reverse(feat) ** 2)
tape.gradient(domain, feat)
""",
        "custom",
        (12, 3, 2, 5),
    ),
    Patient(
        "a mistake in a hand-written slope",
        """\
%%grad
@tf.custom_gradient
def cube(x):
    y = x * x * x

    def grad(dy):
        return dy * 3.0 * x

    return y, grad


x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    z = cube(x)
dz = tape.gradient(z, x)
print(dz)
""",
        "custom",
        (14, 3, 2, 7),
    ),
    Patient(
        "clipping hidden in an identity",
        """\
%%grad
def clip_grad(limit):
    @tf.custom_gradient
    def op(x):
        return tf.identity(x), lambda dy: tf.clip_by_value(dy, -limit, limit)

    return op


w = tf.Variable(10.0)
with tf.GradientTape() as tape:
    loss = clip_grad(1.0)(w) ** 2
tape.gradient(loss, w).numpy()
""",
        "custom",
        (12, 4, 3, 5),
    ),
    # Convention.
    Patient(
        "the square of a complex number",
        """\
%%grad
z = tf.Variable(1.0 + 2.0j, dtype=tf.complex64)
with tf.GradientTape() as tape:
    w = z**2
print(tape.gradient(w, z))  # 2z = 2+4j?
""",
        "convention",
        (4, 5),
    ),
    Patient(
        "the complex exponential",
        """\
%%grad
k = tf.constant(0.5 + 1.5j, dtype=tf.complex128)
with tf.GradientTape() as g:
    g.watch(k)
    phase = tf.exp(1j * k)
d = g.gradient(phase, k)
d.numpy(), (1j * phase).numpy()
""",
        "convention",
        (5, 6),
    ),
    # Precision.
    Patient(
        "exp minus one over x, close to zero",
        """\
%%grad
x = tf.Variable(1e-5)
with tf.GradientTape() as tape:
    f = (tf.exp(x) - 1.0) / x
tape.gradient(f, x)  # about 0.5?
""",
        "precision",
        (4,),
    ),
    Patient(
        "one minus cosine over the square",
        """\
%%grad
h = tf.constant(1e-4)
with tf.GradientTape() as tape:
    tape.watch(h)
    num = 1.0 - tf.cos(h)
    q = num / h**2
slope = tape.gradient(q, h)
print("should be about -8e-6:", slope.numpy())
""",
        "precision",
        (5, 6),
    ),
    Patient(
        "the difference of two square roots",
        """\
%%grad
n = tf.Variable(1.0e7)
with tf.GradientTape() as tape:
    gap = tf.sqrt(n + 1.0) - tf.sqrt(n)
tape.gradient(gap, n)
""",
        "precision",
        (4,),
    ),
    # Degenerate.
    Patient(
        "eigenvectors of a multiple of the identity",
        """\
%%grad
S = tf.Variable([[2.0, 0.0], [0.0, 2.0]])
with tf.GradientTape() as tape:
    vals, vecs = tf.linalg.eigh(S)
    loss = tf.reduce_sum(vecs[:, 0] * tf.constant([1.0, 2.0]))
print(tape.gradient(loss, S))
""",
        "degenerate",
        (4,),
        repairable=False,  # the eigenvectors have no derivative there
    ),
    Patient(
        "singular vectors of an orthogonal matrix",
        """\
%%grad
def procrustes(m):
    s, u, v = tf.linalg.svd(m)
    return tf.matmul(u, v, transpose_b=True)


M = tf.constant([[0.0, 3.0], [-3.0, 0.0]])
with tf.GradientTape() as tape:
    tape.watch(M)
    R = procrustes(M)
    off = tf.reduce_sum(R * tf.constant([[1.0, 2.0], [3.0, 4.0]]))
tape.gradient(off, M)
""",
        "degenerate",
        (3,),
        repairable=False,  # the singular vectors have no derivative there
    ),
    Patient(
        "two of three principal axes are a matter of taste",
        """\
%%grad
cov = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])


def first_axis(c):
    eigenvalues, axes = tf.linalg.eigh(c)
    return axes[:, 0]


with tf.GradientTape() as tape:
    tape.watch(cov)
    projection = tf.reduce_sum(first_axis(cov) * tf.constant([1.0, 2.0, 3.0]))
tape.gradient(projection, cov).numpy()
""",
        "degenerate",
        (6,),
        repairable=False,  # the eigenvectors have no derivative there
    ),
    # Expired.
    Patient(
        "asked twice",
        """\
%%grad
x = tf.constant(3.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x
    z = y * y
dz_dx = tape.gradient(z, x)
dy_dx = tape.gradient(y, x)
print(dz_dx, dy_dx)
""",
        "expired",
        (8,),
        error="RuntimeError",
    ),
    Patient(
        "one tape for generator and discriminator",
        """\
%%grad
g, d = tf.Variable(0.3), tf.Variable(-0.2)


def losses():
    fake = tf.tanh(g * 2.0)
    score = tf.sigmoid(d * fake)
    return -tf.math.log(score), -tf.math.log(1.0 - score)


with tf.GradientTape() as tape:
    gen_loss, disc_loss = losses()
updates = {}
for name, loss, var in [("gen", gen_loss, g), ("disc", disc_loss, d)]:
    updates[name] = tape.gradient(loss, var)
print(updates)
""",
        "expired",
        (15,),
        error="RuntimeError",
    ),
    # Dtype.
    Patient(
        "single times double",
        """\
%%grad
data = np.array([[1.0, 2.0], [3.0, 4.0]])
X = tf.constant(data)
w = tf.Variable([[0.5], [0.5]])
with tf.GradientTape() as tape:
    out = tf.matmul(X, w)
    loss = tf.reduce_sum(out)
tape.gradient(loss, w)
""",
        "dtype",
        (6,),
        error="InvalidArgumentError",
    ),
    Patient(
        "an integer factor",
        """\
%%grad
v = tf.Variable(2.0)
n = tf.constant(4)
with tf.GradientTape() as tape:
    y = v * n
tape.gradient(y, v)
""",
        "dtype",
        (5,),
        error="InvalidArgumentError",
    ),
    # Not a tensor.
    Patient(
        "a plain float as the source",
        """\
%%grad
x = 3.0
with tf.GradientTape() as tape:
    y = tf.square(x)
print(tape.gradient(y, x))
""",
        "not_a_tensor",
        (5,),
        error="AttributeError",
    ),
    Patient(
        "a NumPy array watched",
        """\
%%grad
pixels = np.ones((2, 2), dtype=np.float32)
with tf.GradientTape() as tape:
    tape.watch(pixels)
    bright = tf.reduce_mean(pixels)
tape.gradient(bright, pixels)
""",
        "not_a_tensor",
        (4,),
        error="ValueError",
    ),
    Patient(
        "a loss that became a number",
        """\
%%grad
w = tf.Variable(1.0)


def compute_loss():
    return float(tf.square(w - 3.0))


with tf.GradientTape() as tape:
    loss = compute_loss()
dw = tape.gradient(loss, w)
""",
        "not_a_tensor",
        (11,),
        error="AttributeError",
    ),
    Patient(
        "get_weights as sources",
        """\
%%grad
layer = keras.layers.Dense(2)
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(tf.ones((1, 3))) ** 2)
grads = tape.gradient(loss, layer.get_weights())
""",
        "not_a_tensor",
        (5,),
        error="AttributeError",
    ),
    Patient(
        "a list of numbers as the source",
        """\
%%grad
coeffs = [1.0, 2.0, 3.0]
with tf.GradientTape() as tape:
    poly = tf.reduce_sum(tf.constant(coeffs) ** 2)
tape.gradient(poly, coeffs)
""",
        "not_a_tensor",
        (5,),
        error="AttributeError",
    ),
    Patient(
        "a symbolic Keras input",
        """\
%%grad
inp = keras.Input((2,))
outp = keras.layers.Dense(1)(inp)
functional = keras.Model(inp, outp)
with tf.GradientTape() as tape:
    tape.watch(functional.input)
    value = functional(tf.ones((1, 2)))
tape.gradient(value, functional.input)
""",
        "not_a_tensor",
        (6,),
        error="ValueError",
    ),
    # Keras variable.
    Patient(
        "Keras 3's kernel watched",
        """\
%%grad
layer = keras.layers.Dense(2, activation="relu")
x = tf.constant([[1.0, 2.0, 3.0]])
layer(x)
with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(layer.kernel)
    y = layer(x)
    loss = tf.reduce_mean(y**2)
grad = tape.gradient(loss, layer.kernel)
""",
        "keras_variable",
        (6,),
        error="ValueError",
    ),
    Patient(
        "a Keras model's variables watched",
        """\
%%grad
def gradients(net, batch):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(net.trainable_variables)
        out = tf.reduce_sum(net(batch))
    return tape.gradient(out, net.trainable_variables)


mlp = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
gradients(mlp, tf.ones((1, 2)))
""",
        "keras_variable",
        (4,),
        error="ValueError",
    ),
    # No gradient.
    Patient(
        "contrast augmentation has no gradient",
        """\
%%grad
photo = tf.Variable(tf.reshape(tf.linspace(0.0, 1.0, 12), (2, 2, 3)))
with tf.GradientTape() as tape:
    vivid = tf.image.adjust_contrast(photo, 2.0)
    loss = tf.reduce_mean(vivid)
tape.gradient(loss, photo)
""",
        "no_gradient",
        (6, 4),
        error="LookupError",
    ),
    Patient(
        "a weighted bincount has no gradient",
        """\
%%grad
weights = tf.Variable([0.5, 1.5, 2.0])
groups = tf.constant([0, 1, 0])
with tf.GradientTape() as tape:
    per_group = tf.math.bincount(groups, weights=weights)
    imbalance = (per_group[0] - per_group[1]) ** 2
g = tape.gradient(imbalance, weights)
""",
        "no_gradient",
        (7, 5),
        error="LookupError",
    ),
    # Healthy.
    Patient(
        "healthy: a training loop that logs",
        """\
%%grad
w, b = tf.Variable(0.0), tf.Variable(0.0)
xs = tf.constant([0.0, 1.0, 2.0, 3.0])
ys = 2.0 * xs + 1.0
history = []
for epoch in range(5):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(w * xs + b - ys))
        print(f"epoch {epoch}: {loss.numpy():.3f}")
        history.append(float(loss))
    dw, db = tape.gradient(loss, [w, b])
    w.assign_sub(0.1 * dw)
    b.assign_sub(0.1 * db)
print(np.mean(history), float(w), math.sqrt(history[-1]))
""",
        None,
    ),
    Patient(
        "healthy: elementwise over a vector",
        """\
%%grad
x = tf.linspace(-2.0, 2.0, 9)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x**2
dy_dx = tape.gradient(y, x)
print(dict(zip(x.numpy().tolist(), dy_dx.numpy().tolist())))
""",
        None,
    ),
    Patient(
        "healthy: a physics-informed network",
        """\
%%grad
t = tf.reshape(tf.linspace(0.0, 2.0, 8), (-1, 1))
W1, b1 = tf.Variable([[0.7, -0.4, 1.1]]), tf.Variable([0.1, 0.2, -0.3])
W2, b2 = tf.Variable([[0.5], [-1.0], [0.25]]), tf.Variable([0.05])
params = [W1, b1, W2, b2]


def u(t):
    return tf.tanh(t @ W1 + b1) @ W2 + b2


def pinn_loss():
    with tf.GradientTape() as tape:
        tape.watch(t)
        ut = u(t)
    du = tape.gradient(ut, t)
    residual = du + ut
    ic = u(tf.zeros((1, 1))) - 1.0
    return tf.reduce_mean(residual**2) + tf.reduce_mean(ic**2)


with tf.GradientTape() as train_tape:
    loss = pinn_loss()
grads = train_tape.gradient(loss, params)
""",
        None,
    ),
    Patient(
        "healthy: a gradient penalty",
        """\
%%grad
critic_w = tf.Variable([[0.5], [-0.3]])
critic_v = tf.Variable([[0.2, 0.9], [-0.7, 0.4]])


def critic(x):
    return tf.tanh(x @ critic_v) @ critic_w


real = tf.constant([[1.0, 2.0], [0.5, -1.0]])
fake = tf.constant([[0.0, 1.0], [1.5, 0.3]])
eps = tf.constant([[0.3], [0.8]])
mixed = eps * real + (1 - eps) * fake
with tf.GradientTape() as tape:
    with tf.GradientTape() as gp_tape:
        gp_tape.watch(mixed)
        pred = critic(mixed)
    g = gp_tape.gradient(pred, [mixed])[0]
    norm = tf.sqrt(tf.reduce_sum(tf.square(g), axis=1))
    gp = tf.reduce_mean((norm - 1.0) ** 2)
    d_loss = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real)) + 10.0 * gp
tape.gradient(d_loss, [critic_v, critic_w])
""",
        None,
    ),
    Patient(
        "healthy: the double where",
        """\
%%grad
def safe_log(x):
    ok = x > 0
    return tf.where(ok, tf.math.log(tf.where(ok, x, 1.0)), 0.0)


x = tf.Variable([0.0, 0.5, 2.0])
with tf.GradientTape() as tape:
    total = tf.reduce_sum(safe_log(x))
print(tape.gradient(total, x))
""",
        None,
    ),
    Patient(
        "healthy: relu away from zero, some units off",
        """\
%%grad
W = tf.Variable([[1.0, -1.0, 0.5], [0.5, -0.5, -2.0]])
x = tf.constant([[1.0, 2.0], [2.0, 0.6]])
with tf.GradientTape() as tape:
    h = tf.nn.relu(x @ W)
    loss = tf.reduce_mean(tf.reduce_sum(h, axis=1) ** 2)
tape.gradient(loss, W)
""",
        None,
    ),
    Patient(
        "healthy: a mask from a comparison",
        """\
%%grad
lengths = tf.constant([2, 3])
steps = tf.range(3)[None, :]
mask = tf.cast(steps < lengths[:, None], tf.float32)
logits = tf.Variable([[0.3, -0.2, 5.0], [1.0, 0.4, -0.6]])
targets = tf.constant([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
with tf.GradientTape() as tape:
    per_step = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    loss = tf.reduce_sum(per_step * mask) / tf.reduce_sum(mask)
tape.gradient(loss, logits)
""",
        None,
    ),
    Patient(
        "healthy: rows looked up in an embedding",
        """\
%%grad
table = tf.Variable([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]])
out = tf.Variable([[1.0], [-1.0]])
ids = tf.constant([[0, 2], [2, 3]])
with tf.GradientTape() as tape:
    vectors = tf.nn.embedding_lookup(table, ids)
    pooled = tf.reduce_mean(vectors, axis=1)
    loss = tf.reduce_mean((pooled @ out - 0.5) ** 2)
g_table, g_out = tape.gradient(loss, [table, out])
print(type(g_table).__name__, g_out.numpy())
""",
        None,
    ),
    Patient(
        "healthy: integer data cast once",
        """\
%%grad
counts = np.array([3, 1, 4, 1, 5])
log_rate = tf.Variable(0.5)
with tf.GradientTape() as tape:
    k = tf.cast(counts, tf.float32)
    n = tf.cast(tf.shape(k)[0], tf.float32)
    nll = (n * tf.exp(log_rate) - tf.reduce_sum(k) * log_rate) / n
dll = tape.gradient(nll, log_rate)
dll
""",
        None,
    ),
    Patient(
        "healthy: dropout in training",
        """\
%%grad
keras.utils.set_random_seed(3)
net = keras.Sequential(
    [
        keras.Input((10,)),
        keras.layers.Dense(6, activation="tanh"),
        keras.layers.Dropout(0.5, seed=1),
        keras.layers.Dense(1),
    ]
)
x = tf.reshape(tf.linspace(-1.0, 1.0, 320), (32, 10))
y = tf.reduce_sum(x, axis=1, keepdims=True)
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((net(x, training=True) - y) ** 2)
grads = tape.gradient(loss, net.trainable_variables)
""",
        None,
    ),
    Patient(
        "healthy: Keras with an optimizer and metrics",
        """\
%%grad
keras.utils.set_random_seed(1)
x = tf.constant([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = tf.constant([1, 0, 1])
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
opt = keras.optimizers.Adam(0.01)
acc = keras.metrics.SparseCategoricalAccuracy()
for step in range(2):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = loss_fn(y, logits)
        acc.update_state(y, logits)
    grads = tape.gradient(loss, model.trainable_weights)
    opt.apply_gradients(zip(grads, model.trainable_weights))
print(float(acc.result()))
""",
        None,
    ),
    Patient(
        "healthy: a GAN step with two tapes",
        """\
%%grad
class GAN:
    def __init__(self):
        self.g = tf.Variable([[0.4, -0.1], [0.2, 0.3]])
        self.d = tf.Variable([[0.6], [-0.5]])

    def step(self, real, noise):
        with tf.GradientTape() as gt, tf.GradientTape() as dt:
            fake = tf.tanh(noise @ self.g)
            r, f = real @ self.d, fake @ self.d
            g_loss = tf.reduce_mean(tf.nn.softplus(-f))
            d_loss = tf.reduce_mean(tf.nn.softplus(-r) + tf.nn.softplus(f))
        self.g.assign_sub(0.1 * gt.gradient(g_loss, self.g))
        self.d.assign_sub(0.1 * dt.gradient(d_loss, self.d))
        return float(g_loss), float(d_loss)


gan = GAN()
for _ in range(2):
    print(gan.step(tf.constant([[1.0, 0.5]]), tf.constant([[0.2, -0.9]])))
""",
        None,
    ),
    Patient(
        "healthy: MAML by tensors",
        """\
%%grad
theta = {"w": tf.Variable(1.0), "b": tf.Variable(0.5)}


def predict(p, x):
    return p["w"] * x + p["b"]


def mse(p, x, y):
    return tf.reduce_mean((predict(p, x) - y) ** 2)


support = tf.constant([1.0, 2.0]), tf.constant([3.0, 5.0])
query = tf.constant([3.0, 4.0]), tf.constant([7.0, 9.0])
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        task_loss = mse(theta, *support)
    grads = inner.gradient(task_loss, theta)
    fast = {k: theta[k] - 0.01 * grads[k] for k in theta}
    meta_loss = mse(fast, *query)
meta = outer.gradient(meta_loss, theta)
meta
""",
        None,
    ),
    Patient(
        "healthy: argmax for the accuracy only",
        """\
%%grad
W = tf.Variable([[0.2, -0.3, 0.1], [0.5, 0.4, -0.6]])
x, y = tf.constant([[1.0, 2.0], [-1.0, 1.0]]), tf.constant([0, 2])
with tf.GradientTape() as tape:
    logits = tf.matmul(x, W)
    predicted = tf.argmax(logits, axis=1, output_type=tf.int32)
    accuracy = tf.reduce_mean(tf.cast(predicted == y, tf.float32))
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
dW = tape.gradient(loss, W)
print(f"accuracy {accuracy:.2f}, loss {loss:.3f}")
""",
        None,
    ),
    Patient(
        "healthy: a second derivative",
        """\
%%grad
x = tf.Variable(1.0)
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = x * x * x
    dy_dx = t1.gradient(y, x)
d2y_dx2 = t2.gradient(dy_dx, x)
assert dy_dx.numpy() == 3.0
assert d2y_dx2.numpy() == 6.0
""",
        None,
    ),
    Patient(
        "healthy: only one entry counts",
        """\
%%grad
x = tf.Variable([3.0, 7.0, 5.0])
with tf.GradientTape() as tape:
    top = tf.reduce_max(x) ** 2
tape.gradient(top, x)
""",
        None,
    ),
    Patient(
        "healthy: at the bottom of the parabola",
        """\
%%grad
x = tf.Variable(0.0)
with tf.GradientTape() as tape:
    y = x**2
print(tape.gradient(y, x))
""",
        None,
    ),
    Patient(
        "healthy: an unused variable asked for zeros",
        """\
%%grad
used, unused = tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(used**3)
tape.gradient(loss, [used, unused], unconnected_gradients=tf.UnconnectedGradients.ZERO)
""",
        None,
    ),
    Patient(
        "healthy: Python's sum, max and tf.constant keep the path",
        """\
%%grad
ws = [tf.Variable(1.0), tf.Variable(2.0), tf.Variable(-0.5)]
with tf.GradientTape() as tape:
    squares = [w * w for w in ws]
    spread = max(squares) - 0.5 * sum(squares)
    out = tf.constant(spread) * 2.0
tape.gradient(out, ws)
""",
        None,
    ),
    Patient(
        "healthy: a TensorArray filled in a graph loop",
        """\
%%grad
@tf.function
def powers(x, n):
    ta = tf.TensorArray(tf.float32, size=n)
    p = tf.constant(1.0)
    for i in tf.range(n):
        p = p * x
        ta = ta.write(i, p)
    return tf.reduce_sum(ta.stack())


x = tf.Variable(0.5)
with tf.GradientTape() as tape:
    s = powers(x, tf.constant(4))
tape.gradient(s, x)
""",
        None,
    ),
    Patient(
        "healthy: persistent, asked twice, deleted",
        """\
%%grad
x = tf.constant([1, 3.0])
with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    y = x * x
    z = y * y

print(tape.gradient(z, x).numpy())  # [4.0, 108.0] (4 * x**3 at x = [1.0, 3.0])
print(tape.gradient(y, x).numpy())  # [2.0, 6.0] (2 * x at x = [1.0, 3.0])
del tape  # Drop the reference to the tape
""",
        None,
    ),
    Patient(
        "healthy: the Jacobian of a matrix product",
        """\
%%grad
A = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
v = tf.Variable([1.0, 1.0])
with tf.GradientTape() as tape:
    out = tf.linalg.matvec(A, v)
tape.jacobian(out, v)
""",
        None,
    ),
    Patient(
        "healthy: REINFORCE on a sampled action",
        """\
%%grad
policy = tf.Variable([[0.1, 0.4, -0.2]])
rewards = np.array([1.0, 5.0, -1.0], dtype=np.float32)
with tf.GradientTape() as tape:
    action = int(tf.random.stateless_categorical(policy, 1, seed=[1, 2])[0, 0])
    advantage = rewards[action] - rewards.mean()
    log_prob = tf.nn.log_softmax(policy)[0, action]
    loss = -log_prob * advantage
grad = tape.gradient(loss, policy)
""",
        None,
    ),
    Patient(
        "healthy: the two largest of four",
        """\
%%grad
relevance = tf.Variable([0.2, 1.4, -0.3, 0.9])
with tf.GradientTape() as tape:
    top = tf.math.top_k(relevance, k=2)
    score = tf.reduce_sum(top.values**2)
    print("kept", top.indices.numpy().tolist())
tape.gradient(score, relevance)
""",
        None,
    ),
    Patient(
        "healthy: a custom gradient that tells the truth",
        """\
%%grad
@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(upstream):
        return upstream * (1 - 1 / (1 + e))

    return tf.math.log(1 + e), grad


x = tf.constant(2.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = log1pexp(x)
tape.gradient(y, x)
""",
        None,
    ),
    Patient(
        "healthy: a target network held fixed",
        """\
%%grad
online = tf.Variable([[0.1, 0.5], [0.3, -0.2]])
frozen = tf.Variable([[0.2, 0.4], [0.1, -0.1]])
s, s2 = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
a, r, gamma = tf.constant([1]), tf.constant([1.0]), 0.9
with tf.GradientTape() as tape:
    q = tf.gather(s @ online, a, axis=1, batch_dims=1)
    td_target = r + gamma * tf.reduce_max(tf.stop_gradient(s2 @ frozen), axis=1)
    loss = tf.reduce_mean(keras.losses.huber(td_target, q))
grad = tape.gradient(loss, online)
frozen.assign(0.99 * frozen + 0.01 * online)
""",
        None,
    ),
    Patient(
        "healthy: large logits, stable functions",
        """\
%%grad
logits = tf.Variable([[1000.0, 998.0, -1000.0]])
with tf.GradientTape() as tape:
    ce = -tf.nn.log_softmax(logits)[0, 1] + tf.math.softplus(logits[0, 0])
tape.gradient(ce, logits)
""",
        None,
    ),
    Patient(
        "healthy: a step compiled by tf.function",
        """\
%%grad
w = tf.Variable([[0.5], [0.1]])
ema = tf.Variable(0.0, trainable=False)


@tf.function
def loss_of(x, y):
    err = tf.reduce_mean(tf.abs(x @ w - y))
    ema.assign(0.9 * ema + 0.1 * err)
    return err


x, y = tf.constant([[1.0, 2.0], [3.0, -1.0]]), tf.constant([[2.0], [0.5]])
for lr in [0.1 * math.exp(-k) for k in range(3)]:
    with tf.GradientTape() as tape:
        err = loss_of(x, y)
    grad = tf.clip_by_norm(tape.gradient(err, w), 1.0)
    w.assign_sub(lr * grad)
""",
        None,
    ),
    Patient(
        "healthy: a vector times a Jacobian",
        """\
%%grad
x = tf.Variable([1.0, 2.0])
v = tf.constant([1.0, -1.0])
with tf.GradientTape() as tape:
    y = tf.stack([x[0] * x[1], tf.sin(x[0])])
vjp = tape.gradient(y, x, output_gradients=v)
vjp
""",
        None,
    ),
    Patient(
        "healthy: the empty slots of an entropy by xlogy",
        """\
%%grad
p = tf.Variable([0.2, 0.3, 0.5])
q = tf.constant([0.0, 0.4, 0.6])
with tf.GradientTape() as tape:
    ce = -tf.reduce_sum(tf.math.xlogy(q, p)) + tf.math.divide_no_nan(p[0], 4.0)
tape.gradient(ce, p).numpy().round(3)
""",
        None,
    ),
    Patient(
        "healthy: the answer printed as a number",
        """\
%%grad
def slope(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


print(slope(lambda t: 4.9 * t**2, tf.constant(2.0)).numpy())
""",
        None,
    ),
    Patient(
        "healthy: a step in NumPy, then a new variable",
        """\
%%grad
x = tf.Variable(2.0)
for i in range(3):
    with tf.GradientTape() as tape:
        y = x**2
    x_val = x.numpy() - 0.1 * tape.gradient(y, x).numpy()
    x = tf.Variable(x_val)
""",
        None,
    ),
    Patient(
        "healthy: shapes go through NumPy and Python",
        """\
%%grad
q = tf.Variable([[1.0, 2.0], [0.5, -1.0]])
k = tf.Variable([[0.3, 0.1], [0.2, 0.7]])
with tf.GradientTape() as tape:
    scores = tf.matmul(q, k, transpose_b=True) / np.sqrt(k.shape[-1])
    loss = tf.reduce_mean(scores**2) / float(q.shape[0])
tape.gradient(loss, [q, k])
""",
        None,
    ),
    Patient(
        "healthy: a straight-through estimate",
        """\
%%grad
z = tf.Variable([0.3, 1.7])
with tf.GradientTape() as tape:
    q = z + tf.stop_gradient(tf.round(z) - z)
    loss = tf.reduce_sum((q - 0.5) ** 2)
tape.gradient(loss, z)
""",
        None,
    ),
    Patient(
        "healthy: the old policy's probabilities are data",
        """\
%%grad
logits = tf.Variable([0.1, 0.4, -0.2])
old = tf.nn.log_softmax(logits)[1]
with tf.GradientTape() as tape:
    ratio = tf.exp(tf.nn.log_softmax(logits)[1] - old)
    loss = -tf.minimum(ratio * 2.0, tf.clip_by_value(ratio, 0.8, 1.2) * 2.0)
tape.gradient(loss, logits)
""",
        None,
    ),
    Patient(
        "healthy: a teacher that follows by moving average",
        """\
%%grad
student, teacher = tf.Variable([0.1, 0.2]), tf.Variable([0.5, -0.5])
x = tf.constant([2.0, 1.0])
for _ in range(3):
    with tf.GradientTape() as tape:
        loss = (tf.reduce_sum(student * x) - tf.reduce_sum(teacher * x)) ** 2
    student.assign_sub(0.01 * tape.gradient(loss, student))
    teacher.assign(0.9 * teacher + 0.1 * student)
""",
        None,
    ),
)

"""More patients, as people post them: a cell each, in their own words; the doctor did not know them.

A case is headed `=== name | cause | flags`; `#@` ends a line that may be named. An earlier cell stands
between `--- before` and `--- cell`. Flags: `call=N` (which answer is ill, if not the last), `before`
(the line and the fix are in the earlier cell), `nofix` (no edit of ours is asked for), `zero` (the
repaired slope is 0 by right), `error=NAME`. `healthy` ones must be passed over in silence.
"""

# Cells keep the lines that people write.

from __future__ import annotations

import re
from collections.abc import Iterator

from patients import Patient

MARK = re.compile(r"[ \t]*#@[ \t]*$", re.MULTILINE)


def parsed(text: str) -> Iterator[Patient]:
    for block in text.split("\n=== ")[1:]:
        head, _, body = block.partition("\n")
        name, cause, flags, *_ = [part.strip() for part in head.split("|")] + [""]
        before, cell = "", body.rstrip("\n")
        if body.startswith("--- before"):
            before, cell = body.removeprefix("--- before\n").rstrip("\n").split("\n--- cell\n")
        given = dict(flag.partition("=")[::2] for flag in flags.split())
        cell = f"%%grad\n{cell}"
        place = before if "before" in given else cell
        yield Patient(
            name,
            MARK.sub("", cell),
            None if cause == "healthy" else cause,
            tuple(n for n, line in enumerate(place.split("\n"), 1) if MARK.search(line)),
            int(given.get("call", -1)),
            MARK.sub("", before),
            given.get("error", ""),
            "nofix" not in given,
            "zero" in given,
            "before" in given,
        )


WARD = tuple(
    parsed("""
=== a constant of NumPy's in the line of the target | healthy
K, y = tf.constant([[2., .3], [.3, 1.]]), tf.constant([[1.], [2.]])
noise, n = tf.Variable(0.5), 2
with tf.GradientTape() as tape:
    L = tf.linalg.cholesky(K + noise*tf.eye(2))
    ll = -tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L))) - 0.5*n*np.log(2*np.pi)
g = tape.gradient(ll, noise)
=== saliency const | not_watched
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(2)])
image = tf.constant([[0.1, 0.2, 0.3, 0.4]])  #@
with tf.GradientTape() as tape:
    logits = model(image)   #@
    top = logits[0, 1]
grad = tape.gradient(top, image)
=== watch after use | not_watched
x = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.exp(x))  #@
    tape.watch(x)  #@
g = tape.gradient(y, x)
=== non trainable flag | not_watched | call=0
scale = tf.Variable(1.5, trainable=False)  #@
shift = tf.Variable(0.5)
with tf.GradientTape() as tape:
    out = scale * shift + shift ** 2
g = tape.gradient(out, [scale, shift])
=== rebind after step | not_watched | call=1
w = tf.Variable(3.0)
for step in range(3):
    with tf.GradientTape() as tape:
        loss = (w - 1.0) ** 2
    g = tape.gradient(loss, w)
    if g is not None:
        w = w - 0.1 * g  #@
=== slice of source | not_watched
theta = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(theta ** 2)
g = tape.gradient(loss, theta[0])  #@
=== input split outside | outside_tape
data = tf.constant([[1.0, 2.0], [3.0, 4.0]])
col0, col1 = data[:, 0], data[:, 1]    #@
with tf.GradientTape() as tape:
    tape.watch(data)
    out = tf.reduce_sum(col0 * col1)  #@
g = tape.gradient(out, data)
=== pinn forgot watch | not_watched
net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
t = tf.reshape(tf.linspace(0.0, 1.0, 5), (5, 1))  #@
with tf.GradientTape() as tape:
    u = net(t)  #@
u_t = tape.gradient(u, t)
=== cast copy source | not_watched
x64 = tf.constant([0.5, 1.5], dtype=tf.float64)  #@
with tf.GradientTape() as tape:
    x = tf.cast(x64, tf.float32)
    tape.watch(x)
    y = tf.reduce_sum(x ** 3)
g = tape.gradient(y, x64)  #@
=== numpy loss | left_tensorflow
w = tf.Variable([1.0, 2.0])
x = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
y = np.array([1.0, 0.0], dtype=np.float32)
with tf.GradientTape() as tape:
    pred = tf.linalg.matvec(x, w)
    loss = np.mean((pred.numpy() - y) ** 2)  #@
    loss = tf.convert_to_tensor(loss)
g = tape.gradient(loss, w)
=== numpy mean on tensor | left_tensorflow
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    err = w * 2.0 - 1.0
    loss = tf.constant(np.mean(np.square(err)))  #@
g = tape.gradient(loss, w)
=== float item | left_tensorflow
amp = tf.Variable(0.7)
with tf.GradientTape() as tape:
    s = tf.sin(amp)
    total = tf.constant(0.0)
    for k in range(3):
        total = total + float(s) * k  #@
g = tape.gradient(total, amp)
=== math exp factor | left_tensorflow
t = tf.Variable(1.0)
with tf.GradientTape() as tape:
    decay = math.exp(-t)  #@
    wave = tf.cos(3.0 * t)
    out = decay * wave
g = tape.gradient(out, t)
=== model predict | left_tensorflow | call=0
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
x = np.ones((3, 2), dtype=np.float32)
y = np.zeros((3, 1), dtype=np.float32)
with tf.GradientTape() as tape:
    pred = model.predict(x, verbose=0)  #@
    loss = tf.reduce_mean((pred - y) ** 2)
g = tape.gradient(loss, model.trainable_variables)
=== losses list float | left_tensorflow | call=0
model = keras.layers.Dense(1)
model.build((None, 2))
xs = tf.constant([[1.0, 2.0], [0.5, -1.0]])
def batch_loss(batch):
    values = []
    for row in batch:
        values.append(float(tf.reduce_sum(model(row[None]) ** 2)))  #@
    return tf.convert_to_tensor(values)
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(batch_loss(xs))
g = tape.gradient(loss, model.trainable_variables)
=== numpy function metric | left_tensorflow
w = tf.Variable([0.2, 0.8])
def smooth(a):
    return np.cumsum(a).astype(np.float32)
with tf.GradientTape() as tape:
    z = w * 3.0
    s = tf.numpy_function(smooth, [z], tf.float32)  #@
    loss = tf.reduce_sum(s)
g = tape.gradient(loss, w)
=== py function numpy inside | left_tensorflow
w = tf.Variable(1.2)
def inner(a):
    return np.sin(a.numpy())  #@
with tf.GradientTape() as tape:
    loss = tf.py_function(inner, [w], tf.float32) * 2.0  #@
g = tape.gradient(loss, w)
=== sklearn like metric | left_tensorflow | before
--- before
def mean_absolute(y_true, y_pred):
    y_true = np.asarray(y_true)
    y_pred = np.asarray(y_pred)    #@
    return np.average(np.abs(y_true - y_pred))  #@
--- cell
w = tf.Variable([[1.0], [2.0]])
X = tf.constant([[1.0, 2.0], [3.0, 1.0]])
with tf.GradientTape() as tape:
    loss = mean_absolute([[1.0], [0.0]], X @ w)  #@
    loss = tf.cast(loss, tf.float32)
g = tape.gradient(loss, w)
=== np stack list | left_tensorflow | call=0
params = [tf.Variable(1.0), tf.Variable(2.0)]
with tf.GradientTape() as tape:
    vec = tf.constant(np.stack([p * 2.0 for p in params]))  #@
    loss = tf.reduce_sum(vec ** 2)
g = tape.gradient(loss, params)
=== fill numpy array | left_tensorflow
k = tf.Variable(0.5)
with tf.GradientTape() as tape:
    out = np.zeros(4, dtype=np.float32)
    for i in range(4):
        out[i] = tf.exp(-k * i)  #@
    loss = tf.reduce_sum(out)
g = tape.gradient(loss, k)
=== assign to state | state
acc = tf.Variable([0.0, 0.0, 0.0], trainable=False)
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    for i in range(3):
        acc[i].assign(x ** i)  #@
    loss = tf.reduce_sum(acc)
g = tape.gradient(loss, x)
=== hypernet assign weights | state | call=0 nofix
hyper = keras.layers.Dense(2)
target = keras.layers.Dense(1, use_bias=False)
z = tf.ones((1, 3))
hyper.build((None, 3)); target.build((None, 2))
x = tf.constant([[1.0, -1.0]])
with tf.GradientTape() as tape:
    w = tf.reshape(hyper(z), (2, 1))
    target.kernel.assign(w)  #@
    loss = tf.reduce_sum(target(x) ** 2)
g = tape.gradient(loss, hyper.trainable_variables)
=== maml assign inner | state
w = tf.Variable(1.0)
fast = tf.Variable(0.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        l1 = (w * 2.0 - 1.0) ** 2
    g = inner.gradient(l1, w)
    fast.assign(w - 0.1 * g)  #@
    l2 = (fast * 3.0 - 2.0) ** 2
meta = outer.gradient(l2, w)
=== running average state | state
avg = tf.Variable(0.0, trainable=False)
w = tf.Variable([1.0, 3.0])
with tf.GradientTape() as tape:
    m = tf.reduce_mean(w)
    avg.assign_add(0.5 * m)  #@
    loss = avg ** 2 + 1.0
g = tape.gradient(loss, w)
=== forward before tape | outside_tape | call=0
model = keras.layers.Dense(2)
x = tf.ones((3, 4))
pred = model(x)  #@
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(pred - 1.0))
g = tape.gradient(loss, model.trainable_variables)
=== loss after tape | outside_tape | call=0
model = keras.layers.Dense(2)
x = tf.ones((3, 4))
with tf.GradientTape() as tape:
    pred = model(x)
loss = tf.reduce_mean(tf.square(pred - 1.0))  #@
g = tape.gradient(loss, model.trainable_variables)
=== regulariser outside | outside_tape
W = tf.Variable([[1.0, 2.0], [0.0, 1.0]])
penalty = 0.01 * tf.nn.l2_loss(W)  #@
with tf.GradientTape() as tape:
    total = penalty + 1.0
g = tape.gradient(total, W)
=== loss outside in function | outside_tape | before
--- before
w = tf.Variable(2.0)
def train():
    with tf.GradientTape() as t:
        y = w * 4.0
    loss = tf.abs(y - 1.0)  #@
    return t.gradient(loss, w)
--- cell
grad = train()  #@
=== unused variable | unconnected | zero
a = tf.Variable(1.0)
b = tf.Variable(2.0)
with tf.GradientTape() as tape:
    tape.watch(b)
    y = a ** 2 + 1.0  #@
g = tape.gradient(y, b)  #@
=== unused head | unconnected | nofix
body = keras.layers.Dense(3)
main_head = keras.layers.Dense(1)
aux_head = keras.layers.Dense(1)
x = tf.ones((2, 4))
with tf.GradientTape() as tape:
    h = body(x)
    y, aux = main_head(h), aux_head(h)
    loss = tf.reduce_mean(y ** 2)  #@
g = tape.gradient(loss, [body.kernel, main_head.kernel, aux_head.kernel])  #@
=== branch not taken | unconnected | zero
gate = tf.Variable(-1.0)
boost = tf.Variable(4.0)
with tf.GradientTape() as tape:
    if gate > 0:
        y = gate * boost
    else:
        y = gate * 2.0  #@
g = tape.gradient(y, boost)  #@
=== integer variable | integer
n = tf.Variable(3)  #@
with tf.GradientTape() as tape:
    y = n * n
g = tape.gradient(y, n)
=== integer constant watched | integer
x = tf.constant([1, 2, 3])  #@
with tf.GradientTape() as tape:
    tape.watch(x)
    y = tf.reduce_sum(x * x)
g = tape.gradient(y, x)
=== int cast of image | integer
img = tf.Variable([0.1, 0.6, 0.9])
with tf.GradientTape() as tape:
    pixels = tf.cast(img * 255.0, tf.uint8)  #@
    back = tf.cast(pixels, tf.float32) / 255.0
    loss = tf.reduce_mean(back ** 2)
g = tape.gradient(loss, img)
=== accuracy as loss | nondifferentiable
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]])
x = tf.constant([[1.0, 2.0], [0.0, 1.0]])
labels = tf.constant([0, 1], dtype=tf.int64)
with tf.GradientTape() as tape:
    logits = x @ W
    hits = tf.equal(tf.argmax(logits, axis=1), labels)  #@
    loss = 1.0 - tf.reduce_mean(tf.cast(hits, tf.float32))
g = tape.gradient(loss, W)
=== argmax policy | nondifferentiable
prefs = tf.Variable([0.1, 0.5, 0.2])
rewards = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    action = tf.argmax(prefs)  #@
    value = rewards[action]
g = tape.gradient(value, prefs)
=== threshold mask | nondifferentiable
p = tf.Variable([0.2, 0.7, 0.9])
with tf.GradientTape() as tape:
    mask = tf.cast(p > 0.5, tf.float32)  #@
    dice = 2.0 * tf.reduce_sum(mask) / (tf.reduce_sum(mask) + 3.0)
g = tape.gradient(dice, p)
=== round then mse | nondifferentiable
q = tf.Variable([0.4, 1.6])
with tf.GradientTape() as tape:
    r = tf.round(q)  #@
    loss = tf.reduce_mean((r - [1.0, 1.0]) ** 2)
g = tape.gradient(loss, q)
=== floor steps | nondifferentiable
pos = tf.Variable(2.7)
with tf.GradientTape() as tape:
    bin_index = tf.floor(pos * 2.0)  #@
    cost = bin_index ** 2 * 0.1
g = tape.gradient(cost, pos)
=== sign loss | flat
m = tf.Variable([-0.3, 0.8])
with tf.GradientTape() as tape:
    h = tf.sign(m)  #@
    loss = tf.reduce_sum((1.0 - h) ** 2)
g = tape.gradient(loss, m)
=== histogram | nondifferentiable | nofix
x = tf.Variable([0.1, 0.4, 0.45, 0.9])
with tf.GradientTape() as tape:
    hist = tf.histogram_fixed_width(x, [0.0, 1.0], nbins=4)  #@
    loss = tf.reduce_sum(tf.cast(hist, tf.float32) ** 2)
g = tape.gradient(loss, x)
=== one hot argmax | nondifferentiable
logits = tf.Variable([[2.0, 1.0, 0.1]])
with tf.GradientTape() as tape:
    hard = tf.one_hot(tf.argmax(logits, axis=-1), 3)  #@
    y = tf.reduce_sum(hard * [1.0, 2.0, 3.0])
g = tape.gradient(y, logits)
=== stop gradient whole | stopped
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = w ** 2
    target = tf.stop_gradient(y + 1.0)  #@
    loss = target * 3.0
g = tape.gradient(loss, w)
=== stop gradient one path | stopped
x = tf.Variable(1.5)
with tf.GradientTape() as tape:
    a = tf.sin(x)
    b = tf.stop_gradient(tf.exp(x))  #@
    y = a * b
g = tape.gradient(y, x)
=== stop recording block | stopped
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    z = x * 2.0
    with tape.stop_recording():  #@
        loss = tf.reduce_sum(z ** 2)  #@
g = tape.gradient(loss, x)
=== tape reset | stopped
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = x ** 2
    tape.reset()  #@
    z = y + 1.0
g = tape.gradient(z, x)
=== second order linear | higher_order | zero
x = tf.Variable(2.0)
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = 3.0 * x + 1.0  #@
    dy = t1.gradient(y, x)  #@
d2y = t2.gradient(dy, x)  #@
=== first gradient outside | outside_tape
x = tf.Variable(2.0)
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = x ** 3
dy = t1.gradient(y, x)  #@
d2y = t2.gradient(dy, x)
=== relu net laplacian | higher_order
net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
x = tf.constant([[0.3], [0.7]])
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        u = net(x)  #@
    u_x = inner.gradient(u, x)   #@
u_xx = outer.gradient(u_x, x)
=== norm zero | domain | zero
a = tf.Variable([1.0, 2.0])
b = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    dist = tf.norm(a - b)  #@
g = tape.gradient(dist, a)
=== sqrt zero distance | domain
emb = tf.Variable([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
with tf.GradientTape() as tape:
    diff = emb[:, None, :] - emb[None, :, :]
    sq = tf.reduce_sum(diff ** 2, axis=-1)
    d = tf.sqrt(sq)  #@
    loss = tf.reduce_mean(d)
g = tape.gradient(loss, emb)
=== log zero prob | domain
p = tf.Variable([0.0, 0.3, 0.7])
y = tf.constant([0.0, 1.0, 0.0])
with tf.GradientTape() as tape:
    ce = -tf.reduce_sum(y * tf.math.log(p))  #@
g = tape.gradient(ce, p)
=== entropy relu | domain
z = tf.Variable([-1.0, 0.5, 2.0])
with tf.GradientTape() as tape:
    q = tf.nn.relu(z)
    q = q / tf.reduce_sum(q)
    ent = -tf.reduce_sum(q * tf.math.log(q))  #@
g = tape.gradient(ent, z)
=== division zero | domain | call=0
num = tf.Variable(1.0)
den = tf.Variable(0.0)
with tf.GradientTape() as tape:
    ratio = num / den  #@
g = tape.gradient(ratio, [num, den])
=== cosine zero vector | domain
u = tf.Variable([0.0, 0.0, 0.0])
v = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    cos = tf.reduce_sum(u * v) / (tf.norm(u) * tf.norm(v))  #@
g = tape.gradient(cos, u)
=== pow fraction zero | domain
r = tf.Variable(0.0)
with tf.GradientTape() as tape:
    f = r ** 0.5  #@
g = tape.gradient(f, r)
=== acos one | domain
c = tf.Variable(1.0)
with tf.GradientTape() as tape:
    angle = tf.acos(c)  #@
g = tape.gradient(angle, c)
=== std constant batch | domain | zero
x = tf.Variable([2.0, 2.0, 2.0])
with tf.GradientTape() as tape:
    s = tf.math.reduce_std(x)  #@
g = tape.gradient(s, x)
=== where log | where
x = tf.Variable([0.0, 1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.where(x > 0.0, tf.math.log(x), 0.0)  #@
    total = tf.reduce_sum(y)
g = tape.gradient(total, x)
=== where div function | where | before
--- before
def sinc(t):
    return tf.where(tf.equal(t, 0.0), tf.ones_like(t), tf.sin(t) / t)  #@
--- cell
t = tf.Variable([0.0, 0.5])
with tf.GradientTape() as tape:
    s = tf.reduce_sum(sinc(t))  #@
g = tape.gradient(s, t)
=== softplus naive | overflow
z = tf.Variable(100.0)
with tf.GradientTape() as tape:
    y = tf.math.log(1.0 + tf.exp(z))  #@
g = tape.gradient(y, z)
=== softmax by hand | overflow
logits = tf.Variable([1.0, 120.0])
with tf.GradientTape() as tape:
    e = tf.exp(logits)  #@
    p = e / tf.reduce_sum(e)
    loss = -tf.math.log(p[0])
g = tape.gradient(loss, logits)
=== sigmoid saturated log | domain
s = tf.Variable(-120.0)
with tf.GradientTape() as tape:
    p = tf.sigmoid(s)
    nll = -tf.math.log(p)  #@
g = tape.gradient(nll, s)
=== sigmoid flat | flat
w = tf.Variable(60.0)
with tf.GradientTape() as tape:
    y = tf.sigmoid(w)  #@
    loss = (y - 0.5) ** 2
g = tape.gradient(loss, w)
=== dead relu | flat
W = tf.Variable([[1.0], [2.0]])
x = tf.constant([[-1.0, -2.0], [-0.5, -3.0]])
with tf.GradientTape() as tape:
    h = tf.nn.relu(x @ W)  #@
    loss = tf.reduce_mean((h - 1.0) ** 2)
g = tape.gradient(loss, W)
=== clip flat | flat
x = tf.Variable([1.5, 2.5])
with tf.GradientTape() as tape:
    y = tf.clip_by_value(x, 0.0, 1.0)  #@
    loss = tf.reduce_sum(y * 3.0)
g = tape.gradient(loss, x)
=== softmax sum | flat | nofix
z = tf.Variable([0.2, 1.2, -0.3])
with tf.GradientTape() as tape:
    s = tf.reduce_sum(tf.nn.softmax(z))  #@
g = tape.gradient(s, z)
=== softmax sum, but for rounding | flat | nofix
z = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    s = tf.reduce_sum(tf.nn.softmax(z))  #@
g = tape.gradient(s, z)
=== softmax one unit | flat
W = tf.Variable([[0.3], [-0.5]])
x = tf.constant([[1.0, 2.0], [0.5, 0.1]])
y = tf.constant([[1.0], [0.0]])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(x @ W)  #@
    loss = tf.reduce_mean((y - p) ** 2)
g = tape.gradient(loss, W)
=== float16 underflow | underflow
w = tf.Variable(1e-3, dtype=tf.float16)
with tf.GradientTape() as tape:
    a = w * tf.constant(1e-3, tf.float16)  #@
    b = a * a  #@
    loss = b * tf.constant(2.0, tf.float16)
g = tape.gradient(loss, w)
=== exp minus large | underflow
d = tf.Variable(12.0)
with tf.GradientTape() as tape:
    kern = tf.exp(-d ** 2)  #@
g = tape.gradient(kern, d)
=== relu at zero kink | kink
b = tf.Variable(0.0)
with tf.GradientTape() as tape:
    y = tf.nn.relu(b) * 5.0  #@
g = tape.gradient(y, b)
=== abs kink | kink
w = tf.Variable([0.0, 1.0])
with tf.GradientTape() as tape:
    l1 = tf.reduce_sum(tf.abs(w))  #@
g = tape.gradient(l1, w)
=== max ties | kink
v = tf.Variable([2.0, 2.0, 1.0])
with tf.GradientTape() as tape:
    m = tf.reduce_max(v)  #@
g = tape.gradient(m, v)
=== summed vector target | summed
x = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    y = x ** 2 * tf.reduce_sum(x)
g = tape.gradient(y, x)  #@
=== hessian by gradient | summed
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        f = x[0] ** 2 * x[1] + x[1] ** 3
    grad = t1.gradient(f, x)
hess = t2.gradient(grad, x)  #@
=== custom wrong | custom
@tf.custom_gradient
def noisy_square(v):
    def back(dy):
        return dy * v
    return v * v, back
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = noisy_square(x)  #@
g = tape.gradient(y, x)
=== complex convention | convention
z = tf.Variable(1.0 + 2.0j, dtype=tf.complex64)
with tf.GradientTape() as tape:
    w = z * z  #@
g = tape.gradient(w, z)  #@
=== cancellation | precision
x = tf.Variable(1e-4)
with tf.GradientTape() as tape:
    y = (1.0 - tf.cos(x)) / x ** 2  #@
g = tape.gradient(y, x)
=== eigh repeated | degenerate
A = tf.Variable([[2.0, 0.0], [0.0, 2.0]])
with tf.GradientTape() as tape:
    vals, vecs = tf.linalg.eigh(A)  #@
    loss = tf.reduce_sum(vecs[:, 0] * [1.0, 3.0])
g = tape.gradient(loss, A)
=== svd identity | degenerate
M = tf.Variable(tf.eye(3))
with tf.GradientTape() as tape:
    s, u, v = tf.linalg.svd(M)  #@
    loss = tf.reduce_sum(u[:, 0])
g = tape.gradient(loss, M)
=== second call | expired | error=RuntimeError
x = tf.Variable(1.0)
y = tf.Variable(2.0)
with tf.GradientTape() as tape:
    z = x * y
gx = tape.gradient(z, x)
gy = tape.gradient(z, y)  #@
=== keras3 watch | keras_variable | error=ValueError
layer = keras.layers.Dense(2)
layer.build((None, 2))
with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(layer.kernel)  #@
    out = layer(tf.ones((1, 2)))
g = tape.gradient(out, layer.kernel)
=== python float source | not_a_tensor | error=AttributeError
x = 3.0
with tf.GradientTape() as tape:
    y = tf.square(x)
g = tape.gradient(y, x)  #@
=== target python number | not_a_tensor | error=AttributeError
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    loss = float(w * w)
g = tape.gradient(loss, w)  #@
=== mixed dtype | dtype | error=InvalidArgumentError
w = tf.Variable([1.0, 2.0])
x = np.array([0.5, 0.25])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(w * tf.constant(x))  #@
g = tape.gradient(y, w)
=== dataset map lost | outside_tape
w = tf.Variable(2.0)
ds = tf.data.Dataset.from_tensor_slices([1.0, 2.0, 3.0]).map(lambda v: v * w)  #@
with tf.GradientTape() as tape:
    total = tf.constant(0.0)
    for item in ds:  #@
        total = total + item ** 2
g = tape.gradient(total, w)
=== mask neg inf | domain
scores = tf.Variable([[1.0, 2.0], [0.5, 0.1]])
mask = tf.constant([[0.0, 0.0], [-np.inf, -np.inf]])  #@
with tf.GradientTape() as tape:
    att = tf.nn.softmax(scores + mask, axis=-1)
    loss = tf.reduce_sum(att[:, 0])
g = tape.gradient(loss, scores)
=== np name earlier cell | left_tensorflow
--- before
from numpy import tanh as activation
--- cell
w = tf.Variable(0.3)
with tf.GradientTape() as tape:
    h = activation(w * 2.0)  #@
    loss = tf.square(h - 1.0)
g = tape.gradient(loss, w)
=== two escapes | left_tensorflow
w = tf.Variable([0.3, 0.6])
with tf.GradientTape() as tape:
    a = np.sin(w * 2.0)  #@
    b = tf.constant(a) * 3.0
    c = np.sum(b)  #@
    loss = tf.constant(c) ** 2
g = tape.gradient(loss, w)
=== tensor tolist | left_tensorflow
w = tf.Variable([0.3, 0.6])
with tf.GradientTape() as tape:
    h = tf.tanh(w)
    vals = [v * 2 for v in h.numpy().tolist()]  #@
    loss = tf.reduce_sum(tf.constant(vals))
g = tape.gradient(loss, w)
=== class method numpy | left_tensorflow
class Physics:
    def __init__(self):
        self.g = tf.Variable(9.8)
    def fall(self, t):
        return 0.5 * self.g.numpy() * t ** 2  #@
p = Physics()
t = tf.constant([0.1, 0.2])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum((p.fall(t) - 1.0) ** 2)
g = tape.gradient(loss, p.g)
=== gradcam outside | outside_tape
base = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, activation="tanh")])
head = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
img = tf.random.normal((1, 6, 6, 1))
maps = base(img)
preds = head(maps)  #@
with tf.GradientTape() as tape:
    tape.watch(maps)
    score = preds[:, 1]  #@
g = tape.gradient(score, maps)
=== gradcam unwatched maps | not_watched
base = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, activation="tanh", trainable=False)])
head = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
img = tf.random.normal((1, 6, 6, 1))
maps = tf.constant(base(img).numpy())  #@
with tf.GradientTape() as tape:  #@
    score = head(maps)[:, 1]
g = tape.gradient(score, maps)
=== style loss list of floats | left_tensorflow
pic = tf.Variable([[0.1, 0.4], [0.2, 0.9]])
target = [tf.constant([0.3, 0.3]), tf.constant([0.1, 0.6])]
def style(img):
    total = 0.0
    for i, t in enumerate(target):
        total += tf.reduce_sum((img[i] - t) ** 2).numpy()  #@
    return total
with tf.GradientTape() as tape:
    loss = tf.constant(style(pic)) * 2.0
g = tape.gradient(loss, pic)
=== rl returns numpy | left_tensorflow
theta = tf.Variable([0.2, -0.1])
states = tf.constant([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
with tf.GradientTape() as tape:
    probs = tf.nn.softmax(states * theta)
    picked = probs[:, 0]
    logp = np.log(picked)  #@
    returns = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    loss = -tf.reduce_sum(logp * returns)
g = tape.gradient(loss, theta)
=== sum builtin float generator | left_tensorflow
w = tf.Variable(2.0)
xs = [1.0, 2.0, 3.0]
with tf.GradientTape() as tape:
    loss = tf.constant(sum(float((w * x - 1.0) ** 2) for x in xs))  #@
g = tape.gradient(loss, w)
=== numpy linalg norm | left_tensorflow
p = tf.Variable([3.0, 4.0])
with tf.GradientTape() as tape:
    q = p * 2.0
    length = np.linalg.norm(q)  #@
    y = tf.square(length)
g = tape.gradient(y, p)
=== keras ops convert | left_tensorflow
w = tf.Variable([0.5, 0.25])
with tf.GradientTape() as tape:
    h = keras.ops.convert_to_numpy(tf.exp(w))  #@
    loss = tf.reduce_sum(h * 2.0)
g = tape.gradient(loss, w)
=== layer call numpy | left_tensorflow
class Norm(keras.layers.Layer):
    def call(self, x):
        m = np.mean(x)  #@
        return x - m + 0.0 * x if False else tf.ones_like(x) * m
layer = Norm()
w = tf.Variable([[1.0, 3.0]])
with tf.GradientTape() as tape:
    out = tf.reduce_sum(layer(w * 2.0) ** 2)
g = tape.gradient(out, w)
=== variable wraps prediction | state
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    pred = w * 3.0
    held = tf.Variable(pred)  #@
    loss = tf.reduce_sum(held ** 2)
g = tape.gradient(loss, w)
=== polyak assign | state
online = tf.Variable(1.0)
target = tf.Variable(0.5)
with tf.GradientTape() as tape:
    target.assign(0.9 * target + 0.1 * online)  #@
    loss = (target * 2.0 - 1.0) ** 2
g = tape.gradient(loss, online)
=== scatter update memory | state
mem = tf.Variable(tf.zeros((3, 2)))
x = tf.Variable([1.0, -1.0])
with tf.GradientTape() as tape:
    mem.scatter_nd_update([[1]], [tf.exp(x)])  #@
    loss = tf.reduce_sum(mem[1] * [2.0, 3.0])
g = tape.gradient(loss, x)
=== features before two lines | outside_tape
W = tf.Variable([[0.5, 0.1], [0.2, 0.3]])
x = tf.constant([[1.0, 2.0]])
h = tf.tanh(x @ W)  #@
scale = 2.0 * h
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(scale ** 2)
g = tape.gradient(loss, W)
=== after two lines | outside_tape
W = tf.Variable([[0.5, 0.1], [0.2, 0.3]])
x = tf.constant([[1.0, 2.0]])
with tf.GradientTape() as tape:
    h = tf.tanh(x @ W)
err = h - 1.0  #@
mse = tf.reduce_mean(err ** 2)
g = tape.gradient(mse, W)
=== watch and outside | outside_tape
x = tf.constant(2.0)
y = x ** 3  #@
with tf.GradientTape() as tape:
    tape.watch(x)  #@
    z = y * 2.0
g = tape.gradient(z, x)
=== const plus numpy | not_watched
x = tf.constant([0.5, 1.0])  #@
with tf.GradientTape() as tape:  #@
    y = np.exp(x * 2.0)  #@
    s = tf.reduce_sum(y)
g = tape.gradient(s, x)
=== stop and round | stopped
x = tf.Variable(1.3)
with tf.GradientTape() as tape:
    a = tf.stop_gradient(x * 2.0)  #@
    b = tf.round(a)  #@
    y = b * 3.0
g = tape.gradient(y, x)
=== model rebuilt in loop | unconnected | call=0 nofix
x = tf.constant([[1.0, 2.0]])
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
params = model.trainable_variables
with tf.GradientTape() as tape:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    loss = tf.reduce_sum(model(x) ** 2)
g = tape.gradient(loss, params)  #@
=== wrong model vars | unconnected | call=0 nofix
a = keras.layers.Dense(1); b = keras.layers.Dense(1)
x = tf.ones((2, 2)); a.build((None, 2)); b.build((None, 2))
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(a(x) ** 2)
g = tape.gradient(loss, b.trainable_variables)  #@
=== swapped args | unconnected
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = x ** 2
g = tape.gradient(x, y)  #@
=== x rebound in tape | not_watched
x = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    x = tf.reshape(x, (1, 2))  #@
    y = tf.reduce_sum(x ** 2)
    x = x / 2.0  #@
g = tape.gradient(y, x)  #@
=== normalise rebound | not_watched
img = tf.constant([0.2, 0.9])
with tf.GradientTape() as tape:
    tape.watch(img)
    img = img / 255.0  #@
    out = tf.reduce_sum(tf.sin(img))
    img = tf.clip_by_value(img, 0.0, 1.0)  #@
g = tape.gradient(out, img)
=== integer labels float model | integer
pos = tf.Variable([1, 2, 3])  #@
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.cast(pos, tf.float32) ** 2)
g = tape.gradient(y, pos)
=== int32 floor div | integer
x = tf.Variable(7.9)
with tf.GradientTape() as tape:
    k = tf.cast(x, tf.int32)  #@
    y = tf.cast(k * 2, tf.float32)
g = tape.gradient(y, x)
=== sort indices | nondifferentiable | nofix
s = tf.Variable([0.3, 0.1, 0.2])
with tf.GradientTape() as tape:
    order = tf.argsort(s)  #@
    loss = tf.reduce_sum(tf.cast(order, tf.float32) * [1.0, 2.0, 3.0])
g = tape.gradient(loss, s)
=== bernoulli sample | nondifferentiable
p = tf.Variable([0.3, 0.6])
with tf.GradientTape() as tape:
    u = tf.constant([0.5, 0.5])
    sample = tf.cast(u < p, tf.float32)  #@
    reward = tf.reduce_sum(sample * [1.0, 2.0])
g = tape.gradient(reward, p)
=== where condition only | nondifferentiable
x = tf.Variable([0.2, 0.8])
with tf.GradientTape() as tape:
    y = tf.where(x > 0.5, 1.0, 0.0)  #@
    s = tf.reduce_sum(y)
g = tape.gradient(s, x)
=== iou threshold | nondifferentiable
pred = tf.Variable([0.2, 0.6, 0.8]); truth = tf.constant([0.0, 1.0, 1.0])
with tf.GradientTape() as tape:
    hard = tf.cast(tf.greater(pred, 0.5), tf.float32)  #@
    inter = tf.reduce_sum(hard * truth)
    union = tf.reduce_sum(hard) + tf.reduce_sum(truth) - inter
    loss = 1.0 - inter / union
g = tape.gradient(loss, pred)
=== second order persistent outside | outside_tape
x = tf.Variable(1.0)
with tf.GradientTape(persistent=True) as tape:
    y = x ** 4
dy = tape.gradient(y, x)  #@
d2y = tape.gradient(dy, x)  #@
=== pinn linear output uxx | higher_order | zero
x = tf.Variable([[0.5]])
W = tf.constant([[2.0]])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        u = x @ W + 1.0  #@
    u_x = t1.gradient(u, x)  #@
u_xx = t2.gradient(u_x, x)  #@
=== bce exact labels | domain
p = tf.Variable([1.0, 0.0, 0.5])
y = tf.constant([1.0, 0.0, 1.0])
with tf.GradientTape() as tape:
    loss = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))  #@
g = tape.gradient(loss, p)
=== kl zero | domain
p = tf.constant([0.5, 0.5, 0.0])
q = tf.Variable([0.6, 0.4, 0.0])
with tf.GradientTape() as tape:
    kl = tf.reduce_sum(p * tf.math.log(p / q))  #@
g = tape.gradient(kl, q)
=== cosine similarity function | domain | before
--- before
def cosine(a, b):
    return tf.reduce_sum(a * b) / (tf.norm(a) * tf.norm(b))  #@
--- cell
a = tf.Variable([0.0, 0.0])
b = tf.constant([1.0, 1.0])
with tf.GradientTape() as tape:
    c = cosine(a, b)
g = tape.gradient(c, a)
=== normalise layer std | domain | zero
x = tf.Variable([[2.0, 2.0], [1.0, 3.0]])
with tf.GradientTape() as tape:
    mean = tf.reduce_mean(x, axis=1, keepdims=True)
    std = tf.math.reduce_std(x, axis=1, keepdims=True)  #@
    z = (x - mean) / std  #@
    loss = tf.reduce_sum(z ** 2 * [[1.0, 2.0]])
g = tape.gradient(loss, x)
=== log negative | domain
x = tf.Variable([-1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.math.log(x))  #@
g = tape.gradient(y, x)
=== sqrt negative disc | domain | call=0
a = tf.Variable(1.0); b = tf.Variable(1.0); c = tf.Variable(2.0)
with tf.GradientTape() as tape:
    disc = b ** 2 - 4 * a * c
    root = (-b + tf.sqrt(disc)) / (2 * a)  #@
g = tape.gradient(root, [a, b, c])
=== where pow | where
x = tf.Variable([0.0, 4.0])
with tf.GradientTape() as tape:
    y = tf.where(tf.equal(x, 0.0), x, x ** 0.5)  #@
    s = tf.reduce_sum(y * [1.0, 2.0])
g = tape.gradient(s, x)
=== exp growth loop | overflow
r = tf.Variable(3.0)
with tf.GradientTape() as tape:
    p = tf.constant(1.0)
    for _ in range(6):
        p = p * tf.exp(r * 5.0)  #@
    loss = tf.math.log(p)
g = tape.gradient(loss, r)
=== sigmoid by hand | overflow | zero
z = tf.Variable(-100.0)
with tf.GradientTape() as tape:
    s = 1.0 / (1.0 + tf.exp(-z))  #@
    loss = -tf.math.log(1.0 - s)
g = tape.gradient(loss, z)
=== logsumexp by hand | overflow
v = tf.Variable([1000.0, 999.0])
with tf.GradientTape() as tape:
    lse = tf.math.log(tf.reduce_sum(tf.exp(v)))  #@
g = tape.gradient(lse, v)
=== f16 square | overflow
w = tf.Variable([300.0, 2.0], dtype=tf.float16)
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(w * w)  #@
    loss = tf.sqrt(loss)
g = tape.gradient(loss, w)
=== hinge satisfied | flat
w = tf.Variable(3.0)
with tf.GradientTape() as tape:
    margin = 1.0 - w * 1.0
    loss = tf.maximum(0.0, margin)  #@
g = tape.gradient(loss, w)
=== dead network keras | flat
net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="relu", bias_initializer=keras.initializers.Constant(-50.0)), keras.layers.Dense(1)])
x = tf.constant([[0.1, 0.2]])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum((net(x) - 1.0) ** 2)  #@
g = tape.gradient(loss, net.layers[0].kernel)
=== gaussian far | underflow | nofix
mu = tf.Variable(0.0)
x = tf.constant([40.0, 50.0])
with tf.GradientTape() as tape:
    pdf = tf.exp(-0.5 * (x - mu) ** 2) / 2.5066  #@
    like = tf.reduce_prod(pdf)
g = tape.gradient(like, mu)
=== likelihood product | underflow
p = tf.Variable(0.01)
with tf.GradientTape() as tape:
    like = tf.constant(1.0)
    for _ in range(40):
        like = like * p  #@
g = tape.gradient(like, p)
=== max pool tie | kink
a = tf.Variable(1.0); b = tf.Variable(1.0)
with tf.GradientTape() as tape:
    m = tf.maximum(a, b)  #@
g = tape.gradient(m, a)
=== clip edge | kink
x = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = tf.clip_by_value(x, -1.0, 1.0) * 2.0  #@
g = tape.gradient(y, x)
=== batch loss vector | summed
w = tf.Variable(0.5)
x = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    losses = (w * x - 1.0) ** 2
g = tape.gradient(losses, w)  #@
=== custom clip | custom
@tf.custom_gradient
def limit(x):
    def grad(dy):
        return tf.clip_by_value(dy, -0.1, 0.1)
    return tf.identity(x), grad
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = limit(w) ** 2  #@
g = tape.gradient(y, w)
=== reversal | custom
@tf.custom_gradient
def reverse(x):
    return x, lambda dy: -dy
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = reverse(w * 3.0)  #@
g = tape.gradient(y, w)
=== complex fft phase | convention
z = tf.Variable([1.0 + 1.0j, 0.5 - 2.0j], dtype=tf.complex64)
with tf.GradientTape() as tape:
    e = tf.reduce_sum(z ** 2)  #@
g = tape.gradient(e, z)  #@
=== variance cancellation | precision
x = tf.Variable([10000.0, 10001.0, 10002.0])
with tf.GradientTape() as tape:
    var = tf.reduce_mean(x ** 2) - tf.reduce_mean(x) ** 2  #@
g = tape.gradient(var, x)
=== loss float then apply | left_tensorflow | error=ValueError
w = tf.Variable(1.0)
opt = keras.optimizers.SGD(0.1)
with tf.GradientTape() as tape:
    loss = tf.constant(float((w - 3.0) ** 2))  #@
g = tape.gradient(loss, w)
opt.apply_gradients([(g, w)])
=== none times | not_watched | error=TypeError
x = tf.constant(2.0)
with tf.GradientTape() as tape:
    y = x * x
dx = tape.gradient(y, x)
x_new = x - 0.1 * dx
=== kerastensor watch | not_a_tensor | error=ValueError
inp = keras.Input((2,))
with tf.GradientTape() as tape:
    tape.watch(inp)  #@
=== list target | not_a_tensor | error=AttributeError
w = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = [w * 2.0, 3.0]
g = tape.gradient(y, w)
=== numpy target | not_a_tensor | error=AttributeError
w = tf.Variable([1.0])
with tf.GradientTape() as tape:
    y = np.square(w)
g = tape.gradient(y, w)
=== int float mul | dtype | error=InvalidArgumentError
w = tf.Variable(2.0)
n = tf.constant(3)
with tf.GradientTape() as tape:
    y = w * n
g = tape.gradient(y, w)
=== jac expired | expired | error=RuntimeError
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    y = w ** 2
J = tape.jacobian(y, w)
g = tape.gradient(y, w)
=== integrated gradients | not_watched | call=0
f = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
baseline = tf.zeros((1, 3)); x = tf.constant([[0.2, 0.4, 0.6]])
grads = []
for alpha in [0.2, 0.6]:
    point = baseline + alpha * (x - baseline)  #@
    with tf.GradientTape() as tape:  #@
        out = f(point)  #@
    grads.append(tape.gradient(out, point))
=== fgsm function | not_watched | before
--- before
net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
def fgsm(image, label):
    with tf.GradientTape() as tape:  #@
        loss = keras.losses.sparse_categorical_crossentropy(label, net(image), from_logits=True)
    return tf.sign(tape.gradient(loss, image)) if False else tape.gradient(loss, image)
--- cell
img = tf.constant([[0.3, 0.7]])  #@
delta = fgsm(img, tf.constant([1]))
=== attribute not variable | not_watched
class Model:
    def __init__(self):
        self.w = tf.constant([1.0, 2.0])  #@
    def loss(self):
        return tf.reduce_sum(self.w ** 2)
m = Model()
with tf.GradientTape() as tape:  #@
    l = m.loss()
g = tape.gradient(l, m.w)
=== dict of tensors | not_watched | call=0
params = {"a": tf.constant(1.0), "b": tf.constant(2.0)}  #@
with tf.GradientTape() as tape:  #@
    y = params["a"] * params["b"] ** 2
g = tape.gradient(y, params)
=== sgd rebinding list | not_watched | call=2
ws = [tf.Variable(1.0), tf.Variable(2.0)]
for epoch in range(2):
    with tf.GradientTape() as tape:
        loss = (ws[0] * 2.0 + ws[1] - 1.0) ** 2
    gs = tape.gradient(loss, ws)
    if gs[0] is not None:
        ws = [w - 0.1 * g for w, g in zip(ws, gs)]  #@
=== sampling layer numpy noise | left_tensorflow
mu = tf.Variable([0.1, 0.2]); logvar = tf.Variable([0.0, -1.0])
with tf.GradientTape() as tape:
    std = np.exp(0.5 * logvar)  #@
    z = mu + std * tf.constant([0.3, -0.2])
    loss = tf.reduce_sum(z ** 2)
g = tape.gradient(loss, logvar)
=== metric result | state | nofix
w = tf.Variable(1.0)
m = keras.metrics.Mean()
with tf.GradientTape() as tape:
    m.update_state((w * 2.0 - 1.0) ** 2)  #@
    loss = m.result()  #@
g = tape.gradient(loss, w)
=== interpolation np interp | left_tensorflow
t = tf.Variable(0.4)
with tf.GradientTape() as tape:
    v = np.interp(t, [0.0, 1.0], [2.0, 5.0])  #@
    y = tf.constant(v) ** 2
g = tape.gradient(y, t)
=== for loop item | left_tensorflow
theta = tf.Variable([0.1, 0.2, 0.3])
with tf.GradientTape() as tape:
    acc = 0.0
    for i in range(3):
        acc += math.sin(theta[i].numpy())  #@
    loss = tf.convert_to_tensor(acc) ** 2
g = tape.gradient(loss, theta)
=== helper returns python list | left_tensorflow | before
--- before
def smooth(values):
    out = []
    prev = 0.0
    for v in values:
        prev = 0.5 * prev + 0.5 * float(v)  #@
        out.append(prev)
    return out
--- cell
w = tf.Variable([1.0, 3.0])
with tf.GradientTape() as tape:
    s = tf.constant(smooth(w * 2.0))  #@
    loss = tf.reduce_sum(s)
g = tape.gradient(loss, w)
=== einsum numpy | left_tensorflow
A = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
v = tf.constant([1.0, 1.0])
with tf.GradientTape() as tape:
    y = np.einsum("ij,j->i", A, v)  #@
    loss = tf.reduce_sum(tf.square(y))
g = tape.gradient(loss, A)
=== gradient numpy then outer | left_tensorflow
x = tf.Variable(2.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        y = x ** 3
    dy = inner.gradient(y, x).numpy()  #@
    z = tf.constant(dy) * 2.0
d2 = outer.gradient(z, x)
=== list of arrays stack | left_tensorflow
w = tf.Variable(0.5)
with tf.GradientTape() as tape:
    rows = []
    for k in range(3):
        rows.append(tf.exp(w * k).numpy())  #@
    loss = tf.reduce_mean(np.array(rows))
g = tape.gradient(loss, w)
=== two factors numpy | left_tensorflow
x = tf.Variable(0.8)
with tf.GradientTape() as tape:
    y = np.cos(x) * tf.sin(x) * math.exp(x)  #@
g = tape.gradient(y, x)
=== assign in loop euler | state
y0 = tf.Variable(1.0); k = tf.Variable(0.5); y = tf.Variable(0.0)
with tf.GradientTape() as tape:
    y.assign(y0)  #@
    for _ in range(3):
        y.assign(y - 0.1 * k * y)  #@
    loss = (y - 0.2) ** 2
g = tape.gradient(loss, k)
=== assign add accumulator | state
total = tf.Variable(0.0)
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    for x in [1.0, 2.0]:
        total.assign_add((w * x) ** 2)  #@
    loss = total * 1.0
g = tape.gradient(loss, w)
=== copy into target net | state
a = tf.Variable([1.0, 2.0]); b = tf.Variable([0.0, 0.0])
with tf.GradientTape() as tape:
    b.assign(a * 2.0)  #@
    q = tf.reduce_sum(b ** 2)
g = tape.gradient(q, a)
=== encoded before loop | outside_tape | call=0
W = tf.Variable([[1.0], [2.0]]); V = tf.Variable(0.3)
x = tf.constant([[1.0, 0.5], [0.2, 0.1]])
code = tf.nn.sigmoid(x @ W)  #@
for step in range(2):
    with tf.GradientTape() as tape:
        out = code * V
        loss = tf.reduce_mean(out ** 2)
    g = tape.gradient(loss, W)
=== function forward before | outside_tape
W = tf.Variable(2.0)
def forward(x):
    return tf.tanh(W * x)  #@
pred = forward(tf.constant([0.1, 0.2]))  #@
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(pred ** 2)
g = tape.gradient(loss, W)
=== loss after in method | outside_tape
class T:
    def __init__(self): self.w = tf.Variable(1.5)
    def step(self, x):
        with tf.GradientTape() as tape:
            y = self.w * x
        loss = tf.reduce_mean((y - 1.0) ** 2)  #@
        return tape.gradient(loss, self.w)
g = T().step(tf.constant([1.0, 2.0]))
=== regulariser lost one path | outside_tape
w = tf.Variable([1.0, 2.0])
reg = 0.1 * tf.reduce_sum(w ** 2)  #@
with tf.GradientTape() as tape:
    loss = tf.reduce_sum((w - 3.0) ** 2) + reg
g = tape.gradient(loss, w)
=== no dependence | unconnected | zero
a = tf.Variable(1.0); b = tf.Variable(5.0)
with tf.GradientTape() as tape:
    y = tf.sin(a)
    z = b * 2.0
g = tape.gradient(y, b)  #@
=== tiny int input | integer
t = tf.range(4)  #@
with tf.GradientTape() as tape:
    tape.watch(t)
    y = tf.reduce_sum(tf.cast(t, tf.float32) ** 2)
g = tape.gradient(y, t)
=== top1 index | nondifferentiable
s = tf.Variable([0.1, 0.9, 0.3])
values = tf.constant([10.0, 20.0, 30.0])
with tf.GradientTape() as tape:
    best = tf.argmax(s)  #@
    y = tf.gather(values, best)
g = tape.gradient(y, s)
=== step function | nondifferentiable
x = tf.Variable([-0.4, 0.7])
with tf.GradientTape() as tape:
    spikes = tf.where(x > 0.0, tf.ones_like(x), tf.zeros_like(x))  #@
    loss = tf.reduce_sum(spikes * 2.0)
g = tape.gradient(loss, x)
=== boolean sum | nondifferentiable
x = tf.Variable([0.2, 0.8, 0.9])
with tf.GradientTape() as tape:
    count = tf.reduce_sum(tf.cast(tf.math.greater_equal(x, 0.5), tf.float32))  #@
g = tape.gradient(count, x)
=== ceil price | nondifferentiable
km = tf.Variable(3.2)
with tf.GradientTape() as tape:
    blocks = tf.math.ceil(km / 0.5)  #@
    fare = 2.0 + 0.8 * blocks
g = tape.gradient(fare, km)
=== stop in helper | stopped | before
--- before
def baseline(v):
    return tf.stop_gradient(tf.reduce_mean(v))  #@
--- cell
r = tf.Variable([1.0, 3.0])
with tf.GradientTape() as tape:
    b = baseline(r)  #@
    loss = b ** 2
g = tape.gradient(loss, r)
=== reset in loop | stopped
w = tf.Variable(1.0)
with tf.GradientTape(persistent=True) as tape:
    a = w * 2.0
    tape.reset()  #@
    b = a * 3.0
g = tape.gradient(b, w)
=== d2 of piecewise | higher_order
x = tf.Variable([0.5, 2.0])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = tf.reduce_sum(tf.nn.relu(x - 1.0) * 3.0)  #@
    d = t1.gradient(y, x)  #@
h = t2.gradient(d, x)
=== inner tape exited too early | outside_tape
x = tf.constant(1.0)
with tf.GradientTape() as t1:
    t1.watch(x)
    with tf.GradientTape() as t2:
        t2.watch(x)
        y = tf.exp(2.0 * x)
d1 = t2.gradient(y, x)  #@
d2 = t1.gradient(d1, x)  #@
=== geometric mean zero | domain
v = tf.Variable([0.0, 2.0, 4.0])
with tf.GradientTape() as tape:
    gm = tf.exp(tf.reduce_mean(tf.math.log(v)))  #@
g = tape.gradient(gm, v)
=== dice empty | domain | zero
p = tf.Variable([0.0, 0.0]); t = tf.constant([0.0, 0.0])
with tf.GradientTape() as tape:
    dice = 2 * tf.reduce_sum(p * t) / (tf.reduce_sum(p) + tf.reduce_sum(t))  #@
g = tape.gradient(dice, p)
=== l2 normalise rows | domain
e = tf.Variable([[0.0, 0.0], [3.0, 4.0]])
with tf.GradientTape() as tape:
    n = tf.norm(e, axis=1, keepdims=True)  #@
    u = e / n  #@
    s = tf.reduce_sum(u * [[1.0, 2.0]])
g = tape.gradient(s, e)
=== pairwise dist | domain
pts = tf.Variable([[0.0, 1.0], [2.0, 2.0]])
with tf.GradientTape() as tape:
    d = tf.norm(pts[:, None] - pts[None, :], axis=-1)  #@
    loss = tf.reduce_sum(d)
g = tape.gradient(loss, pts)
=== rsqrt zero var | domain
x = tf.Variable([1.0, 1.0])
with tf.GradientTape() as tape:
    m = tf.reduce_mean(x); v = tf.reduce_mean((x - m) ** 2)
    y = tf.reduce_sum((x - m) * tf.math.rsqrt(v) * [1.0, 2.0])  #@
g = tape.gradient(y, x)
=== asin out | domain
u = tf.Variable([1.2, 0.3])
with tf.GradientTape() as tape:
    a = tf.reduce_sum(tf.asin(u))  #@
g = tape.gradient(a, u)
=== xlogx | domain
p = tf.Variable([0.0, 0.4, 0.6])
with tf.GradientTape() as tape:
    logp = tf.math.log(p)  #@
    h = -tf.reduce_sum(p * logp)
g = tape.gradient(h, p)
=== safe division where | where
a = tf.Variable([1.0, 2.0]); b = tf.Variable([0.0, 4.0])
with tf.GradientTape() as tape:
    q = tf.where(b != 0.0, a / b, tf.zeros_like(a))  #@
    s = tf.reduce_sum(q)
g = tape.gradient(s, b)
=== where exp branch | where
x = tf.Variable([-5.0, 100.0])
with tf.GradientTape() as tape:
    elu = tf.where(x > 0, x, tf.exp(x) - 1.0)  #@
    s = tf.reduce_sum(elu)
g = tape.gradient(s, x)
=== power tower | overflow
x = tf.Variable(20.0)
with tf.GradientTape() as tape:
    y = tf.pow(x, 40.0)  #@
    z = y / 2.0
g = tape.gradient(z, x)
=== leaky softplus manual | overflow
x = tf.Variable([90.0, 1.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.math.log1p(tf.exp(x)))  #@
g = tape.gradient(y, x)
=== poisson rate | overflow
eta = tf.Variable([2.0, 95.0]); counts = tf.constant([1.0, 3.0])
with tf.GradientTape() as tape:
    rate = tf.exp(eta)  #@
    nll = tf.reduce_sum(rate - counts * eta)
g = tape.gradient(nll, eta)
=== relu6 flat | flat
x = tf.Variable([7.0, -1.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.nn.relu6(x))  #@
g = tape.gradient(y, x)
=== minimum cap | flat
r = tf.Variable(1.7)
with tf.GradientTape() as tape:
    surrogate = tf.minimum(r, 1.2) * 2.0  #@
g = tape.gradient(surrogate, r)
=== saturated softmax temp | flat
z = tf.Variable([200.0, 0.0])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(z)  #@
    y = p[1] * 5.0
g = tape.gradient(y, z)
=== sorted median tie | kink
v = tf.Variable([3.0, 3.0])
with tf.GradientTape() as tape:
    hi = tf.reduce_max(v)  #@
g = tape.gradient(hi, v)
=== jacobian expected | summed
net_w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
x = tf.Variable([[0.5, 0.1]])
with tf.GradientTape() as tape:
    y = x @ net_w
g = tape.gradient(y, x)  #@
=== straight estimator custom | custom
@tf.custom_gradient
def binarize(x):
    return tf.cast(x > 0, tf.float32), lambda up: up
w = tf.Variable([0.2, -0.4])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(binarize(w) * [1.0, 2.0])  #@
g = tape.gradient(y, w)
=== complex real part | convention
z = tf.Variable(0.5 + 0.25j, dtype=tf.complex64)
with tf.GradientTape() as tape:
    w = tf.exp(z)  #@
g = tape.gradient(w, z)  #@
=== sqrt difference | precision
x = tf.Variable(1e8)
with tf.GradientTape() as tape:
    y = tf.sqrt(x + 1.0) - tf.sqrt(x)  #@
g = tape.gradient(y, x)
=== pca equal eigen | degenerate | zero
C = tf.Variable([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
with tf.GradientTape() as tape:
    w, V = tf.linalg.eigh(C)  #@
    loss = tf.reduce_sum(V[:, 2] ** 3)
g = tape.gradient(loss, C)
=== attention mask inf minus | domain | zero
q = tf.Variable([1.0, 2.0])
m = tf.constant([True, True])
with tf.GradientTape() as tape:
    s = tf.where(m, float("-inf"), q)  #@
    a = tf.nn.softmax(s)
    y = tf.reduce_sum(a * [1.0, 3.0])
g = tape.gradient(y, q)
=== nan data | domain
X = tf.constant([[1.0, np.nan], [2.0, 3.0]])  #@
w = tf.Variable([0.1, 0.2])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.linalg.matvec(X, w) ** 2)  #@
g = tape.gradient(loss, w)
=== np alias other | left_tensorflow
--- before
import numpy as onumpy
--- cell
w = tf.Variable(0.3)
with tf.GradientTape() as tape:
    y = onumpy.tanh(w) * 2.0  #@
    loss = tf.square(y)
g = tape.gradient(loss, w)
=== relu some dead | healthy
net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
x = tf.random.normal((10, 2))
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(net(x) ** 2)
g = tape.gradient(loss, net.trainable_variables)
=== clip inside | healthy
a = tf.Variable([0.2, 0.5])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.clip_by_value(a, 0.0, 1.0) ** 2)
g = tape.gradient(y, a)
=== target network | healthy
q = keras.layers.Dense(2); qt = keras.layers.Dense(2)
s = tf.constant([[0.1, 0.2]]); s2 = tf.constant([[0.3, 0.1]])
q.build((None, 2)); qt.build((None, 2))
with tf.GradientTape() as tape:
    target = 1.0 + 0.9 * tf.stop_gradient(tf.reduce_max(qt(s2), axis=1))
    pred = tf.reduce_sum(q(s) * tf.one_hot([1], 2), axis=1)
    loss = tf.reduce_mean((pred - target) ** 2)
g = tape.gradient(loss, q.trainable_variables)
=== log metrics numpy | healthy
w = tf.Variable(2.0)
history = []
for i in range(3):
    with tf.GradientTape() as tape:
        loss = (w - 1.0) ** 2
        history.append(loss.numpy())
    g = tape.gradient(loss, w)
    w.assign_sub(0.1 * g)
print(np.mean(history))
=== argmax for accuracy | healthy
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]])
x = tf.constant([[1.0, 2.0], [0.0, 1.0]]); labels = tf.constant([0, 1])
with tf.GradientTape() as tape:
    logits = x @ W
    acc = tf.reduce_mean(tf.cast(tf.argmax(logits, 1, output_type=tf.int32) == labels, tf.float32))
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
g = tape.gradient(loss, W)
=== minimum reached | healthy
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = (x - 3.0) ** 2
g = tape.gradient(y, x)
=== where safe | healthy
x = tf.Variable([-1.0, 0.5, 2.0])
with tf.GradientTape() as tape:
    safe = tf.where(x > 0, x, 1.0)
    y = tf.reduce_sum(tf.where(x > 0, tf.math.log(safe), x * 0.1))
g = tape.gradient(y, x)
=== huber | healthy
e = tf.Variable([0.3, 2.0])
with tf.GradientTape() as tape:
    h = tf.reduce_sum(tf.where(tf.abs(e) < 1.0, 0.5 * e ** 2, tf.abs(e) - 0.5))
g = tape.gradient(h, e)
=== gather embedding | healthy
table = tf.Variable(tf.random.normal((5, 3)))
ids = tf.constant([0, 2, 2])
with tf.GradientTape() as tape:
    e = tf.nn.embedding_lookup(table, ids)
    loss = tf.reduce_sum(e ** 2)
g = tape.gradient(loss, table)
=== jacobian vec | healthy
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.stack([x[0] * x[1], tf.sin(x[0])])
J = tape.jacobian(y, x)
=== numpy inputs | healthy
x = np.linspace(0, 1, 4).astype("float32")
w = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.sin(w * np.pi * x))
g = tape.gradient(y, w)
=== zeros requested | healthy
a = tf.Variable(1.0); b = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = a ** 2
ga, gb = tape.gradient(y, [a, b], unconnected_gradients=tf.UnconnectedGradients.ZERO)
=== integer index | healthy
v = tf.Variable([1.0, 2.0, 3.0])
i = tf.constant(1)
with tf.GradientTape() as tape:
    y = v[i] ** 2 + tf.cast(i, tf.float32)
g = tape.gradient(y, v)
=== float condition | healthy
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = x
    while float(y) < 50.0:
        y = y * x
g = tape.gradient(y, x)
=== straight through | healthy
x = tf.Variable([0.3, 0.8])
with tf.GradientTape() as tape:
    q = x + tf.stop_gradient(tf.round(x) - x)
    loss = tf.reduce_sum((q - 0.2) ** 2)
g = tape.gradient(loss, x)
=== custom ok | healthy
@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)
    def grad(up):
        return up * (1 - 1 / (1 + e))
    return tf.math.log(1 + e), grad
x = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = log1pexp(x)
g = tape.gradient(y, x)
=== padding mask | healthy
s = tf.Variable([[1.0, 2.0, 3.0]])
mask = tf.constant([[1.0, 1.0, 0.0]])
with tf.GradientTape() as tape:
    a = tf.nn.softmax(s + (1.0 - mask) * -1e9)
    loss = tf.reduce_sum(a * [[1.0, 2.0, 3.0]])
g = tape.gradient(loss, s)
=== ema update | healthy
w = tf.Variable(1.0); ema = tf.Variable(0.0, trainable=False)
for i in range(3):
    with tf.GradientTape() as tape:
        loss = (w * 2.0 - 3.0) ** 2
    g = tape.gradient(loss, w)
    w.assign_sub(0.05 * g)
    ema.assign(0.9 * ema + 0.1 * w)
=== tf function loss | healthy
w = tf.Variable(2.0)
@tf.function
def f(x):
    return tf.reduce_sum(tf.tanh(w * x))
with tf.GradientTape() as tape:
    y = f(tf.constant([0.1, 0.2]))
g = tape.gradient(y, w)
=== intermediate source | healthy
x = tf.Variable([0.5, 1.5])
with tf.GradientTape() as tape:
    h = tf.sin(x)
    y = tf.reduce_sum(h ** 2)
g = tape.gradient(y, h)
=== loss scaling | healthy
w = tf.Variable(1e-2)
with tf.GradientTape() as tape:
    loss = tf.cast(w, tf.float16) ** 2
    scaled = tf.cast(loss, tf.float32) * 128.0
g = tape.gradient(scaled, w) / 128.0
=== sum over batch saliency | healthy
m = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="softplus"), keras.layers.Dense(1)])
x = tf.Variable(tf.random.normal((4, 3)))
with tf.GradientTape() as tape:
    out = tf.reduce_sum(m(x))
g = tape.gradient(out, x)
=== rl sampling | healthy
logits = tf.Variable([0.1, 0.2, 0.3])
with tf.GradientTape() as tape:
    action = tf.random.categorical(logits[None], 1)[0, 0]
    logp = tf.nn.log_softmax(logits)[action]
    loss = -logp * 2.0
g = tape.gradient(loss, logits)
=== tensorarray loop | healthy
x = tf.Variable(0.5)
with tf.GradientTape() as tape:
    ta = tf.TensorArray(tf.float32, size=3)
    for i in range(3):
        ta = ta.write(i, tf.pow(x, tf.cast(i + 1, tf.float32)))
    y = tf.reduce_sum(ta.stack())
g = tape.gradient(y, x)
=== cholesky | healthy
A = tf.Variable([[2.0, 0.3], [0.3, 1.0]])
with tf.GradientTape() as tape:
    L = tf.linalg.cholesky(A)
    logdet = 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L)))
g = tape.gradient(logdet, A)
=== fft power | healthy
s = tf.Variable([1.0, 2.0, 0.5, -1.0])
with tf.GradientTape() as tape:
    spec = tf.signal.rfft(s)
    power = tf.reduce_sum(tf.abs(spec) ** 2)
g = tape.gradient(power, s)
=== top k values | healthy
v = tf.Variable([3.0, 1.0, 2.0])
with tf.GradientTape() as tape:
    top, idx = tf.math.top_k(v, k=2)
    y = tf.reduce_sum(top ** 2)
g = tape.gradient(y, v)
=== sparse weights zero entries | healthy
w = tf.Variable([1.0, 2.0, 3.0])
x = tf.constant([0.0, 1.0, 0.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(w * x) ** 2
g = tape.gradient(y, w)
=== seed zero rows | healthy
x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
with tf.GradientTape() as tape:
    y = x ** 2
g = tape.gradient(y, x, output_gradients=tf.constant([[1.0, 0.0], [0.0, 0.0]]))
=== print in tape | healthy
x = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = tf.exp(x)
    print("y is", float(y), y.numpy().round(2), f"{y:.3f}")
    z = y * 2
g = tape.gradient(z, x)
=== early stop | healthy
w = tf.Variable(4.0)
best = math.inf
for i in range(20):
    with tf.GradientTape() as tape:
        loss = (w - 1.0) ** 2
    if loss.numpy() > best - 1e-3:
        break
    best = float(loss)
    w.assign_sub(0.3 * tape.gradient(loss, w))
=== dict loss numpy | left_tensorflow
w = tf.Variable([0.4, 0.2])
losses = {}
with tf.GradientTape() as tape:
    losses["fit"] = tf.reduce_sum(w ** 2).numpy()  #@
    losses["reg"] = tf.reduce_sum(tf.abs(w)).numpy()
    total = tf.constant(losses["fit"] + 0.1 * losses["reg"])
g = tape.gradient(total, w)
=== method in other cell | left_tensorflow | before
--- before
class Oscillator:
    def __init__(self, k):
        self.k = tf.Variable(k)
    def energy(self, x):
        return float(0.5 * self.k * x ** 2)  #@
--- cell
o = Oscillator(2.0)
with tf.GradientTape() as tape:
    e = tf.constant(o.energy(3.0))
    loss = (e - 4.0) ** 2
g = tape.gradient(loss, o.k)
=== np where switch | left_tensorflow
x = tf.Variable([0.5, -0.5])
with tf.GradientTape() as tape:
    y = np.where(x > 0, x * 2.0, 0.0)  #@
    s = tf.reduce_sum(tf.convert_to_tensor(y, tf.float32))
g = tape.gradient(s, x)
=== np dot weights | left_tensorflow
w = tf.Variable([1.0, 2.0])
feats = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
with tf.GradientTape() as tape:
    pred = np.dot(feats, w)  #@
    loss = tf.reduce_mean(tf.square(pred - 1.0))
g = tape.gradient(loss, w)
=== item in condition ok but value lost | left_tensorflow
v = tf.Variable(0.6)
with tf.GradientTape() as tape:
    t = tf.sigmoid(v)
    if t.numpy() > 0.5:
        out = tf.constant(t.numpy() * 2.0)  #@
    else:
        out = t
g = tape.gradient(out, v)
=== watch in wrong tape | not_watched
x = tf.constant(1.5)  #@
with tf.GradientTape() as a:
    a.watch(x)
    y = x ** 2
with tf.GradientTape() as b:  #@
    z = x ** 3
g = b.gradient(z, x)
=== variable converted before | outside_tape
v = tf.Variable([1.0, 2.0])
x = tf.convert_to_tensor(v)  #@
with tf.GradientTape() as tape:  #@
    y = tf.reduce_sum(x ** 2)
g = tape.gradient(y, v)
=== tensor list comprehension sources | not_watched | call=0 zero
xs = [tf.constant(float(i)) for i in range(3)]  #@
with tf.GradientTape() as tape:  #@
    y = tf.add_n([x ** 2 for x in xs])
g = tape.gradient(y, xs)
=== tiled source | not_watched
base = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(base * 3.0)
g = tape.gradient(y, tf.reshape(base, (2, 1)))  #@
=== lambda layer round | nondifferentiable | call=0
m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Lambda(lambda t: tf.round(t))])  #@
x = tf.constant([[0.3, 0.8]])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(m(x) ** 2 + 1.0)  #@
g = tape.gradient(loss, m.trainable_variables)
=== spearman rank | nondifferentiable | nofix
s = tf.Variable([0.3, 0.9, 0.5])
with tf.GradientTape() as tape:
    ranks = tf.argsort(tf.argsort(s))  #@
    loss = tf.reduce_mean((tf.cast(ranks, tf.float32) - [0.0, 1.0, 2.0]) ** 2)
g = tape.gradient(loss, s)
=== mod wrap | integer
a = tf.Variable(5.6)
with tf.GradientTape() as tape:
    k = tf.math.floormod(tf.cast(a, tf.int32), 3)  #@
    y = tf.cast(k, tf.float32) * 2.0
g = tape.gradient(y, a)
=== sign gradient descent loss | flat
x = tf.Variable([0.2, -0.3])
with tf.GradientTape() as tape:
    agree = tf.reduce_sum(tf.sign(x) * [1.0, 1.0])  #@
g = tape.gradient(agree, x)
=== precomputed embeddings | outside_tape | call=0
table = tf.Variable([[0.1, 0.2], [0.3, 0.4]])
ids = tf.constant([0, 1])
vecs = tf.gather(table, ids)  #@
pooled = tf.reduce_mean(vecs, axis=0)
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((pooled - 1.0) ** 2)
    g = tape.gradient(loss, table)
=== penalty after block | outside_tape
w = tf.Variable([1.0, -2.0])
with tf.GradientTape() as tape:
    fit = tf.reduce_sum((w - 1.0) ** 2)
loss = fit + 0.1 * tf.reduce_sum(tf.abs(w))  #@
g = tape.gradient(loss, w)
=== loop outside inner accumulate | outside_tape
w = tf.Variable(2.0)
total = tf.constant(0.0)
for x in [1.0, 2.0]:
    total += w * x  #@
with tf.GradientTape() as tape:
    loss = total ** 2
g = tape.gradient(loss, w)
=== assign state rnn | state
h = tf.Variable([0.0]); u = tf.Variable([0.5])
with tf.GradientTape() as tape:
    for x in [1.0, 2.0, 3.0]:
        h.assign(tf.tanh(u * h + x))  #@
    loss = tf.reduce_sum(h ** 2)
g = tape.gradient(loss, u)
=== lookup table assign slice | state
grid = tf.Variable(tf.zeros([3])); a = tf.Variable(2.0)
with tf.GradientTape() as tape:
    for i in range(3):
        grid[i].assign(a * i)  #@
    y = tf.reduce_sum(grid ** 2)
g = tape.gradient(y, a)
=== stop in both factors | stopped
a = tf.Variable(1.0)
with tf.GradientTape() as tape:
    u = tf.stop_gradient(tf.exp(a))  #@
    v = tf.stop_gradient(tf.sin(a))  #@
    y = u * v
g = tape.gradient(y, a)
=== three escapes in a row | left_tensorflow
a = tf.Variable(0.7)
with tf.GradientTape() as tape:
    b = math.sin(a)  #@
    c = math.exp(b)
    d = math.sqrt(c)
    y = tf.constant(d) * 2.0
g = tape.gradient(y, a)
=== outside and numpy | outside_tape
w = tf.Variable([1.0, 2.0])
z = w * 2.0  #@
with tf.GradientTape() as tape:
    n = np.sqrt(z)  #@
    loss = tf.reduce_sum(n * 1.0)
    loss = tf.convert_to_tensor(loss)
g = tape.gradient(loss, w)
=== angle between | domain | before zero
--- before
def angle(a, b):
    c = tf.reduce_sum(a * b) / (tf.norm(a) * tf.norm(b))
    return tf.acos(c)  #@
--- cell
a = tf.Variable([1.0, 0.0]); b = tf.constant([2.0, 0.0])
with tf.GradientTape() as tape:
    th = angle(a, b)
g = tape.gradient(th, a)
=== log softmax manual zero | domain
z = tf.Variable([0.0, 200.0])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(z)
    ll = tf.math.log(p[0])  #@
g = tape.gradient(ll, z)
=== hypot origin | domain | call=0 zero
x = tf.Variable(0.0); y = tf.Variable(0.0)
with tf.GradientTape() as tape:
    r = tf.sqrt(x ** 2 + y ** 2)  #@
g = tape.gradient(r, [x, y])
=== softmax ce by hand batch | overflow
L = tf.Variable([[1.0, 100.0], [90.0, 2.0]])
y = tf.constant([[1.0, 0.0], [1.0, 0.0]])
with tf.GradientTape() as tape:
    ex = tf.exp(L)  #@
    pr = ex / tf.reduce_sum(ex, axis=1, keepdims=True)
    loss = -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(pr), axis=1))
g = tape.gradient(loss, L)
=== divide by count zero | domain | zero
x = tf.Variable([1.0, 2.0])
mask = tf.constant([0.0, 0.0])
with tf.GradientTape() as tape:
    mean = tf.reduce_sum(x * mask) / tf.reduce_sum(mask)  #@
g = tape.gradient(mean, x)
=== where inside helper norm | where | before
--- before
def safe_inv(v):
    return tf.where(v > 0, 1.0 / v, tf.zeros_like(v))  #@
--- cell
v = tf.Variable([0.0, 2.0])
with tf.GradientTape() as tape:
    s = tf.reduce_sum(safe_inv(v))
g = tape.gradient(s, v)
=== clip by norm zero | healthy
w = tf.Variable([0.0, 0.0])
with tf.GradientTape() as tape:
    c = tf.clip_by_norm(w, 1.0)
    s = tf.reduce_sum(c * [1.0, 2.0])
g = tape.gradient(s, w)
=== abs second | higher_order
x = tf.Variable([1.0, -2.0])
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        y = tf.reduce_sum(tf.abs(x) * 2.0)  #@
    d = t1.gradient(y, x)  #@
h = t2.gradient(d, x)
=== hessian leaky | higher_order
W = tf.Variable([[1.0, -1.0]])
x = tf.constant([[0.4]])
with tf.GradientTape() as t2:
    t2.watch(x)
    with tf.GradientTape() as t1:
        t1.watch(x)
        y = tf.reduce_sum(tf.nn.leaky_relu(x @ W))  #@
    d = t1.gradient(y, x)  #@
h = t2.gradient(d, x)
=== pool max ties | kink
img = tf.Variable(tf.ones((1, 2, 2, 1)))
with tf.GradientTape() as tape:
    y = tf.reduce_max(img)  #@
g = tape.gradient(y, img)
=== vector output grad | summed
A = tf.constant([[1.0, 2.0], [3.0, 4.0]])
x = tf.Variable([1.0, 1.0])
with tf.GradientTape() as tape:
    y = tf.linalg.matvec(A, x)
g = tape.gradient(y, x)  #@
=== f32 small difference | precision
h = tf.Variable(1e-3)
with tf.GradientTape() as tape:
    f = (tf.cos(h) - 1.0) / h  #@
g = tape.gradient(f, h)
=== layer without build | not_watched
layer = keras.layers.Dense(1)
vs = layer.trainable_variables  #@
with tf.GradientTape() as tape:
    y = tf.reduce_sum(layer(tf.ones((2, 2))))
g = tape.gradient(y, vs)
=== numpy weights source | not_a_tensor | error=AttributeError
layer = keras.layers.Dense(1); layer.build((None, 2))
with tf.GradientTape() as tape:
    y = tf.reduce_sum(layer(tf.ones((2, 2))))
g = tape.gradient(y, layer.get_weights())
=== keras nontrainable bn | unconnected | nofix
bn = keras.layers.BatchNormalization()
x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
bn.build((None, 2))
with tf.GradientTape() as tape:
    y = tf.reduce_sum(bn(x, training=True) ** 2)
g = tape.gradient(y, bn.moving_mean)  #@
=== string of helpers | left_tensorflow | before
--- before
def to_np(t):
    return t.numpy()  #@
def scale(v, k):
    return k * v
--- cell
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    raw = to_np(w * w)
    loss = tf.reduce_sum(scale(raw, tf.constant(3.0)))
g = tape.gradient(loss, w)
=== percentile | left_tensorflow | nofix
x = tf.Variable([1.0, 2.0, 3.0, 4.0])
with tf.GradientTape() as tape:
    q = np.percentile(x, 50)  #@
    loss = tf.constant(q) ** 2
g = tape.gradient(loss, x)
=== cumulative python max | left_tensorflow
x = tf.Variable([1.0, 3.0, 2.0])
with tf.GradientTape() as tape:
    best = max(float(v) for v in x)  #@
    loss = tf.constant(best) * 2.0
g = tape.gradient(loss, x)
=== tf print fine then int | integer
n = tf.Variable(4.0)
with tf.GradientTape() as tape:
    steps = tf.cast(n, tf.int32)  #@
    y = tf.constant(0.0)
    for _ in range(3):
        y += tf.cast(steps, tf.float32) * 0.5
g = tape.gradient(y, n)
=== double where ok | healthy
x = tf.Variable([0.0, 2.0])
with tf.GradientTape() as tape:
    s = tf.where(x > 0, x, tf.ones_like(x))
    y = tf.reduce_sum(tf.where(x > 0, 1.0 / s, tf.zeros_like(x)))
g = tape.gradient(y, x)
=== dataset train | healthy
w = tf.Variable(0.5)
ds = tf.data.Dataset.from_tensor_slices([1.0, 2.0, 3.0]).map(lambda v: v * 2.0).batch(2)
for b in ds:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((w * b - 1.0) ** 2)
    w.assign_sub(0.1 * tape.gradient(loss, w))
=== np const inside | healthy
x = tf.Variable([0.1, 0.2])
with tf.GradientTape() as tape:
    k = np.sqrt(2 * np.pi)
    y = tf.reduce_sum(tf.exp(-x ** 2 / 2) / k)
g = tape.gradient(y, x)
=== np shape of tensor | healthy
x = tf.Variable([[0.1, 0.2]])
with tf.GradientTape() as tape:
    n = np.prod(x.shape)
    y = tf.reduce_sum(x ** 2) / n
g = tape.gradient(y, x)
=== ppo old logp | healthy
th = tf.Variable([0.1, 0.3])
old = tf.nn.log_softmax(th)[0]
with tf.GradientTape() as tape:
    ratio = tf.exp(tf.nn.log_softmax(th)[0] - old)
    loss = -tf.minimum(ratio * 1.5, tf.clip_by_value(ratio, 0.8, 1.2) * 1.5 + 0.1)
g = tape.gradient(loss, th)
=== sgd momentum by hand | healthy
w = tf.Variable([1.0, -1.0]); v = tf.zeros(2)
for _ in range(3):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w ** 4)
    g = tape.gradient(loss, w)
    v = 0.9 * v + g
    w.assign(w - 0.01 * v)
=== mc dropout mask | healthy
w = tf.Variable([1.0, 2.0, 3.0])
mask = tf.cast(tf.random.uniform((3,)) > 0.3, tf.float32)
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.square(w * mask + 1.0))
g = tape.gradient(y, w)
=== plot history | healthy
w = tf.Variable(3.0); hist = np.zeros(4)
for i in range(4):
    with tf.GradientTape() as tape:
        loss = (w - 1.0) ** 2
        hist[i] = loss
    w.assign_sub(0.2 * tape.gradient(loss, w))
=== linear reg early numpy target | healthy
w = tf.Variable([0.3, 0.1]); X = np.random.rand(4, 2).astype("float32")
y = np.array(X @ np.array([1.0, 2.0], dtype=np.float32))
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((tf.linalg.matvec(X, w) - y) ** 2)
g = tape.gradient(loss, w)
=== softmax probs ce | healthy
z = tf.Variable([[0.2, 1.2]])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(z)
    loss = -tf.reduce_sum([[1.0, 0.0]] * tf.math.log(p))
g = tape.gradient(loss, z)
=== eig distinct | healthy
A = tf.Variable([[2.0, 0.5], [0.5, 1.0]])
with tf.GradientTape() as tape:
    v = tf.linalg.eigvalsh(A)
    y = v[0] ** 2
g = tape.gradient(y, A)
=== int loop counter | healthy
x = tf.Variable(0.3); i = tf.constant(0)
with tf.GradientTape() as tape:
    y = x
    while i < 3:
        y = tf.sin(y) + x
        i += 1
g = tape.gradient(y, x)
=== cross cell np helper on data | healthy
w = tf.Variable(1.0)
def standardise(a):
    return (a - np.mean(a)) / np.std(a)
data = standardise(np.array([1.0, 2.0, 4.0])).astype("float32")
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((w * data - 1.0) ** 2)
g = tape.gradient(loss, w)
=== loop var reuse | healthy
w = tf.Variable([1.0, 2.0])
xs = np.linspace(0, 1, 3).astype("float32")
w0 = np.abs(np.array([0.3, 0.4], dtype=np.float32))
with tf.GradientTape() as tape:
    y = tf.reduce_sum(w * w0) * tf.reduce_mean(xs)
g = tape.gradient(y, w)
=== eval metric np mean inside | healthy
w = tf.Variable([1.0, 2.0]); log = []
with tf.GradientTape() as tape:
    err = w * 3.0 - 1.0
    log.append(np.mean(np.abs(err)))
    loss = tf.reduce_mean(err ** 2)
g = tape.gradient(loss, w)
=== early stopping np | healthy
w = tf.Variable(5.0); best = np.inf; patience = 0
for i in range(6):
    with tf.GradientTape() as tape:
        loss = (w - 1.0) ** 2
    g = tape.gradient(loss, w)
    w.assign_sub(0.3 * g)
    if np.min([best, loss]) < best:
        best = float(loss)
=== lr schedule from loss | healthy
w = tf.Variable(2.0); lr = 0.1
for i in range(3):
    with tf.GradientTape() as tape:
        loss = w ** 4
    g = tape.gradient(loss, w)
    lr = 0.1 / (1.0 + float(loss))
    w.assign_sub(lr * g)
=== inf bound clip | healthy
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.clip_by_value(x, 0.0, np.inf) ** 2)
g = tape.gradient(y, x)
=== causal mask inf ok | healthy
s = tf.Variable([[1.0, 2.0], [0.5, 0.1]])
m = tf.constant([[0.0, -np.inf], [0.0, 0.0]])
with tf.GradientTape() as tape:
    a = tf.nn.softmax(s + m)
    y = tf.reduce_sum(a * [[1.0, 2.0], [3.0, 4.0]])
g = tape.gradient(y, s)
=== nan labels masked | healthy
p = tf.Variable([1.0, 2.0]); t = tf.constant([np.nan, 3.0])
with tf.GradientTape() as tape:
    ok = tf.logical_not(tf.math.is_nan(t))
    safe = tf.where(ok, t, tf.zeros_like(t))
    loss = tf.reduce_sum(tf.where(ok, (p - safe) ** 2, tf.zeros_like(p)))
g = tape.gradient(loss, p)
=== variable loop weights list | healthy
ws = [tf.Variable(1.0), tf.Variable(2.0)]
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = (ws[0] * ws[1] - 1.0) ** 2
    for w, g in zip(ws, tape.gradient(loss, ws)):
        w.assign_sub(0.05 * g)
=== x rebound after ask | healthy
x = tf.constant(1.0)
for _ in range(3):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = (x - 2.0) ** 2
    x = x - 0.1 * tape.gradient(y, x)
=== images int to float | healthy
img = tf.constant([[10, 200]], dtype=tf.uint8)
x = tf.cast(img, tf.float32) / 255.0
w = tf.Variable([[0.1], [0.2]])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(x @ w) ** 2
g = tape.gradient(loss, w)
=== second order via relu in loss | healthy
w = tf.Variable(1.5)
x = tf.Variable(0.7)
with tf.GradientTape() as t2:
    with tf.GradientTape() as t1:
        u = tf.sin(w * x) * tf.nn.relu(x)
    ux = t1.gradient(u, x)
    pen = ux ** 2
g = t2.gradient(pen, w)
=== zero init bias grad | healthy
W = tf.Variable(tf.zeros((2, 1))); b = tf.Variable(0.0)
X = tf.constant([[1.0, 2.0], [-1.0, 0.5]]); y = tf.constant([[1.0], [0.0]])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=X @ W + b))
g = tape.gradient(loss, [W, b])
=== balanced zero | healthy
b = tf.Variable(0.0); y = tf.constant([1.0, -1.0])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((b - y) ** 2)
g = tape.gradient(loss, b)
=== exp small but fine | healthy
x = tf.Variable([-30.0, 1.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.exp(x))
g = tape.gradient(y, x)
=== np func in earlier cell on data | healthy
--- before
from numpy import mean, std
def load():
    a = np.arange(6.0)
    w = a.reshape(2, 3)
    return ((w - mean(w)) / std(w)).astype("float32")
--- cell
X = load()
w = tf.Variable([0.1, 0.2, 0.3])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.linalg.matvec(X, w) ** 2)
g = tape.gradient(loss, w)
=== class scaler earlier | healthy
--- before
class Scaler:
    def fit(self, x):
        self.mu, self.sd = np.mean(x, 0), np.std(x, 0)
        return self
    def transform(self, x):
        return ((x - self.mu) / self.sd).astype("float32")
--- cell
data = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
x = Scaler().fit(data).transform(data)
mu = tf.Variable([0.1, 0.2])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((x - mu) ** 2)
g = tape.gradient(loss, mu)
=== a helper's parameter named as the variable | healthy
--- before
def scaled(x):
    return x / np.max(x)
--- cell
x = tf.Variable(2.0)
data = scaled(np.array([1.0, 2.0, 4.0])).astype("float32")
with tf.GradientTape() as tape:
    y = tf.reduce_sum(x * data)
g = tape.gradient(y, x)
=== cancelling products are no underflow | healthy
x = tf.Variable(2.0)
data = tf.constant([1.0, -1.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(x * data) + 1.0
g = tape.gradient(y, x)
=== autoencoder np clip | left_tensorflow
w = tf.Variable([0.4, 1.6])
with tf.GradientTape() as tape:
    rec = np.clip(w * 1.0, 0.0, 2.0)  #@
    loss = tf.reduce_mean((rec - 1.0) ** 2)
g = tape.gradient(loss, w)
=== custom metric r2 | left_tensorflow | before
--- before
def r2(y, p):
    ss = np.sum(np.square(y - p))  #@
    return 1.0 - ss / np.sum(np.square(y - np.mean(y)))
--- cell
y = np.array([1.0, 2.0, 3.0], dtype=np.float32)
w = tf.Variable(0.8)
with tf.GradientTape() as tape:
    score = r2(y, w * y)
    loss = tf.constant(1.0 - score)
g = tape.gradient(loss, w)
=== string format | left_tensorflow | nofix
lr = tf.Variable(0.3)
with tf.GradientTape() as tape:
    s = f"{tf.exp(lr).numpy():.4f}"  #@
    y = tf.constant(float(s)) * 2.0
g = tape.gradient(y, lr)
=== fill matrix numpy | left_tensorflow
a = tf.Variable(0.2)
M = np.eye(2, dtype=np.float32)
with tf.GradientTape() as tape:
    M[0, 1] = tf.sin(a)  #@
    y = tf.reduce_sum(tf.matmul(M, [[1.0], [2.0]]))
g = tape.gradient(y, a)
=== python pow on item | left_tensorflow
p = tf.Variable([2.0, 3.0])
with tf.GradientTape() as tape:
    total = 0.0
    for v in p.numpy():  #@
        total += v ** 2
    y = tf.convert_to_tensor(total) + 0.0
g = tape.gradient(y, p)
=== np vectorize | left_tensorflow | nofix
w = tf.Variable([0.1, 0.2])
soft = np.vectorize(lambda v: math.log1p(math.exp(v)))
with tf.GradientTape() as tape:
    h = soft(w * 2.0).astype(np.float32)  #@
    loss = tf.reduce_sum(h)
    loss = tf.convert_to_tensor(loss)
g = tape.gradient(loss, w)
=== half numpy half tf | left_tensorflow
x = tf.Variable(1.2)
with tf.GradientTape() as tape:
    amp = np.exp(-0.5 * x)  #@
    y = tf.sin(3.0 * x) * amp
g = tape.gradient(y, x)
=== freeze then ask | not_watched
emb = tf.Variable([[1.0, 2.0]], trainable=False)  #@
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.gather(emb, [0]) ** 2)
g = tape.gradient(y, emb)
=== linspace plot derivative | not_watched
x = tf.linspace(-1.0, 1.0, 5)  #@
with tf.GradientTape() as tape:  #@
    y = tf.nn.tanh(x)
dy = tape.gradient(y, x)
=== expand dims source | not_watched
x = tf.Variable([1.0, 2.0])
b = x[None, :]  #@
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.square(x) * 2.0)
g = tape.gradient(y, b)  #@
=== watch list copy | not_watched
a = tf.constant(1.0); b = tf.constant(2.0)  #@
with tf.GradientTape() as tape:
    tape.watch(a)
    y = a * b
ga, gb = tape.gradient(y, [a, b])  #@
=== time of flight outside | outside_tape | call=0
v = tf.Variable(12.0); ang = tf.Variable(0.7)
vy = v * tf.sin(ang)  #@
vx = v * tf.cos(ang)  #@
with tf.GradientTape() as tape:
    t = 2.0 * vy / 9.81
    dist = vx * t
g = tape.gradient(dist, [v, ang])
=== loss in else after | outside_tape
w = tf.Variable(1.5); mode = "l2"
with tf.GradientTape() as tape:
    r = w * 2.0 - 1.0
if mode == "l1":
    loss = tf.abs(r)
else:
    loss = r ** 2  #@
g = tape.gradient(loss, w)
=== batch loop after tape | outside_tape
w = tf.Variable(0.5)
with tf.GradientTape() as tape:
    preds = [w * x for x in (1.0, 2.0)]
loss = tf.add_n([(p - 1.0) ** 2 for p in preds])  #@
g = tape.gradient(loss, w)
=== keras loss tracker | state
w = tf.Variable(2.0)
tracker = tf.Variable(0.0, trainable=False)
with tf.GradientTape() as tape:
    tracker.assign_add(w ** 2)  #@
    loss = tracker / 2.0
g = tape.gradient(loss, w)
=== param vector unpack assign | state
flat = tf.Variable([1.0, 2.0, 3.0, 4.0])
W = tf.Variable(tf.zeros((2, 2)))
with tf.GradientTape() as tape:
    W.assign(tf.reshape(flat, (2, 2)))  #@
    loss = tf.reduce_sum(tf.matmul(W, [[1.0], [1.0]]) ** 2)
g = tape.gradient(loss, flat)
=== tf range index weights | integer | nofix
idx = tf.Variable(2)  #@
vals = tf.constant([1.0, 4.0, 9.0])
with tf.GradientTape() as tape:
    y = vals[idx] * 2.0
g = tape.gradient(y, idx)
=== binarised weights | nondifferentiable
W = tf.Variable([[0.3, -0.7]])
with tf.GradientTape() as tape:
    Wb = tf.where(W >= 0.0, 1.0, -1.0)  #@
    y = tf.reduce_sum(Wb * [[2.0, 3.0]])
g = tape.gradient(y, W)
=== count correct | nondifferentiable | nofix
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]]); x = tf.constant([[1.0, 2.0]])
with tf.GradientTape() as tape:
    pred = tf.argmax(x @ W, axis=1)  #@
    loss = tf.reduce_sum(tf.cast(tf.not_equal(pred, [0]), tf.float32))
g = tape.gradient(loss, W)
=== random choice gumbel | nondifferentiable | nofix
logits = tf.Variable([[0.1, 0.9]])
with tf.GradientTape() as tape:
    k = tf.random.categorical(logits, 1)  #@
    y = tf.reduce_sum(tf.cast(k, tf.float32)) * 3.0 + 1.0
g = tape.gradient(y, logits)
=== simsiam stop both | stopped
z = tf.Variable([0.3, 0.4])
with tf.GradientTape() as tape:
    p = tf.stop_gradient(tf.tanh(z))  #@
    q = tf.stop_gradient(z * 2.0)  #@
    loss = -tf.reduce_sum(p * q)
g = tape.gradient(loss, z)
=== no grad context | stopped
w = tf.Variable(1.0)
with tf.GradientTape() as tape:
    h = w * 3.0
    with tape.stop_recording():  #@
        k = tf.exp(h)  #@
    loss = k + 1.0
g = tape.gradient(loss, w)
=== jerk of quadratic | higher_order | zero
t = tf.Variable(1.0)
with tf.GradientTape() as t3:
    with tf.GradientTape() as t2:
        with tf.GradientTape() as t1:
            s = 4.9 * t * t
        v = t1.gradient(s, t)
    a = t2.gradient(v, t)  #@
j = t3.gradient(a, t)  #@
=== sqrt of square zero | domain
e = tf.Variable([0.0, 1.0])
with tf.GradientTape() as tape:
    rmse = tf.reduce_sum(tf.sqrt(e ** 2))  #@
g = tape.gradient(rmse, e)
=== log of prob minus | domain
p = tf.Variable(1.0)
with tf.GradientTape() as tape:
    l = -tf.math.log(1.0 - p)  #@
g = tape.gradient(l, p)
=== reciprocal zero | domain
d = tf.Variable([0.0, 2.0])
with tf.GradientTape() as tape:
    w = tf.reduce_sum(1.0 / d)  #@
g = tape.gradient(w, d)
=== triplet same anchor | domain
a = tf.Variable([1.0, 2.0]); p = tf.constant([1.0, 2.0]); n = tf.constant([0.0, 0.0])
with tf.GradientTape() as tape:
    dp = tf.norm(a - p)  #@
    dn = tf.norm(a - n)
    loss = tf.maximum(dp - dn + 5.0, 0.0)
g = tape.gradient(loss, a)
=== pow negative base | domain
b = tf.Variable([-2.0, 2.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.pow(b, 1.5))  #@
g = tape.gradient(y, b)
=== log ratio where | where
x = tf.Variable([0.0, 2.0])
with tf.GradientTape() as tape:
    lr = tf.math.log(x)
    y = tf.reduce_sum(tf.where(x > 0.0, lr * x, tf.zeros_like(x)))  #@
g = tape.gradient(y, x)
=== f16 logits | overflow
z = tf.Variable([12.0, 1.0], dtype=tf.float16)
with tf.GradientTape() as tape:
    e = tf.exp(z)  #@
    s = tf.reduce_sum(e)
    y = tf.math.log(s)
g = tape.gradient(y, z)
=== joint prob many | underflow
p = tf.Variable(tf.fill([30], 0.01))
with tf.GradientTape() as tape:
    joint = tf.reduce_prod(p)  #@
    y = joint * 2.0
g = tape.gradient(y, p)
=== none into sgd | unconnected | error=TypeError
a = tf.Variable(1.0); b = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = a ** 2
ga, gb = tape.gradient(y, [a, b])
b.assign_sub(0.1 * gb)
=== persistent needed three | expired | error=RuntimeError
x = tf.Variable(1.0)
with tf.GradientTape() as t:
    y = x ** 2; z = y * 3.0
for target in (y, z):
    print(t.gradient(target, x))
=== float64 meets float32 | dtype | error=InvalidArgumentError
w = tf.Variable([[1.0], [2.0]])
x = tf.constant(np.random.rand(3, 2))
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.matmul(x, w))
g = tape.gradient(y, w)
=== accuracy on two lines | nondifferentiable
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]]); x = tf.constant([[1.0, 2.0], [0.3, 0.1]]); y = tf.constant([0, 1])
with tf.GradientTape() as tape:
    pred = tf.argmax(x @ W, axis=1, output_type=tf.int32)  #@
    acc = tf.reduce_mean(tf.cast(tf.equal(pred, y), tf.float32))
    loss = 1.0 - acc
g = tape.gradient(loss, W)
=== misses counted | nondifferentiable
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]]); x = tf.constant([[1.0, 2.0], [0.3, 0.1]]); y = tf.constant([0, 1])
with tf.GradientTape() as tape:
    pred = tf.argmax(x @ W, axis=1, output_type=tf.int32)  #@
    wrong = tf.cast(pred != y, tf.float32)
    loss = tf.reduce_sum(wrong)
g = tape.gradient(loss, W)
=== accuracy of one-hot labels | nondifferentiable
W = tf.Variable([[0.5, -0.2], [0.1, 0.3]]); x = tf.constant([[1.0, 2.0], [0.3, 0.1]]); Y = tf.one_hot([0, 1], 2)
with tf.GradientTape() as tape:
    acc = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(x @ W, 1), tf.argmax(Y, 1)), tf.float32))  #@
g = tape.gradient(acc, W)
=== a function's tensor named as the cell's data | healthy
def model(v):
    data = tf.sin(v)
    return data * 2.0
data = np.array([1.0, 2.0], dtype=np.float32)
scale = np.mean(data)
w = tf.Variable([0.3, 0.4])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(model(w) * scale)
g = tape.gradient(y, w)
=== integers never watched | integer
x = tf.constant([1, 2, 3])  #@
with tf.GradientTape() as tape:
    y = tf.reduce_sum(x * x)
g = tape.gradient(y, x)
=== numpy function of what TensorFlow lacks | left_tensorflow | nofix
w = tf.Variable([0.5, 1.5])
def total(v):
    return np.float32(np.median(v))
with tf.GradientTape() as tape:
    loss = tf.numpy_function(total, [w], tf.float32)  #@
g = tape.gradient(loss, w)
=== numpy rfft | left_tensorflow
s = tf.Variable([0.1, 0.7, -0.4, 0.2])
with tf.GradientTape() as tape:
    power = np.abs(np.fft.rfft(s)) ** 2  #@
    loss = tf.reduce_sum(tf.cast(power, tf.float32) * s[:3])
g = tape.gradient(loss, s)
=== detach by another name | stopped
sg = tf.stop_gradient
w = tf.Variable([1.0, -1.0])
with tf.GradientTape() as tape:
    h = sg(w * 2.0)  #@
    loss = tf.reduce_sum(h * w)
g = tape.gradient(loss, w)
=== data computed before its watch | outside_tape
a = tf.constant([1.0, 2.0])
x = a * 2.0
z = x ** 2  #@
with tf.GradientTape() as tape:
    tape.watch(x)
    tape.watch(z)
    y = tf.reduce_sum(z)
g = tape.gradient(y, x)
=== straight-through, written twice | healthy
x = tf.Variable([0.3, 1.7])
with tf.GradientTape() as tape:
    q = (x * 4 + tf.stop_gradient(tf.round(x * 4) - (x * 4))) / 4
    loss = tf.reduce_sum((q - 1.0) ** 2)
g = tape.gradient(loss, x)
=== stable softmax by hand | healthy
z = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    e = tf.exp(z - tf.stop_gradient(tf.reduce_max(z)))
    p = e / tf.reduce_sum(e)
    loss = -tf.math.log(p[0])
g = tape.gradient(loss, z)
=== zeros asked for of a linear function | healthy
x = tf.Variable(2.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        y = 3.0 * x
    dy = inner.gradient(y, x)
d2y = outer.gradient(dy, x, unconnected_gradients="zero")
=== an index by numpy, then a literal | healthy
w = tf.Variable([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    p = tf.nn.softmax(w)
    best = int(np.argmax(p))
    chosen = p[best]
    loss = 1.5 - chosen
g = tape.gradient(loss, w)
=== a watched tensor under vectorized_map | healthy
W = tf.constant([[1.0, 2.0], [0.5, -1.0]])
X = tf.constant([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
with tf.GradientTape() as tape:
    tape.watch(W)
    out = tf.vectorized_map(lambda r: tf.linalg.matvec(W, r), X)
    loss = tf.reduce_sum(out ** 2)
g = tape.gradient(loss, W)
=== sqrt imported from math, beside TensorFlow's | healthy
from math import sqrt
w = tf.Variable([1.0, 4.0])
with tf.GradientTape() as tape:
    h = tf.sqrt(w)
    y = tf.reduce_sum(h * (1.0 / sqrt(2.0)))
g = tape.gradient(y, w)
=== interp lookup of a gain | left_tensorflow
knots = np.array([0.0, 1.0, 2.0, 3.0])
levels = np.array([0.0, 2.0, 3.0, 5.0])
drive = tf.Variable(1.25)
with tf.GradientTape() as tape:
    gain = np.interp(drive, knots, levels)  #@
    power = drive * tf.cast(gain, tf.float32)
g = tape.gradient(power, drive)
=== interp whole signal | left_tensorflow
t = tf.Variable([0.2, 0.7, 1.4])
with tf.GradientTape() as tape:
    warped = np.interp(t.numpy(), [0.0, 0.5, 1.0, 1.5], [0.0, 1.0, 0.0, -1.0])  #@
    err = tf.reduce_sum(tf.constant(warped, dtype=tf.float32) ** 2)
g = tape.gradient(err, t)
=== keras dense sigmoid unscaled pixels | flat
layer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")
x = tf.constant([[200.0, 255.0]])
with tf.GradientTape() as tape:
    p = layer(x)  #@
    loss = tf.reduce_mean((p - 0.0) ** 2)
g = tape.gradient(loss, layer.kernel)
=== np array of predictions list | left_tensorflow
w = tf.Variable(0.5)
xs = [1.0, 2.0, 3.0]
with tf.GradientTape() as tape:
    preds = []
    for x in xs:
        preds.append(tf.tanh(w * x))
    preds = np.array(preds)  #@
    loss = tf.reduce_mean((preds - 0.5) ** 2)
g = tape.gradient(loss, w)
=== python round | left_tensorflow
x = tf.Variable(2.3)
with tf.GradientTape() as tape:
    n = round(float(x))  #@
    y = n * 2.0
    z = tf.constant(y) ** 2
g = tape.gradient(z, x)
=== sorted with python | left_tensorflow
w = tf.Variable([3.0, 1.0, 2.0])
with tf.GradientTape() as tape:
    ordered = sorted(w.numpy().tolist())  #@
    gaps = tf.constant(ordered[1:]) - tf.constant(ordered[:-1])
    loss = tf.reduce_sum(gaps ** 2)
g = tape.gradient(loss, w)
=== atan2 at origin | domain
p = tf.Variable([0.0, 0.0])
with tf.GradientTape() as tape:
    phi = tf.atan2(p[1], p[0])  #@
g = tape.gradient(phi, p)
=== empty selection mean | domain | zero
x = tf.Variable([-1.0, -2.0])
with tf.GradientTape() as tape:
    pos = tf.boolean_mask(x, x > 0)
    m = tf.reduce_mean(pos)  #@
g = tape.gradient(m, x)
=== acosh at one | domain
x = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = tf.acosh(x)  #@
g = tape.gradient(y, x)
=== int image saliency | integer
img = tf.constant(np.array([[10, 200, 30]], dtype=np.uint8))  #@
W = tf.ones((3, 1))
with tf.GradientTape() as tape:
    tape.watch(img)  #@
    y = tf.reduce_sum(tf.cast(img, tf.float32) @ W)
g = tape.gradient(y, img)
=== elu far negative | flat
x = tf.Variable([-200.0, -300.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.nn.elu(x))  #@
g = tape.gradient(y, x)
=== hard sigmoid keras | flat
x = tf.Variable([[5.0, -9.0]])
with tf.GradientTape() as tape:
    gate = keras.activations.hard_sigmoid(x)  #@
    y = tf.reduce_sum(gate)
g = tape.gradient(y, x)
=== tanh keras layer saturated | flat
lay = keras.layers.Dense(2, activation=tf.nn.tanh, kernel_initializer=keras.initializers.Constant(30.0))
x = tf.constant([[1.0, 2.0]])
with tf.GradientTape() as tape:
    o = lay(x)  #@
    loss = tf.reduce_sum((o - 0.5) ** 2)
g = tape.gradient(loss, lay.trainable_variables)
=== a codebook with its two stopped losses | healthy
E = tf.Variable([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
We = tf.Variable([[0.5, 0.1], [0.2, 0.7]])
Wd = tf.Variable([[1.0, 0.0], [0.3, 1.0]])
x = tf.constant([[1.0, 0.4], [0.2, 0.9]])
with tf.GradientTape() as tape:
    z = x @ We
    d = tf.reduce_sum((z[:, None, :] - E[None]) ** 2, -1)
    k = tf.argmin(d, axis=1)
    q = tf.gather(E, k)
    book = tf.reduce_mean((q - tf.stop_gradient(z)) ** 2)
    commit = tf.reduce_mean((z - tf.stop_gradient(q)) ** 2)
    st = z + tf.stop_gradient(q - z)
    loss = tf.reduce_mean((st @ Wd - x) ** 2) + book + 0.25 * commit
g = tape.gradient(loss, [E, We, Wd])
=== semi-gradient of one network | healthy
v = tf.Variable([0.3, 0.7])
phi, phi2 = tf.constant([1.0, 0.0]), tf.constant([0.2, 0.8])
with tf.GradientTape() as tape:
    target = 1.0 + 0.9 * tf.reduce_sum(v * phi2)
    delta = tf.stop_gradient(target) - tf.reduce_sum(v * phi)
    loss = delta ** 2
g = tape.gradient(loss, v)
=== actor and critic share a trunk | healthy
trunk = keras.layers.Dense(3, activation="tanh")
actor, critic = keras.layers.Dense(2), keras.layers.Dense(1)
s = tf.constant([[0.1, 0.5], [0.4, -0.2]])
ret = tf.constant([1.0, 0.5])
with tf.GradientTape() as tape:
    h = trunk(s)
    v = tf.squeeze(critic(h), -1)
    advantage = tf.stop_gradient(ret - v)
    logp = tf.gather(tf.nn.log_softmax(actor(h)), [0, 1], axis=1, batch_dims=1)
    loss = -tf.reduce_mean(logp * advantage) + tf.reduce_mean((ret - v) ** 2)
g = tape.gradient(loss, trunk.trainable_variables)
=== the prediction is stopped, beside a penalty | stopped
w = tf.Variable([0.5, -0.5])
y = tf.constant(1.0)
x = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    pred = tf.stop_gradient(tf.reduce_sum(w * x))  #@
    loss = (pred - y) ** 2 + 0.1 * tf.reduce_sum(w ** 2)
g = tape.gradient(loss, w)
=== a target stopped under another head of the same weights | healthy
w = tf.Variable([[0.5, -0.5], [0.2, 0.3]])
x, xa = tf.constant([[1.0, 2.0]]), tf.constant([[0.9, 2.1]])
with tf.GradientTape() as tape:
    clean = tf.tanh(x @ w)
    noisy = tf.tanh(xa @ w)
    loss = tf.reduce_mean(tf.math.squared_difference(noisy, tf.stop_gradient(clean)))
g = tape.gradient(loss, w)
=== rng generator normal | left_tensorflow
rng = np.random.default_rng(0)
mu = tf.Variable([0.5, 1.0])
sigma = tf.Variable([1.2, 0.4])
with tf.GradientTape() as tape:
    z = rng.normal(mu, sigma)  #@
    loss = tf.reduce_mean(tf.square(tf.cast(z, tf.float32) - 3.0))
dmu, dsigma = tape.gradient(loss, [mu, sigma])
=== numpy uniform between parameters | left_tensorflow
lo = tf.Variable(0.5)
hi = tf.Variable(2.0)
n = 16
with tf.GradientTape() as tape:
    u = np.random.uniform(lo, hi, size=n).astype("float32")  #@
    loss = tf.reduce_mean(tf.constant(u) ** 2)
g = tape.gradient(loss, [lo, hi])
=== numpy exponential by keyword | left_tensorflow
scale = tf.Variable(2.0)
with tf.GradientTape() as tape:
    t = np.random.exponential(scale=scale, size=(8,))  #@
    loss = tf.reduce_mean(tf.cast(t, tf.float32))
g = tape.gradient(loss, scale)
=== one action sampled | nondifferentiable
logits = tf.Variable([[0.1, 0.9, 0.2]])
rewards = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    a = tf.random.categorical(logits, 1)[0, 0]  #@
    loss = -rewards[a]
g = tape.gradient(loss, logits)
=== actions of a batch sampled | nondifferentiable
W = tf.Variable([[0.1, 0.9], [0.3, -0.2]])
x = tf.constant([[1.0, 0.5], [0.2, 0.7], [1.5, 0.1]])
q = tf.constant([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]])
with tf.GradientTape() as tape:
    a = tf.squeeze(tf.random.categorical(x @ W, 1), axis=1)  #@
    loss = -tf.reduce_mean(tf.reduce_sum(tf.one_hot(a, 2) * q, axis=1))
g = tape.gradient(loss, W)
=== argmax gathers of a batch | nondifferentiable
W = tf.Variable([[0.1, 0.9], [0.3, -0.2]])
x = tf.constant([[1.0, 0.5], [0.2, 0.7], [1.5, 0.1]])
q = tf.constant([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]])
with tf.GradientTape() as tape:
    a = tf.argmax(x @ W, axis=1)  #@
    value = tf.gather(q, a, axis=1, batch_dims=1)
    loss = -tf.reduce_sum(value * [1.0, 2.0, 3.0])
g = tape.gradient(loss, W)
=== categorical action sample | nondifferentiable
policy = tf.Variable([[0.1, 0.9, 0.2]])
q_values = tf.constant([[1.0, 2.0, 3.0]])
with tf.GradientTape() as tape:
    action = tf.random.categorical(policy, 1)  #@
    q = tf.gather(q_values, action, axis=1, batch_dims=1)
    loss = -tf.reduce_mean(q)
g = tape.gradient(loss, policy)
=== a table looked up at a place that is cast | integer
table = tf.constant([0.0, 1.0, 4.0, 9.0])
pos = tf.Variable(1.6)
with tf.GradientTape() as tape:
    idx = tf.cast(pos, tf.int32)  #@
    value = tf.gather(table, idx)
slope = tape.gradient(value, pos)
=== places cast where they are used | integer
table = tf.constant([0.0, 1.0, 4.0, 9.0])
pos = tf.Variable([0.3, 1.6])
with tf.GradientTape() as tape:
    total = tf.reduce_sum(tf.gather(table, tf.cast(pos * 1.2, tf.int32)) ** 2)  #@
slope = tape.gradient(total, pos)
=== argmax in a compiled function | nondifferentiable
W = tf.Variable([[0.5, -0.2, 0.1], [0.1, 0.3, 0.2]])
@tf.function
def classify(x):
    logits = x @ W
    return tf.cast(tf.argmax(logits, axis=-1), tf.float32)  #@
x = tf.constant([[1.0, 2.0]])
with tf.GradientTape() as tape:
    pred = classify(x)
    loss = tf.reduce_mean((pred - 1.0) ** 2)
g = tape.gradient(loss, W)
=== stop_gradient in a compiled function | stopped
w = tf.Variable(2.0)
@tf.function
def f(x):
    h = tf.stop_gradient(w * x)  #@
    return h ** 2
with tf.GradientTape() as tape:
    y = f(tf.constant(3.0))
g = tape.gradient(y, w)
=== logarithm of 0 in a compiled loss | domain
p = tf.Variable([0.0, 0.5, 0.5])
@tf.function
def entropy(q):
    parts = q * tf.math.log(q)  #@
    return -tf.reduce_sum(parts)
with tf.GradientTape() as tape:
    h = entropy(p)
g = tape.gradient(h, p)
=== a compiled branch that rounds | nondifferentiable
x = tf.Variable([0.3, 1.7])
@tf.function
def quantised(v):
    if tf.reduce_sum(v) > 0.0:
        v = tf.round(v)  #@
    return v * 2.0
with tf.GradientTape() as tape:
    y = tf.reduce_sum(quantised(x))
g = tape.gradient(y, x)
=== relu dead in a compiled layer | flat
class Net(tf.Module):
    def __init__(self):
        self.w = tf.Variable([[0.5], [0.2]])
        self.b = tf.Variable([-20.0])
    @tf.function
    def __call__(self, x):
        return tf.nn.relu(x @ self.w + self.b)  #@
net = Net()
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(net(tf.constant([[1.0, 2.0]])))
g = tape.gradient(loss, net.trainable_variables)
=== where in a compiled helper of an earlier cell | where | before
--- before
@tf.function
def root(v):
    return tf.where(v > 0.0, tf.pow(v, 0.5), tf.zeros_like(v))  #@
--- cell
x = tf.Variable([-1.0, 4.0])
with tf.GradientTape() as tape:
    s = tf.reduce_sum(root(x))
g = tape.gradient(s, x)
=== compiled and healthy | healthy
w = tf.Variable([0.5, 0.2])
scale = np.float32(np.sqrt(2.0))
@tf.function
def f(x):
    h = tf.tanh(w * x) * scale
    if tf.reduce_max(h) > 0.1:
        h = h * 2.0
    return tf.reduce_sum(h)
with tf.GradientTape() as tape:
    y = f(tf.constant([1.0, 2.0]))
g = tape.gradient(y, w)
=== keras convert to numpy | left_tensorflow
from keras import ops
w = tf.Variable([0.5, -1.0])
with tf.GradientTape() as tape:
    a = ops.convert_to_numpy(w * 2.0)  #@
    loss = ops.sum(ops.square(ops.convert_to_tensor(a)))
g = tape.gradient(loss, w)
=== multi line numpy call | left_tensorflow
w = tf.Variable([0.5, 1.5])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(
        tf.square(
            np.multiply(  #@
                w,
                [1.0, 2.0],
            )
        )
    )
g = tape.gradient(loss, w)
=== clip gradient of prob | flat
p = tf.Variable([1.2, -0.3])
with tf.GradientTape() as tape:
    q = keras.ops.clip(p, 0.0, 1.0)  #@
    loss = tf.reduce_sum(q * [1.0, 2.0])
g = tape.gradient(loss, p)
=== numpy in lambda | left_tensorflow
act = lambda z: np.tanh(z)  #@
w = tf.Variable([0.2, 0.7])
with tf.GradientTape() as tape:
    h = act(w * 3.0)
    loss = tf.reduce_sum(tf.constant(h) ** 2)
g = tape.gradient(loss, w)
=== functional lambda argmax | nondifferentiable
inp = keras.Input((3,))
h = keras.layers.Dense(4)(inp)
model = keras.Model(inp, h)
x = tf.ones((2, 3))
with tf.GradientTape() as tape:
    idx = tf.math.argmax(model(x), axis=1)  #@
    loss = tf.reduce_mean(tf.cast(idx, tf.float32))
g = tape.gradient(loss, model.trainable_variables)
=== layer norm by hand constant row | domain
x = tf.Variable([[2.0, 2.0, 2.0]])
with tf.GradientTape() as tape:
    m = tf.reduce_mean(x, -1, keepdims=True)
    s = tf.math.reduce_std(x, -1, keepdims=True)
    y = (x - m) / s  #@
    loss = tf.reduce_sum(y * [[1.0, 2.0, 3.0]])
g = tape.gradient(loss, x)
=== vanishing rnn | underflow
W = tf.Variable([[1e-4]])
h = tf.constant([[1.0]])
with tf.GradientTape() as tape:
    for _ in range(30):
        h = h @ W  #@
    loss = tf.reduce_sum(h)
g = tape.gradient(loss, W)
=== relu network dead after bad init | flat
net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, activation="relu", bias_initializer=keras.initializers.Constant(-50.0)), keras.layers.Dense(1)])
x = tf.constant([[0.3, 0.1]])
with tf.GradientTape() as tape:
    out = net(x)  #@
    loss = tf.reduce_mean(out ** 2 + out)
g = tape.gradient(loss, net.layers[0].kernel)
=== image ops through numpy slice assign | left_tensorflow
img = tf.Variable(tf.ones((2, 2)))
with tf.GradientTape() as tape:
    arr = img.numpy()  #@
    arr[0, 0] = 0.0
    loss = tf.reduce_sum(tf.constant(arr) ** 2)
g = tape.gradient(loss, img)
=== np max of logits for stability | healthy
z = tf.Variable([1.0, 3.0, 2.0])
with tf.GradientTape() as tape:
    shift = np.max(z.numpy())
    e = tf.exp(z - shift)
    p = e / tf.reduce_sum(e)
    loss = -tf.math.log(p[2])
g = tape.gradient(loss, z)
=== loss before with | outside_tape
m = tf.Variable(2.0)
c = tf.Variable(1.0)
x = tf.constant([1.0, 2.0, 3.0])
y = 3.0 * x
def loss_fn():
    return tf.reduce_mean((m * x + c - y) ** 2)
loss = loss_fn()  #@
with tf.GradientTape() as tape:
    print("training")
dm, dc = tape.gradient(loss, [m, c])
=== bool mask count loss | nondifferentiable
pred = tf.Variable([0.1, 0.6, 0.9])
y = tf.constant([0.0, 1.0, 1.0])
with tf.GradientTape() as tape:
    wrong = tf.math.abs(pred - y) > 0.3  #@
    loss = tf.reduce_mean(tf.cast(wrong, tf.float32))
g = tape.gradient(loss, pred)
=== shift by python max healthy | healthy
z = tf.Variable([1.0, 5.0, 2.0])
with tf.GradientTape() as tape:
    c = max(z.numpy())
    lse = c + tf.math.log(tf.reduce_sum(tf.exp(z - c)))
g = tape.gradient(lse, z)
=== compiled int cast | integer
w = tf.Variable([1.2, 2.7])
@tf.function
def q(v):
    k = tf.cast(v, tf.int32)  #@
    return tf.cast(k, tf.float32) * 2.0
with tf.GradientTape() as tape:
    s = tf.reduce_sum(q(w))
g = tape.gradient(s, w)
""")
)

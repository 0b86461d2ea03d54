"""A corpus of `%%grad` cells as people write them, and a shell to run them in.

A case is headed `=== name | keys | flags`. Keys and flags are separated by `; `. Below stand the
set-up lines and the cell, which a line `---` separates; a further `---` is followed by a program that
leaves the true values in `hand`, where `test_cells.by_hand` cannot know what is meant.

Flags: `contradicts` (the tape is meant to disagree with calculus), `unchecked` (nothing can
be compared), `checked`, `none` (the value is None), `old` (the source is the value from before
the cell), `closed` (there is a closed form), `close` (not bit for bit), `rounded` (the recorded values
are not near the exact ones), `error Name: words` (the cell fails).
"""

# Cells keep the lines that people write.

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SETUP = "%load_ext tapemagic\nimport tensorflow as tf, numpy as np\n%colors NoColor"


@dataclass(frozen=True)
class Case:
    """One cell of the corpus."""

    name: str
    keys: tuple[str, ...]
    flags: frozenset[str]
    setup: str
    cell: str
    hand: str

    @property
    def error(self) -> tuple[str, str] | None:
        """The error's class and a part of its message, if the cell is to fail."""
        for flag in self.flags:
            if flag.startswith("error "):
                kind, _, words = flag[len("error ") :].partition(":")
                return kind, words.strip()
        return None


def parsed(text: str) -> Iterator[Case]:
    for block in text.split("\n=== ")[1:]:
        head, _, body = block.partition("\n")
        name, keys, flags, *_ = [part.strip() for part in head.split("|")] + ["", ""]
        parts = [part.strip("\n") for part in f"\n{body}\n".split("\n---\n")]
        at = next(i for i, part in enumerate(parts) if part.startswith("%%grad"))
        setup = parts[0] if at else ""
        hand = parts[at + 1] if len(parts) > at + 1 else ""
        split = [tuple(s.strip() for s in f.split("; ") if s.strip()) for f in (keys, flags)]
        yield Case(name, split[0], frozenset(split[1]), setup, parts[at], hand)


class Shell:
    """One real shell for many cells: between them the namespace is cleaned."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.hooks = sys.displayhook, sys.excepthook
        InteractiveShell.clear_instance()
        self.ip: Any = InteractiveShell.instance()
        self.ip.history_manager.enabled = False
        for line in SETUP.splitlines():
            self.ip.run_cell(line).raise_error()
        self._base = dict(self.ip.user_ns)

    @property
    def names(self) -> dict[str, Any]:
        """The user's namespace."""
        names: dict[str, Any] = self.ip.user_ns
        return names

    def run(self, cell: str) -> Any:
        return self.ip.run_cell(cell, store_history=False)

    def clean(self) -> None:
        for name in list(self.names):
            if name not in self._base:
                del self.names[name]
        self.names.update(self._base)
        for name in ("_", "__", "___"):
            self.names[name] = ""
        self.names["_oh"].clear()
        if hasattr(sys, "last_value"):
            del sys.last_value, sys.last_traceback

    def close(self) -> None:
        self.clean()
        type(self.ip).clear_instance()
        sys.displayhook, sys.excepthook = self.hooks


@contextmanager
def open_shell() -> Iterator[Shell]:
    shell = Shell()
    try:
        yield shell
    finally:
        shell.close()


CORPUS = """
=== square | dy/dx | checked; closed
%%grad x
x = tf.constant(3.0)
y = x**2
=== chain | dz/dx | checked; closed
%%grad x
x = tf.constant(3.0)
y = x**2
z = y**2
=== cube of a variable, no WRT | dy/dx | checked; closed
%%grad
x = tf.Variable(1.5)
y = x**3
=== polynomial, order 2 | dy/dx; d2y/dx2 | checked; closed
%%grad x -n 2
x = tf.Variable(2.0)
y = 2*x**3 + 5*x**2 + 3*x
=== order 6 | dy/dx; d2y/dx2; d3y/dx3; d4y/dx4; d5y/dx5; d6y/dx6 | checked; closed
%%grad x -n 6
x = tf.constant(1.1, tf.float64)
y = x**7 - x**5/5
=== order 6 of a sine | dy/dx; d2y/dx2; d3y/dx3; d4y/dx4; d5y/dx5; d6y/dx6 | closed
%%grad x -n 6
x = tf.constant(0.7)
y = tf.sin(x)
=== order 4 of a product | dy/dx; d2y/dx2; d3y/dx3; d4y/dx4
%%grad x -n 4
x = tf.constant(0.7, dtype=tf.float64)
y = tf.exp(-x)*tf.sin(3*x)
=== order beyond the degree | dy/dx; d2y/dx2; d3y/dx3
%%grad x -n 3
x = tf.constant(2.0)
y = 3*x
=== order of an integer power | dy/dx; d2y/dx2; d3y/dx3
%%grad x -n 3
x = tf.constant(2.0)
y = x**2
=== negative power | dy/dx; d2y/dx2 | checked; closed
%%grad x -n 2
x = tf.constant(2.0)
y = x**-3
=== root as a power | dy/dx | checked; closed
%%grad x
x = tf.constant(2.0)
y = x**0.5
=== x to the x | dy/dx; d2y/dx2 | checked; closed
%%grad x -n 2
x = tf.constant(1.3, tf.float64)
y = x**x
=== two to the x | dy/dx | checked; closed
%%grad x
x = tf.constant(1.3)
y = 2**x
=== all trigonometry | dy/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.sin(x) + tf.cos(x) + tf.tan(x) + tf.asin(x) + tf.acos(x) + tf.atan(x)
=== all hyperbolic | dy/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.sinh(x)*tf.cosh(x) - tf.tanh(x) + tf.asinh(x) + tf.acosh(1 + x) + tf.atanh(x)
=== activations | dy/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.nn.relu(x) + tf.nn.elu(x) + tf.nn.selu(x) + tf.nn.softplus(x) + tf.nn.softsign(x) + tf.sigmoid(x)
=== silu and gelu | dz/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.nn.silu(x)
z = y + tf.nn.gelu(x)
=== gelu approximated | dy/dx
%%grad x
x = tf.constant(0.4)
y = tf.nn.gelu(x, approximate=True)
=== special functions | dy/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.math.erf(x) + tf.math.lgamma(x) - tf.math.digamma(x) + tf.math.special.bessel_j0(x) + tf.math.log_sigmoid(x)
=== log and exp | dy/dx | checked; closed
%%grad x
x = tf.constant(2.0)
y = tf.math.log(x) * tf.exp(x) + tf.math.log1p(x) + tf.math.expm1(x)
=== abs, max, min | dy/dx | checked
%%grad x
x = tf.constant(-2.0)
y = tf.abs(x) + tf.maximum(x, 1.0)*x + tf.minimum(2.0, x)
=== at the kink of relu | dy/dx
%%grad x
x = tf.constant(0.0)
y = tf.nn.relu(x)
=== at the kink of abs | dy/dx
%%grad x
x = tf.Variable(0.0)
y = abs(x)
=== quotient | df/dx | checked; closed
%%grad x
x = tf.constant(0.5)
f = x*tf.exp(-x**2)/(1 + x)
=== floor and round | dy/dx
%%grad x
x = tf.constant(2.7)
y = tf.floor(x)*x + tf.round(x)
=== where | dy/dx | checked
%%grad x
x = tf.constant(2.0)
y = tf.where(x > 1, x**2, -x)
=== clip | dy/dx | checked
%%grad x
x = tf.constant(0.4)
y = tf.clip_by_value(x, 0.0, 1.0)*3
=== atan2 and pow | dz/dx; dz/dy | checked
%%grad x y
x = tf.constant(1.5)
y = tf.constant(0.5)
z = tf.atan2(y, x) + tf.pow(x, y)
=== mixed partials | dz/dx; dz/dy; d2z/dx2; d2z/dxdy; d2z/dy2 | checked; closed
%%grad x y -n 2
x = tf.constant(1.0); y = tf.constant(2.0)
z = x**2*y + tf.sin(x*y)
=== mixed partials, three | df/da; df/db; df/dc; d2f/da2; d2f/dadb; d2f/dadc; d2f/db2; d2f/dbdc; d2f/dc2
%%grad a, b, c -n 2
a, b, c = tf.constant(1.0), tf.constant(2.0), tf.constant(3.0)
f = a*b*c + a**2*c
=== fan-out | dz/dx | checked
%%grad x
x = tf.constant(1.5)
a = x*x
b = a + x
c = a*b
z = c*a + b*x
=== several targets | da/dx; db/dx | checked
%%grad x --of a,b
x = tf.constant(2.0)
a = x**2
b = a*x
=== several targets, repeated --of | da/dx; db/dx | checked
%%grad x --of a --of b
x = tf.constant(2.0)
a = x**2
b = tf.sin(a)
=== sum of targets | d(a+b)/dx | checked
%%grad x --of a,b --sum
x = tf.constant(2.0)
a = x**2
b = a*x
---
with tf.GradientTape() as t:
    x = tf.constant(2.0); t.watch(x)
    a = x**2
    b = a*x
hand = {"d(a+b)/dx": t.gradient([a, b], x)}
=== target is an expression | d(a + b)/dx | checked
%%grad x --of "a + b"
x = tf.constant(2.0)
a = x**2
b = a*x
=== target is a subscript | dy[1]/dx | checked
%%grad x --of y[1]
x = tf.constant([2.0, 3.0])
y = x**2
=== target in a dict | dout['loss']/dx | checked
%%grad x --of out['loss']
x = tf.constant(2.0)
out = {'loss': x**3, 'n': 3}
=== target is an attribute | dres.loss/dx | checked
%%grad x --of res.loss
import types
x = tf.constant(2.0)
res = types.SimpleNamespace(loss=x**2)
=== target is a function's value | d(np.float32(2)*y)/dx | checked
%%grad x --of np.float32(2)*y
x = tf.constant(2.0)
y = x**2
=== last expression | d(x**2 + 1)/dx | checked
%%grad x
x = tf.constant(2.0)
x**2 + 1
---
with tf.GradientTape() as t:
    x = tf.constant(2.0); t.watch(x)
    y = x**2 + 1
hand = {"d(x**2 + 1)/dx": t.gradient(y, x)}
=== last expression is a name | dy/dx | checked
%%grad x
x = tf.constant(2.0)
y = x**2
w = y*2
y
=== last expression is no tensor | dy/dx | checked
%%grad x
x = tf.constant(2.0)
y = x**2
"done"
=== last expression is None | dy/dx | checked
%%grad x
x = tf.constant(2.0)
y = x**2
print(y.numpy())
=== last expression is a call | dtf.reduce_sum(y)/dx
%%grad x
x = tf.constant([2.0, 1.0])
y = x**2
tf.reduce_sum(y)
=== last expression over lines | dtf.reduce_sum( y * 2)/dx
%%grad x
x = tf.constant([2.0, 1.0])
y = x**2
tf.reduce_sum(
    y * 2)
---
with tf.GradientTape() as t:
    x = tf.constant([2.0, 1.0]); t.watch(x)
    y = tf.reduce_sum(x**2*2)
hand = {"dtf.reduce_sum( y * 2)/dx": t.gradient(y, x)}
=== multiple assignment | dw/dx | checked
%%grad x
x = y = tf.constant(2.0)
w, (v, u) = x*2, (x*3, 4)
w = v*w
=== augmented assignment | dy/dx | checked
%%grad x
x = tf.constant(2.0)
y = x
y *= x
y += 3*x
y **= 2
=== rebinding, first bound | dx/dx
%%grad x --of x
x = tf.constant(2.0)
x = x*x
x = tf.sin(x)
---
with tf.GradientTape() as t:
    x = tf.constant(2.0); t.watch(x)
    y = tf.sin(x*x)
hand = {"dx/dx": t.gradient(y, x)}
=== a variable made of the old value | dy/dx | closed
x = tf.constant(2.0)
---
%%grad x
x = tf.Variable(x)
y = x**3
---
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = x**3
hand = {"dy/dx": tape.gradient(y, x)}

=== a variable made of the old one, elsewhere | dy/dx | closed
x = tf.Variable(2.0)
---
%%grad x --at x=3.0
x = tf.Variable(x)
y = x**3
---
x = tf.constant(3.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x**3
hand = {"dy/dx": tape.gradient(y, x)}

=== rebinding, the old one | dy/dx | checked; old
x = tf.constant(2.0)
---
%%grad x
x = 3*x
y = x**2
=== the same name as target | dx/dx | checked
x = tf.constant(2.0)
---
%%grad x
x = x*x
---
x = tf.constant(2.0)
with tf.GradientTape() as t:
    t.watch(x)
    y = x*x
hand = {"dx/dx": t.gradient(y, x)}
=== a source from before | dy/dx | checked; old
x = tf.constant(2.0)
---
%%grad x
y = tf.exp(x)*x
=== a variable from before | dy/dx | checked; old
x = tf.Variable(2.0)
---
%%grad
y = tf.exp(x)*x
=== a constant from before | dy/dx | checked; old
a = tf.constant(4.0); x = tf.Variable(2.0)
---
%%grad x
y = a**2*x + a
=== recurrence of 300 | dx/dx
%%grad x
x = tf.constant(0.3)
for i in range(300):
    x = 3.2*x*(1 - x)
---
with tf.GradientTape() as t:
    x0 = x = tf.constant(0.3); t.watch(x)
    for i in range(300):
        x = 3.2*x*(1 - x)
hand = {"dx/dx": t.gradient(x, x0)}
=== sum in a loop of 300 | ds/dx
%%grad x
x = tf.constant(0.9)
s = 0.0
for i in range(1, 300):
    s = s + x**i/i
=== growth in a list | dtotal/dx | checked
%%grad x
x = tf.constant(0.9)
powers = []
for i in range(6):
    powers.append(x**i)
total = tf.add_n(powers)
=== Newton | dr/da
%%grad a
a = tf.constant(2.0)
r = tf.constant(1.0)
while abs(r*r - a) > 1e-6:
    r = (r + a/r)/2
=== bisection without slope | dlow/da
%%grad a
a = tf.constant(2.0)
low, high = a*0, a
for _ in range(20):
    mid = (low + high)/2
    if mid*mid > a: high = mid
    else: low = mid
=== branch on a value | dy/dx | checked
%%grad x
x = tf.constant(-0.5)
if x > 0:
    y = x**2
else:
    y = x**3
=== conditional expression | dy/dx | checked
%%grad x
x = tf.constant(0.5)
y = x**2 if x > 0 else -x
=== fixed point | dy/dx
%%grad x
x = tf.constant(0.5)
y = x
for _ in range(40):
    y = tf.cos(y + x)
=== recursion | dy/dx
%%grad x
def power(a, n):
    return 1.0 if n == 0 else a*power(a, n - 1)
x = tf.constant(1.2)
y = power(x, 10)
=== nested functions | dy/dx | checked
%%grad x
def outer(a):
    def inner(b): return b*a
    return inner(a + 1)
x = tf.constant(1.2)
y = outer(x)
=== a closure | dy/dx | checked
%%grad x
x = tf.constant(1.2)
k = 3.0
f = lambda a: k*a**2
y = f(f(x))
=== a class | dy/dx | checked
%%grad x
class Line:
    def __init__(self, a, b): self.a, self.b = a, b
    def __call__(self, t): return self.a*t + self.b
x = tf.constant(1.2)
y = Line(2.0, x)(x)
=== a dataclass | dy/dx | checked
%%grad x
from dataclasses import dataclass
@dataclass
class P:
    m: float
    v: tf.Tensor
    def energy(self): return 0.5*self.m*self.v**2
x = tf.constant(1.2)
y = P(3.0, x).energy()
=== global statement | dy/dx | checked
%%grad x
x = tf.constant(1.2)
def set_it():
    global y
    y = x**2
set_it()
=== walrus | dz/dx | checked
%%grad x
x = tf.constant(1.2)
if (y := x**2) > 1:
    z = y*3
=== del in between | dz/dx | checked
%%grad x
x = tf.constant(1.2)
y = x**2
z = y*3
del y
=== del of the source | dz/dx
%%grad x
x = tf.constant(1.2)
z = x*3
del x
=== with and try | dy/dx | checked
%%grad x
import contextlib
x = tf.constant(1.2)
with contextlib.nullcontext():
    try:
        y = x**2
        1/0
    except ZeroDivisionError:
        y = y*x
    finally:
        y = y + x
=== comprehension | dy/dx | checked
%%grad x
x = tf.constant(1.2)
y = sum([x**k/k for k in (1, 2, 3)])
=== generator | dy/dx | checked
%%grad x
x = tf.constant(1.2)
def powers(a):
    p = a
    while True:
        yield p
        p = p*a
import itertools
y = sum(itertools.islice(powers(x), 4))
=== functools.reduce | dy/dx
%%grad x
from functools import reduce
x = tf.constant(1.2)
y = reduce(lambda a, b: tf.sin(a)*b, [x]*5)
=== semicolons | dy/dx | checked
%%grad x
x = tf.constant(1.2); t = x*x; y = t + 1
=== line continuation | dy/dx | checked
%%grad x
x = tf.constant(1.2)
y = x \
    + x**2
=== comments and blank lines | dy/dx | checked

---
%%grad x

# here we go
x = tf.constant(1.2)  # the source

y = x**2  # the target
=== Greek | dψ/dθ | checked
%%grad θ
θ = tf.constant(1.2)
ψ = tf.sin(θ)**2
=== underscores | dthe_loss/dmy_weight_1 | checked
%%grad my_weight_1
my_weight_1 = tf.constant(1.2)
the_loss = my_weight_1**2
=== lambda_ and friends | din_/dlambda_ | checked
%%grad lambda_
lambda_ = tf.constant(1.2)
in_ = lambda_**2
=== a leading underscore | dy/d_x
%%grad _x
_x = tf.constant(1.2)
y = _x**2
=== a dunder name | dy/d__x__
%%grad __x__ --of y
__x__ = tf.constant(1.2)
y = __x__**2
=== names that clash | dI/de | checked
%%grad e
e = tf.constant(1.2)
pi = tf.constant(3.0)
S = e*pi
N = S + e
Q = N/e
I = Q*S
=== name of a function | dgamma/dbeta
%%grad beta
beta = tf.constant(1.2)
zeta = beta**2
gamma = tf.sin(zeta)*zeta
=== u1 is taken | dy/du1 | checked
%%grad u1
u1 = tf.constant(1.2)
u = tf.sin(u1)
y = tf.exp(tf.sin(u*u1) + u*tf.cos(u1)*tf.sin(u1 + u))*tf.sin(u*u1 + 2)
=== long names | dmean_squared_error_of_the_model/dlearning_rate | checked
%%grad learning_rate
learning_rate = tf.constant(1.2)
mean_squared_error_of_the_model = (learning_rate - 3)**2
=== combining letters | dyé/dñ
%%grad ñ
ñ = tf.constant(1.2)
yé = ñ*ñ
=== index-like names | dx_12/dx1 | checked
%%grad x1
x1 = tf.constant(1.2)
x_1 = x1*2
x_12 = x_1*x1
=== float64 | dy/dx | checked; closed
%%grad x
x = tf.constant(1.2, tf.float64)
y = tf.sin(x)*tf.exp(x)
=== float16 | dy/dx | closed
%%grad x
x = tf.constant(1.2, tf.float16)
y = x**3 - x
=== bfloat16 | dy/dx
%%grad x
x = tf.constant(1.2, tf.bfloat16)
y = x*x*x - x
=== casts | dy/dx
%%grad x
x = tf.constant(1.2)
y = tf.cast(tf.cast(x, tf.float64)**2, tf.float32)*x
=== integers in between | dy/dx | checked
%%grad x
x = tf.constant(1.2)
n = tf.constant(3)
y = tf.cast(n*n, tf.float32)*x
=== cut by an integer | dy/dx | none
%%grad x
x = tf.constant(1.2)
y = tf.cast(tf.cast(x, tf.int32), tf.float32)*2
=== cut, asked for zero | dy/dx
%%grad x --zero
x = tf.constant(1.2)
y = tf.cast(tf.cast(x, tf.int32), tf.float32)*2
=== not connected | dy/dx | none
%%grad x
x = tf.constant(1.2)
w = tf.constant(3.0)
y = w**2
=== not connected, order 2 | dy/dx; d2y/dx2 | none
%%grad x -n 2
x = tf.constant(1.2)
w = tf.constant(3.0)
y = w**2
=== one of two connected | dy/dx; dy/dw
%%grad x w
x = tf.constant(1.2)
w = tf.constant(3.0)
y = w**2
=== one of two connected, zero | dy/dx; dy/dw
%%grad x w --zero
x = tf.constant(1.2)
w = tf.constant(3.0)
y = w**2
=== left to numpy | dy/dx | none
%%grad x
x = tf.constant(1.2)
y = tf.constant(np.sin(x.numpy()))
=== numpy on one path | dy/dx
%%grad x
x = tf.constant(1.2)
y = np.exp(x)*x
=== math on one path | dy/dx
%%grad x
import math
x = tf.constant(1.2)
y = x*math.exp(x)
=== numpy scalars and arrays | dy/dx | checked
%%grad x
x = tf.constant([1.2, 2.0])
y = tf.reduce_sum(x*np.array([1, 2], dtype=np.float32)) + np.float32(2)*x[0]
=== stop_gradient | dy/dx | contradicts
%%grad x
x = tf.constant(1.2)
y = x*tf.stop_gradient(x**2)
=== stop_gradient alone | dy/dx | none
%%grad x
x = tf.constant(1.2)
y = tf.stop_gradient(x**2)
=== stop_gradient in a vector | dy/dx | contradicts
%%grad x
x = tf.constant([1.2, 2.0])
y = tf.reduce_sum(x*tf.stop_gradient(tf.nn.softmax(x)))
=== stop_gradient, order 2 | dy/dx; d2y/dx2 | contradicts
%%grad x -n 2
x = tf.constant(1.2)
y = x*tf.stop_gradient(x**2)*x
=== custom gradient that is right | dy/dx | checked
%%grad x
@tf.custom_gradient
def log1pexp(a):
    e = tf.exp(a)
    return tf.math.log(1 + e), lambda up: up*(1 - 1/(1 + e))
x = tf.constant(1.2)
y = log1pexp(x)
=== custom gradient that contradicts | dy/dx | contradicts
%%grad x
@tf.custom_gradient
def f(a):
    return a*a, lambda up: 100*up
x = tf.constant(1.2)
y = f(x)**2
=== custom gradient, clipped, of a vector | dy/dx | contradicts
%%grad x
@tf.custom_gradient
def clip(a):
    return tf.identity(a), lambda up: tf.clip_by_value(up, -1., 1.)
x = tf.constant([1.2, 3.0, -2.0])
y = tf.reduce_sum(clip(x)**2)
=== custom gradient, straight through | dy/dx | contradicts
%%grad x
@tf.custom_gradient
def st(a):
    return tf.round(a), lambda up: up
x = tf.constant([1.2, 3.3])
y = tf.reduce_sum(st(x)*x)
=== custom gradient of two inputs | dy/da; dy/db | checked
%%grad a b
@tf.custom_gradient
def mul(p, q):
    return p*q, lambda up: (up*q, up*p)
a = tf.constant(1.2); b = tf.constant(2.0)
y = tf.sin(mul(a, b))
=== custom gradient of two outputs | dy/dx
%%grad x
@tf.custom_gradient
def both(a):
    def grad(u, v): return u*2*a + v*3*a**2
    return (a**2, a**3), grad
x = tf.constant(1.2)
p, q = both(x)
y = p*q
=== custom gradient with a variable | dy/dw; dy/dx
%%grad w x
w = tf.Variable(2.0)
@tf.custom_gradient
def scaled(a):
    def grad(up, variables=None): return up*w, [tf.reduce_sum(up*a)]
    return a*w, grad
x = tf.constant(1.2)
y = scaled(x)**2
=== custom gradient that prints | dy/dx
%%grad x
@tf.custom_gradient
def f(a):
    def grad(up):
        print("asked for", up.shape)
        return up*2*a
    return a*a, grad
x = tf.constant([1.2, 3.0])
y = tf.reduce_sum(f(x))
=== custom gradient, order 2 | dy/dx; d2y/dx2
%%grad x -n 2
@tf.custom_gradient
def f(a):
    return a**3, lambda up: up*3*a**2
x = tf.constant(1.2)
y = f(x)
=== custom gradient that gives None | dy/dx | contradicts
%%grad x
@tf.custom_gradient
def f(a):
    return a**3, lambda up: None
x = tf.constant(1.2)
y = f(x)*x
---
hand = {"dy/dx": tf.constant(1.2)**3}
=== recompute_grad | dy/dx
%%grad x
f = tf.recompute_grad(lambda a: tf.sin(a)**2)
x = tf.constant(1.2)
y = f(x)
=== tf.function | dy/dx | checked
%%grad x
@tf.function
def f(a): return a*a + tf.sin(a)
x = tf.constant(1.2)
y = f(x)**2
=== tf.function with a branch | dy/dx | checked
%%grad x
@tf.function
def f(a):
    if a > 0:
        return a*a
    return -a
x = tf.constant(1.2)
y = f(x)**2
=== tf.function with while | dy/dx
%%grad x
@tf.function
def f(a):
    i = 0
    while i < 4:
        a = a*tf.sin(a)
        i += 1
    return a
x = tf.constant(1.2)
y = f(x)
=== tf.function with a while on values | dy/dx
%%grad x
@tf.function
def f(a):
    while a < 100.:
        a = a*a
    return a
x = tf.constant(1.2)
y = f(x)
=== tf.function with for over a tensor | dy/dx
%%grad x
@tf.function
def f(v):
    s = 0.0
    for e in v:
        s += e**2
    return s
x = tf.constant([1.2, 2.0])
y = f(x)
=== tf.function nested | dy/dx | checked
%%grad x
@tf.function
def g(a): return tf.exp(a)
@tf.function
def f(a): return g(a)*g(2*a)
x = tf.constant(1.2)
y = f(x)
=== tf.function retraced | dz/dx | checked
%%grad x
@tf.function
def f(a): return a**2
x = tf.constant(1.2)
y = f(tf.stack([x, 2*x]))
z = f(x) + tf.reduce_sum(y)
=== tf.function with variables | dy/dw; dy/dx | checked
%%grad w x
w = tf.Variable(2.0)
@tf.function
def f(a): return w*a**2
x = tf.constant(1.2)
y = f(x)
=== tf.function that assigns | dy/dx
%%grad x
c = tf.Variable(0.0, trainable=False)
@tf.function
def f(a):
    c.assign_add(1.0)
    return a*a*c
x = tf.constant(1.2)
y = f(x) + f(x)
=== tf.function, order 2 | dy/dx; d2y/dx2
%%grad x -n 2
@tf.function
def f(a): return a**3 + tf.sin(a)
x = tf.constant(1.2)
y = f(x)
=== tf.function with a tape inside | dy/dx
%%grad x
@tf.function
def slope(a):
    with tf.GradientTape() as t:
        t.watch(a)
        b = a**3
    return t.gradient(b, a)
x = tf.constant(1.2)
y = slope(x)
=== tf.function with a custom gradient | dy/dx | contradicts
%%grad x
@tf.custom_gradient
def c(a): return a*a, lambda up: 7*up
@tf.function
def f(a): return c(a)*2
x = tf.constant(1.2)
y = f(x)
=== tf.function compiled by XLA | dy/dx | close
%%grad x
@tf.function(jit_compile=True)
def f(a): return a*a + tf.sin(a)
x = tf.constant(1.2)
y = f(x)
=== tf.function with an input signature | dy/dx
%%grad x
@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def f(a): return tf.reduce_sum(a**2)
x = tf.constant([1.2, 2.0])
y = f(x)
=== tf.function of structures | dy/dx
%%grad x
@tf.function
def f(d): return {"a": d["p"]*2, "b": [d["q"], d["p"]**2]}
x = tf.constant(1.2)
out = f({"p": x, "q": x*x})
y = out["a"] + out["b"][1]*out["b"][0]
=== tf.function with randomness | dy/dx
%%grad x
tf.random.set_seed(3)
@tf.function
def f(a): return a*tf.random.uniform([])
x = tf.constant(1.2)
y = f(x)
=== tf.cond | dy/dx | checked
%%grad x
x = tf.constant(1.2)
y = tf.cond(x > 1, lambda: x**2, lambda: x)
=== tf.while_loop | dy/dx
%%grad x
x = tf.constant(1.2)
_, y = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a*x), [0, x])
=== tf.map_fn | dy/dx
%%grad x
x = tf.constant([1.2, 2.0])
y = tf.map_fn(lambda a: a**2, x)
=== tf.scan | dy/dx
%%grad x
x = tf.constant([1.2, 2.0, 3.0])
y = tf.scan(lambda a, b: a*b, x)
=== tf.vectorized_map | dy/dx
%%grad x
x = tf.constant([1.2, 2.0])
y = tf.vectorized_map(lambda a: a**2, x)
=== tf.switch_case | dy/dx
%%grad x
x = tf.constant(1.2)
y = tf.switch_case(tf.constant(1), [lambda: x, lambda: x**2])
=== TensorArray | dy/dx
%%grad x
x = tf.constant(1.2)
ta = tf.TensorArray(tf.float32, 3)
for i in range(3):
    ta = ta.write(i, x**(i + 1))
y = tf.reduce_sum(ta.stack())
=== assign in the cell | dy/dw
%%grad w
w = tf.Variable(1.2)
a = w*w
w.assign(3.0)
y = a*w
=== assign_add in a loop | dy/dw
%%grad w
w = tf.Variable(1.2)
y = 0.0
for i in range(3):
    y = y + w**2
    w.assign_add(1.0)
=== a training step | dloss/dw
%%grad w --of loss
w = tf.Variable([1.0, 2.0])
opt = tf.keras.optimizers.SGD(0.1)
with tf.GradientTape() as inner:
    loss = tf.reduce_sum(w**2)
opt.apply_gradients([(inner.gradient(loss, w), w)])
---
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as t:
    loss = tf.reduce_sum(w**2)
hand = {"dloss/dw": t.gradient(loss, w)}
=== variable not trainable | dy/dv | checked
%%grad v
v = tf.Variable(2.0, trainable=False)
y = v**2
=== all variables | dy/da; dy/db
%%grad
a = tf.Variable(2.0)
b = tf.Variable([3.0, 1.0])
c = tf.Variable(1.0, trainable=False)
y = tf.reduce_sum(a*b*c)
=== a list of tensors | dy/dws[0]; dy/dws[1]
%%grad ws
ws = [tf.constant(1.2), tf.constant([2.0, 3.0])]
y = ws[0]*tf.reduce_sum(ws[1]**2)
=== a list literal | dy/da; dy/db
%%grad [a, b]
a = tf.constant(1.2); b = tf.constant(2.0)
y = a*b
=== a list of variables | dy/dws[0]; dy/dws[1]
%%grad ws
ws = [tf.Variable(1.2), tf.Variable([2.0, 3.0])]
y = ws[0]*tf.reduce_sum(ws[1]**2)
=== a list that grows | dy/dws[0]; dy/dws[1]; dy/dws[2]
%%grad ws
ws = []
y = 1.0
for k in range(3):
    ws.append(tf.Variable(float(k + 1)))
    y = y*ws[k]
=== a dict | dy/dp['w']; dy/dp['b'] | checked
%%grad p
p = {'w': tf.constant(1.2), 'b': tf.constant(2.0)}
y = p['w']*3 + p['b']
=== a member of a dict | dy/dp['w'] | checked
%%grad p['w']
p = {'w': tf.constant(1.2), 'b': tf.constant(2.0)}
y = p['w']*3 + p['b']
=== nested containers | dy/dp['a'][0]; dy/dp['a'][1]['c']; dy/dp['b']
%%grad p
p = {'a': [tf.Variable(1.), {'c': tf.Variable(2.)}], 'b': tf.Variable(3.)}
y = p['a'][0]*p['a'][1]['c']*p['b']
=== an attribute | dy/dns.w | checked
%%grad ns.w
import types
ns = types.SimpleNamespace(w=tf.constant(1.2))
y = ns.w**2
=== an attribute of an attribute | dy/dm.inner.w
%%grad m.inner.w
class M(tf.Module): pass
m = M()
m.inner = M()
m.inner.w = tf.Variable(2.0)
y = m.inner.w**2
=== a Dense layer | dloss/dlayer.trainable_variables[0]; dloss/dlayer.trainable_variables[1]
%%grad layer
tf.keras.utils.set_random_seed(1)
layer = tf.keras.layers.Dense(2, activation='tanh')
X = tf.constant([[1., 2., 3.]])
loss = tf.reduce_sum(layer(X)**2)
=== a kernel | dloss/dlayer.kernel
%%grad layer.kernel
tf.keras.utils.set_random_seed(1)
layer = tf.keras.layers.Dense(2)
loss = tf.reduce_mean(layer(tf.constant([[1., 2.]]))**2)
=== a layer from before | dloss/dlayer.trainable_variables[0]; dloss/dlayer.trainable_variables[1]
tf.keras.utils.set_random_seed(1)
layer = tf.keras.layers.Dense(1)
_ = layer(tf.zeros((1, 2)))
---
%%grad layer
loss = tf.reduce_mean(layer(tf.constant([[1., 2.]]))**2)
=== a small model | dloss/dmodel.trainable_variables[0]; dloss/dmodel.trainable_variables[1]; dloss/dmodel.trainable_variables[2]; dloss/dmodel.trainable_variables[3]
%%grad model
tf.keras.utils.set_random_seed(1)
model = tf.keras.Sequential([tf.keras.layers.Dense(3, 'relu'), tf.keras.layers.Dense(1)])
X = tf.constant([[1., 2.], [3., -1.]])
y = tf.constant([[1.], [0.]])
loss = tf.keras.losses.MeanSquaredError()(y, model(X))
=== an attribute in a model | dloss/dmodel.layers[0].kernel
%%grad model.layers[0].kernel
tf.keras.utils.set_random_seed(1)
model = tf.keras.Sequential([tf.keras.layers.Dense(3, 'relu'), tf.keras.layers.Dense(1)])
loss = tf.reduce_mean(model(tf.constant([[1., 2.], [3., -1.]])))
=== an embedding | dloss/demb.trainable_variables[0]
%%grad emb
tf.keras.utils.set_random_seed(1)
emb = tf.keras.layers.Embedding(5, 2)
loss = tf.reduce_sum(emb(tf.constant([1, 3, 1]))**2)
=== gather of a variable | dloss/dE
%%grad E
E = tf.Variable([[1., 2.], [3., 4.], [5., 6.]])
loss = tf.reduce_sum(tf.gather(E, [0, 2, 0])**2)
=== embedding_lookup | dloss/dE
%%grad E
E = tf.Variable([[1., 2.], [3., 4.], [5., 6.]])
loss = tf.reduce_sum(tf.nn.embedding_lookup(E, [2, 2])**3)
=== batch norm | dloss/dbn.trainable_variables[0]; dloss/dbn.trainable_variables[1]; dloss/dx
%%grad bn x
bn = tf.keras.layers.BatchNormalization()
x = tf.constant([[1., 2.], [3., 5.], [-1., 0.]])
loss = tf.reduce_sum(bn(x, training=True)**3)
=== layer norm | dloss/dx
%%grad x
x = tf.constant([[1., 2., 4.]])
loss = tf.reduce_sum(tf.keras.layers.LayerNormalization()(x)**3)
=== LSTM | dloss/dx
%%grad x
tf.keras.utils.set_random_seed(1)
x = tf.constant(np.arange(6, dtype=np.float32).reshape(1, 3, 2)/6)
loss = tf.reduce_sum(tf.keras.layers.LSTM(2)(x))
=== convolution | dloss/dk
%%grad k
tf.keras.utils.set_random_seed(1)
x = tf.random.normal((1, 4, 4, 1))
k = tf.Variable(tf.random.normal((2, 2, 1, 1)))
loss = tf.reduce_sum(tf.nn.conv2d(x, k, 1, 'SAME')**2)
=== conv net | dloss/dnet.trainable_variables[0]; dloss/dnet.trainable_variables[1]; dloss/dnet.trainable_variables[2]; dloss/dnet.trainable_variables[3]
%%grad net
tf.keras.utils.set_random_seed(1)
net = tf.keras.Sequential([tf.keras.layers.Conv2D(4, 3, activation='relu'), tf.keras.layers.MaxPool2D(),
    tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
x = tf.random.normal((2, 8, 8, 1))
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([1, 2], net(x)))
=== dropout | dloss/dx
%%grad x
tf.keras.utils.set_random_seed(1)
x = tf.ones((4,))
loss = tf.reduce_sum(tf.nn.dropout(x, 0.5)**2)
=== a tf.Module | dloss/dm.trainable_variables[0]; dloss/dm.trainable_variables[1]
%%grad m
class Linear(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([[1.], [2.]])
        self.b = tf.Variable([0.5])
    def __call__(self, x): return x @ self.w + self.b
m = Linear()
loss = tf.reduce_sum(m(tf.constant([[1., 2.]]))**2)
=== a model by subclassing | dloss/dnet.trainable_variables[0]; dloss/dnet.trainable_variables[1]; dloss/dnet.trainable_variables[2]
%%grad net
tf.keras.utils.set_random_seed(1)
class Net(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.d = tf.keras.layers.Dense(2)
        self.s = self.add_weight(shape=(), initializer='ones')
    def call(self, x): return self.d(x)*self.s
net = Net()
loss = tf.reduce_sum(net(tf.constant([[1., 2.]]))**2)
=== least squares | dloss/dW; dloss/db
%%grad W b
W = tf.Variable([[1., 2.], [3., 4.]]); b = tf.Variable([0.1, 0.2])
X = tf.constant([[1., -1.], [0.5, 2.]])
h = tf.tanh(X @ W + b)
loss = tf.reduce_mean(h**2)
=== a vector target | dy/dx
%%grad x
x = tf.constant([1.2, 2.0, 3.0])
y = x**2
=== broadcasting | dy/dx; dy/dw
%%grad x w
x = tf.constant([[1.2], [2.0]]); w = tf.constant([1., 2., 3.])
y = tf.reduce_sum(x*w + 1)
=== reductions | dy/dx
%%grad x
x = tf.constant([[1.2, 2.0], [0.5, 1.5]])
y = tf.reduce_mean(x) + tf.reduce_prod(x) + tf.reduce_max(x) + tf.reduce_logsumexp(x) + tf.norm(x)
=== shapes | dy/dx
%%grad x
x = tf.constant([[1.2, 2.0], [0.5, 1.5]])
y = tf.reduce_sum(tf.reshape(tf.transpose(x), [-1])[1:3]*tf.concat([x[0], x[1]], 0)[::2])
=== stack, unstack, split | dy/dx
%%grad x
x = tf.constant([1.2, 2.0, 3.0, 4.0])
a, b = tf.split(x, 2)
p, q = tf.unstack(a)
y = tf.reduce_sum(tf.stack([p*q, p])*b)
=== linear algebra | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
y = tf.linalg.det(A) + tf.linalg.trace(tf.linalg.inv(A)) + tf.reduce_sum(tf.linalg.solve(A, [[1.], [2.]]))
=== Cholesky, eigen, SVD | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
y = tf.reduce_sum(tf.linalg.cholesky(A)) + tf.linalg.eigvalsh(A)[0] + tf.linalg.svd(A, compute_uv=False)[0]
=== einsum | dy/dA; dy/dx
%%grad A x
A = tf.constant([[2., 1.], [1., 3.]]); x = tf.constant([1., 2.])
y = tf.einsum('i,ij,j->', x, A, x)
=== cross entropy | dloss/dz
%%grad z
z = tf.constant([[1., 2., 3.]])
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits([[0., 0., 1.]], z))
=== sparse cross entropy | dloss/dz
%%grad z
z = tf.constant([[1., 2., 3.], [1., 1., 0.]])
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([2, 0], z))
=== sigmoid cross entropy | dloss/dz
%%grad z
z = tf.constant([1., -2., 3.])
loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits([0., 1., 1.], z))
=== softmax | dy/dx
%%grad x
x = tf.constant([1., 2., 3.])
s = tf.nn.softmax(x)
y = tf.reduce_sum(s*[1., 0., 0.])
=== cumsum, cumprod, sort, top_k | dy/dx
%%grad x
x = tf.constant([1., 3., 2.])
y = tf.reduce_sum(tf.cumsum(x)*tf.math.cumprod(x)) + tf.sort(x)[0] + tf.math.top_k(x).values[0]
=== scatter and gather_nd | dy/dx
%%grad x
x = tf.constant([1., 3., 2.])
y = tf.reduce_sum(tf.tensor_scatter_nd_update(x, [[1]], [5.])*x) + tf.gather_nd(x, [[2]])[0]**2
=== boolean_mask and segment_sum | dy/dx
%%grad x
x = tf.constant([1., 3., 2.])
y = tf.reduce_sum(tf.boolean_mask(x, x > 1)**2) + tf.math.segment_sum(x, [0, 0, 1])[0]
=== FFT | dy/dx
%%grad x
x = tf.constant([1., 3., 2., 0.])
y = tf.reduce_sum(tf.abs(tf.signal.fft(tf.cast(x, tf.complex64)))**2)
=== an op that is rare | dy/dx
%%grad x
x = tf.constant([[1., 3.], [2., 0.]])
y = tf.reduce_sum(tf.linalg.expm(x)) + tf.reduce_sum(tf.image.resize(x[None, :, :, None], (3, 3)))
=== complex64, abs | dy/dx | unchecked
%%grad x
x = tf.constant(1 + 2j, tf.complex64)
y = tf.abs(x)**2
=== complex128, holomorphic | dy/dx | unchecked
%%grad x
x = tf.constant(1 + 2j, tf.complex128)
y = x**2 + tf.exp(x)
=== complex in between | dy/dx
%%grad x
x = tf.constant(1.2)
z = tf.complex(x, x*x)
y = tf.math.real(z*z)
=== complex vector | dy/dx | unchecked
%%grad x
x = tf.constant([1 + 2j, 3j], tf.complex64)
y = tf.reduce_sum(tf.math.real(x*tf.math.conj(x)))
=== Jacobian | dy/dx
%%grad x -J
x = tf.constant([1., 2.])
y = tf.stack([x[0]*x[1], tf.sin(x[0])])
=== Jacobian of a scalar | dy/dx
%%grad x --jacobian
x = tf.constant(1.2)
y = tf.stack([x, x**2])
=== Jacobian of a matrix | dy/dx
%%grad x -J
x = tf.constant([[1., 2.], [3., 4.]])
y = x @ x
=== Jacobian, medium | dy/dx
%%grad x -J
x = tf.reshape(tf.range(60.), (60,))/60
y = tf.sin(x)*tf.reduce_sum(x)
=== Jacobian, two sources | dy/dx; dy/dw
%%grad x w -J
x = tf.constant([1., 2.]); w = tf.Variable(3.)
y = w*x**2
=== Jacobian, not connected | dy/dx | none
%%grad x -J
x = tf.constant([1., 2.])
y = tf.ones(3)*2
=== Jacobian, zero | dy/dx
%%grad x -J --zero
x = tf.constant([1., 2.]); w = tf.constant([2.])
y = tf.ones(3)*w
=== Hessian | d2y/dx2
%%grad x --hessian
x = tf.constant([1., 2.])
y = x[0]**2*x[1] + tf.exp(x[1])
=== Hessian of two | d2y/dx2; d2y/dxdw; d2y/dw2
%%grad x w --hessian
x = tf.constant([1., 2.]); w = tf.constant(3.)
y = tf.reduce_sum(w**2*x**3)
=== Hessian of a scalar | d2y/dx2 | closed
%%grad x --hessian
x = tf.constant(2.)
y = x**3
=== Hessian that is zero | d2y/dx2
%%grad x --hessian
x = tf.constant([1., 2.])
y = tf.reduce_sum(3*x)
=== Hessian, medium | d2y/dx2
%%grad x --hessian
x = tf.range(30.)/30
y = tf.reduce_sum(x**3)*tf.reduce_sum(tf.sin(x))
=== batch Jacobian | dy/dx
%%grad x --batch-jacobian
x = tf.constant([[1., 2.], [3., 4.], [5., 6.]])
y = tf.stack([x[:, 0]*x[:, 1], tf.sin(x[:, 0])], 1)
=== batch Jacobian, square | dy/dx
%%grad x --batch-jacobian
x = tf.constant([[1., 2.], [3., 4.]])
y = x**2
=== batch Jacobian, large | dy/dx
%%grad x --batch-jacobian
x = tf.reshape(tf.range(200.), (50, 4))/100
y = tf.tanh(x @ tf.ones((4, 3)))
=== order 2 of a vector | dy/dx; d2y/dx2
%%grad x -n 2
x = tf.constant([1., 2.])
y = tf.reduce_sum(x**3)
=== order 2 of vectors in products | dy/dx; d2y/dx2
%%grad x -n 2
x = tf.constant([1., 2.])
y = x[0]**2*x[1]
=== order 2 of two vectors | dy/dx; dy/dw; d2y/dx2; d2y/dw2
%%grad x w -n 2
x = tf.constant([1., 2.]); w = tf.constant([3., 4.])
y = tf.reduce_sum(x**2*w**2)
=== seed | dy/dx
%%grad x --seed [1.,0.,0.5]
x = tf.constant([1., 2., 3.])
y = x**2
---
with tf.GradientTape() as t:
    x = tf.constant([1., 2., 3.]); t.watch(x)
    y = x**2
hand = {"dy/dx": t.gradient(y, x, output_gradients=tf.constant([1., 0., 0.5]))}
=== seed by name | dy/dx
%%grad x --seed v
x = tf.constant([1., 2., 3.])
v = tf.constant([3., 0., 1.])
y = x**2
---
with tf.GradientTape() as t:
    x = tf.constant([1., 2., 3.]); t.watch(x)
    y = x**2
hand = {"dy/dx": t.gradient(y, x, output_gradients=tf.constant([3., 0., 1.]))}
=== seed, order 2 | dy/dx; d2y/dx2
%%grad x --seed 3. -n 2
x = tf.constant(2.)
y = x**3
---
hand = {"dy/dx": tf.constant(36.), "d2y/dx2": tf.constant(36.)}
=== seed of the wrong shape | | error UsageError: --seed
%%grad x --seed [1.,2.]
x = tf.constant([1., 2., 3.])
y = x**2
=== --at | dy/dx | closed
%%grad x --at x=5.0
x = tf.constant(2.0)
y = x**3
---
hand = {"dy/dx": tf.constant(75.)}
=== --at of a variable from before | dy/dx
x = tf.Variable(2.0)
---
%%grad x --at x=5.0
y = x**3
---
hand = {"dy/dx": tf.constant(75.)}
=== --at of a variable that the cell makes anew | dy/dx
x = tf.Variable(2.0)
---
%%grad x --at x=5.0
x = tf.Variable(3.0)
y = x**3
---
hand = {"dy/dx": tf.constant(75.)}
=== --at of a name that is not there | | error UsageError: unknown name xx in --at: did you mean x?
%%grad x --at xx=5.0
x = tf.Variable(3.0)
y = x**3
=== --at of a number | | error UsageError: --at k: k is of type int, no tensor
k = 3
---
%%grad x --at k=5.0
x = tf.Variable(3.0)
y = x**k
=== --at by an expression | dy/dx
a = 2.0
---
%%grad x --at x=a+1
x = tf.constant(2.0)
y = x**3
---
hand = {"dy/dx": tf.constant(27.)}
=== --only | dy/dx | checked
%%grad x --only
w = tf.Variable(3.0)
x = tf.constant(2.0)
y = w*x**2
=== --tape | dy/dx
%%grad x --tape t
x = tf.constant(2.0)
with t.stop_recording():
    k = x**2
y = k*x
---
hand = {"dy/dx": tf.constant(4.)}
=== --tape, reset | dy/dx
%%grad x --tape t
x = tf.constant(2.0)
k = x**2
t.reset()
t.watch(x)
y = k*x
---
hand = {"dy/dx": tf.constant(4.)}
=== --tape, watch an intermediate | dy/dm
%%grad m --tape t
x = tf.constant(2.0)
m = x**2
t.watch(m)
y = m**2
---
hand = {"dy/dm": tf.constant(8.)}
=== by an intermediate | dz/dy | checked
%%grad y
x = tf.constant(2.0)
y = x**2
z = y**3
=== by source and intermediate | dz/dx; dz/dy
%%grad x y
x = tf.constant(2.0)
y = x**2
z = y**3*x
=== persistent | dy/dx
%%grad x -p
x = tf.constant(2.0)
y = x**2
=== steps full | dy/dx | checked
%%grad x --steps full
x = tf.constant(0.5)
y = x*tf.exp(-x**2)/(1 + x)
=== steps result | dy/dx | checked
%%grad x --steps result
x = tf.constant(0.5)
y = x*tf.exp(-x**2)/(1 + x)
=== notation index | dy/dx
%%grad x --notation index
x = tf.constant([1., 2.])
y = tf.reduce_sum(x**2)
=== notation components | dy/dx
%%grad x --notation components
x = tf.constant([1., 2.])
y = tf.reduce_sum(x**2)
=== notation matrix | dy/dx
%%grad x --notation matrix
x = tf.constant([[1., 2.], [3., 4.]])
y = tf.reduce_sum(x @ x)
=== numerator layout | dy/dx
%%grad x --layout numerator
x = tf.constant([[1., 2.], [3., 4.]])
y = tf.reduce_sum(x @ x)
=== -o | dy/dx | checked
%%grad x -o res
x = tf.constant(2.)
y = x**2
=== random numbers | dy/dx
%%grad x
tf.random.set_seed(7)
x = tf.random.normal((3,))
y = tf.reduce_sum(x**2 + tf.random.uniform((3,))*x)
=== random scalar | dy/dx
%%grad x
tf.random.set_seed(7)
x = tf.constant(2.0)
y = x*tf.random.normal([])
=== a stateful generator | dy/dx
%%grad x
g = tf.random.Generator.from_seed(1)
x = tf.constant(2.0)
y = x*g.normal([])
=== py_function | dy/dx
%%grad x
x = tf.constant(2.0)
y = tf.py_function(lambda a: a**2, [x], tf.float32)*x
=== numpy_function | dy/dx
%%grad x
x = tf.constant(2.0)
y = tf.numpy_function(lambda a: a**2, [x], tf.float32)*x
=== tf.print and tf.debugging | dy/dx
%%grad x
x = tf.constant(2.0)
tf.debugging.assert_greater(x, 0.0)
y = tf.debugging.check_numerics(x**2, "y")
tf.debugging.assert_near(y, 4.0)
=== empty tensor | dy/dx
%%grad x
x = tf.zeros((0,))
y = tf.reduce_sum(x**2)
=== size 0 in a matrix | dy/dx
%%grad x
x = tf.zeros((0, 3))
y = tf.reduce_sum(x**2) + 1
=== empty Jacobian | dy/dx
%%grad x -J
x = tf.zeros((0,))
y = x**2
=== empty target | dy/dx
%%grad x
x = tf.constant([1., 2.])
y = x[2:]**2
=== rank 4 | dy/dx
%%grad x
x = tf.ones((2, 2, 2, 2))
y = tf.reduce_sum(x**2)
=== rank 4, Jacobian | dy/dx
%%grad x -J
x = tf.ones((1, 2, 1, 2))
y = x**2
=== a scalar in brackets | dy/dx
%%grad x
x = tf.constant([[[2.]]])
y = x**2
=== big | dy/dx
%%grad x
x = tf.ones((1000, 1000))
y = tf.reduce_sum(x**2)
=== big matmul | dy/dx
%%grad x
x = tf.ones((500, 500))/500
y = tf.reduce_mean(tf.tanh(x @ x))
=== long loop | dy/dx
%%grad x
x = tf.constant(1.0)
y = x
for i in range(10000):
    y = y*1.0001
=== long loop of names | ds/dx
%%grad x
x = tf.constant(0.5)
s = tf.constant(0.0)
for i in range(2000):
    t = x*s
    s = t + 1.0
=== strings | dy/dx | checked
%%grad x
s = tf.constant("abc")
x = tf.constant(2.0)
n = tf.cast(tf.strings.length(s), tf.float32)
y = x**2*n
=== ragged | dy/dx
%%grad x
x = tf.constant([1., 2., 3.])
r = tf.RaggedTensor.from_row_lengths(x, [2, 1])
y = tf.reduce_sum(tf.reduce_sum(r, 1)**2)
=== sparse | dy/dx
%%grad x
x = tf.constant([1., 2.])
s = tf.SparseTensor([[0, 0], [1, 1]], x, [2, 2])
y = tf.reduce_sum(tf.sparse.sparse_dense_matmul(s, tf.ones((2, 1)))**2)
=== a dataset | dy/dx
%%grad x
x = tf.constant(2.0)
y = 0.0
for v in tf.data.Dataset.range(3):
    y = y + x**tf.cast(v, tf.float32)
=== infinite value | dy/dx
%%grad x
x = tf.constant(0.0)
y = tf.sqrt(x)
=== nan | dy/dx
%%grad x
x = tf.constant(-1.0)
y = tf.math.log(x)
=== overflow | dy/dx | rounded
%%grad x
x = tf.constant(100.0)
y = tf.exp(x)
=== where with a nan branch | dy/dx
%%grad x
x = tf.constant([0.0, 4.0])
y = tf.reduce_sum(tf.where(x > 0, tf.sqrt(x), 0.0))
=== cancellation | dy/dx | rounded; contradicts
%%grad x
x = tf.constant(1e-4)
y = (1 - tf.cos(x))/x**2
=== huge and tiny | dy/dx
%%grad x
x = tf.constant(1e-20)
y = x**2*1e30
=== underflow | dy/dx
%%grad x
x = tf.constant(-200.0)
y = tf.exp(x)
=== a norm at zero | dy/dx
%%grad x
x = tf.zeros(2)
y = tf.norm(x)
=== softmax of large numbers | dy/dx
%%grad x
x = tf.constant([1000., 1001.])
y = tf.nn.softmax(x)[0]
=== integer source | | error UsageError: floating
%%grad x
x = tf.constant(2)
y = x**2
=== Python float source | | error UsageError: tf.constant(2.0)
%%grad x
x = 2.0
y = tf.constant(x)**2
=== Python float beside a tensor | | error UsageError: tf.constant(2.0)
%%grad x
x = 2.0
w = tf.constant(3.0)
y = w*x
=== numpy source | | error UsageError: tf.constant(x)
%%grad x
x = np.array([1., 2.])
y = tf.reduce_sum(x**2)
=== unknown source | | error UsageError: did you mean weight?
%%grad wieght
weight = tf.constant(2.0)
y = weight**2
=== unknown target | | error UsageError: did you mean loss?
%%grad x --of los
x = tf.constant(2.0)
loss = x**2
=== target is no tensor | | error UsageError: floating
%%grad x --of y
x = tf.constant(2.0)
y = "text"
=== target is None | | error UsageError: floating
%%grad x --of y
x = tf.constant(2.0)
y = None
=== target is an integer tensor | | error UsageError: floating
%%grad x --of y
x = tf.constant(2.0)
y = tf.constant(3)
=== target is a variable | | error UsageError: variable
%%grad x --of v
x = tf.constant(2.0)
v = tf.Variable(3.0)
=== no target | | error UsageError: nothing to differentiate
%%grad x
x = tf.constant(2.0)
=== no source | | error UsageError: did you mean %%grad x?
%%grad
x = tf.constant(2.0)
y = x**2
=== nothing at all | | error UsageError: nothing to differentiate
%%grad
z = 3
=== an unknown option | | error UsageError: did you mean --order?
%%grad x --ordr 2
x = tf.constant(2.0)
y = x**2
=== exception in the cell | | error ZeroDivisionError: division by zero
%%grad x
x = tf.constant(2.0)
y = x**2
1/0
=== exception in a function | | error ValueError: no
%%grad x
def f(a): raise ValueError("no")
x = tf.constant(2.0)
y = f(x)
=== TensorFlow's own complaint | | error InvalidArgumentError:
%%grad x
x = tf.constant([1., 2.])
y = x + tf.constant([1., 2., 3.])
=== KeyboardInterrupt | | error KeyboardInterrupt:
%%grad x
x = tf.constant(2.0)
y = x**2
raise KeyboardInterrupt
=== undefined name | | error NameError: nothing_here
%%grad x
x = tf.constant(2.0)
y = x*nothing_here
=== syntax error | | error SyntaxError:
%%grad x
x = = 3
=== a module is missing | | error ModuleNotFoundError: not_installed_anywhere
%%grad x
x = tf.constant(2.0)
y = x**2
import not_installed_anywhere.pyplot as plt
=== an op without gradient | | error UsageError: gradient
%%grad x
x = tf.constant([2.0, 1.0, 3.0])
y = tf.reduce_sum(tf.raw_ops.NextAfter(x1=x, x2=x + 1)*tf.raw_ops.Bucketize(input=x, boundaries=[1.5]).shape[0])
y = tf.reduce_sum(tf.raw_ops.Unbatch(batched_tensor=y[None, None], batch_index=[[0, 0, 1]], id=0, timeout_micros=1))
=== measured ops with several outputs | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
q, r = tf.linalg.qr(A)
y = q[0, 0]*r[0, 1]
=== eigenvalues | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
y = tf.linalg.eigvalsh(A)[0]
=== eigenvectors | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
e, v = tf.linalg.eigh(A)
y = e[0]*v[0, 0]**2
=== Cholesky | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
y = tf.linalg.cholesky(A)[1, 0]
=== singular values | dy/dA
%%grad A
A = tf.constant([[2., 1.], [1., 3.]])
y = tf.linalg.svd(A, compute_uv=False)[0]
=== a variable with a number in max | dz/dx | checked
%%grad x
x = tf.Variable(-1.90625)
a = tf.maximum(x, 0.1)
z = tf.exp(0.1*x) - a*x
=== a variable with numbers in two-argument ops | dz/dx | checked
%%grad x
x = tf.Variable(1.9)
z = tf.pow(x, 2.0) + tf.atan2(x, 3.0) + tf.math.squared_difference(4.0, x) + 5.0/x + x/6.0 + tf.minimum(7.0, x)
=== a constant compared while a variable waits | dz/dx; dz/dy
%%grad x y
x = tf.constant(-2.0, tf.float64); y = tf.Variable(-1.078125, dtype=tf.float64)
if x > -1.66: h = x
else: h = tf.nn.silu(y)
z = tf.cosh(h)*y*y + y
=== one variable of two is never read | dz/dx; dz/dy
%%grad x y
x = tf.Variable(0.5); y = tf.Variable(-0.7)
z = y*tf.sin(y)
=== a second derivative that cancels | dz/dx; dz/dy; d2z/dx2; d2z/dxdy; d2z/dy2 | rounded
%%grad x y -n 2
x = tf.constant(0.9375); y = tf.Variable(1.953125)
c = tf.sigmoid(y)/x
z = c*x*x + x
=== a tape of the user's inside | dy/dx
%%grad x
x = tf.constant(2.0)
with tf.GradientTape() as t:
    t.watch(x)
    y = x**3
y = t.gradient(y, x)
---
hand = {"dy/dx": tf.constant(12.)}
=== tf.gradients-like forward accumulator | dy/dx
%%grad x
x = tf.constant(2.0)
with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as acc:
    y = x**3
print(acc.jvp(y).numpy())
=== a thread | dy/dx
%%grad x
import threading
x = tf.constant(2.0)
out = []
th = threading.Thread(target=lambda: out.append(tf.constant(1.0)*5))
th.start(); th.join()
y = x**2*out[0]
=== logging and warnings | dy/dx | checked
%%grad x
import warnings, logging
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    warnings.warn("mind")
x = tf.constant(2.0)
y = x**2
=== a device | dy/dx | checked
%%grad x
with tf.device("CPU:0"):
    x = tf.constant(2.0)
    y = tf.identity(x)**2
=== a name scope | dy/dx | checked
%%grad x
with tf.name_scope("here"):
    x = tf.constant(2.0)
    y = x**2
=== physics | dE/dr; d2E/dr2
%%grad r -n 2
ε, σ = 0.5, 1.1
r = tf.constant(1.3, tf.float64)
E = 4*ε*((σ/r)**12 - (σ/r)**6)
=== logistic regression | dloss/dw; dloss/db
%%grad w b
X = tf.constant([[0.5, 1.], [1.5, -1.], [-0.5, 0.2]])
t = tf.constant([1., 0., 1.])
w = tf.Variable([0.1, -0.2]); b = tf.Variable(0.0)
p = tf.sigmoid(tf.linalg.matvec(X, w) + b)
loss = -tf.reduce_mean(t*tf.math.log(p) + (1 - t)*tf.math.log(1 - p))
=== Rosenbrock | df/dx; df/dy; d2f/dx2; d2f/dxdy; d2f/dy2 | closed
%%grad x y -n 2
x = tf.Variable(-1.2); y = tf.Variable(1.0)
f = (1 - x)**2 + 100*(y - x**2)**2
=== Gaussian density | dp/dmu; dp/dsigma
%%grad mu sigma
x = 0.3
mu = tf.Variable(0.1); sigma = tf.Variable(1.2)
p = tf.exp(-(x - mu)**2/(2*sigma**2))/(sigma*np.sqrt(2*np.pi))
=== Taylor coefficients | dy/dx; d2y/dx2; d3y/dx3
%%grad x -n 3
x = tf.constant(0.0, tf.float64)
y = tf.exp(tf.sin(x))
=== attention | dy/dQ
%%grad Q
Q = tf.constant([[1., 0.], [0.5, 1.]]); K = tf.constant([[1., 2.], [0., 1.]]); V = tf.constant([[1., 0.], [0., 2.]])
A = tf.nn.softmax(Q @ tf.transpose(K)/tf.sqrt(2.))
y = tf.reduce_sum(A @ V)
=== ODE by Euler | dx/dk
%%grad k
k = tf.constant(0.5)
x = tf.constant(1.0)
dt = 0.1
for step in range(20):
    x = x - dt*k*x
=== polynomial by Horner | dy/dx
%%grad x
x = tf.constant(0.7)
y = tf.constant(0.0)
for c in [3., -1., 4., 1., -5.]:
    y = y*x + c
=== continued fraction | dy/dx
%%grad x
x = tf.constant(0.7)
y = x
for _ in range(8):
    y = 1/(1 + x*y)
=== matrix power in a loop | dy/dA
%%grad A
A = tf.constant([[0.5, 0.1], [0.2, 0.6]])
B = A
for _ in range(5):
    B = B @ A
y = tf.linalg.trace(B)
"""

CASES = tuple(parsed(CORPUS))

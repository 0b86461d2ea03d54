/**
 * Bessel functions of orders 0 and 1. Integrals over whole periods, and over the real line, by the
 * trapezoid rule converge faster than any power; Y comes from Neumann's series in the J's.
 */

const EULER_GAMMA = 0.5772156649015329;

/** (1/π)∫₀^π f(θ) dθ for a smooth, even and periodic f. */
function meanOverHalfPeriod(f, nodes) {
  let sum = (f(0) + f(Math.PI)) / 2;
  for (let k = 1; k < nodes; k++) sum += f((Math.PI * k) / nodes);
  return sum / nodes;
}

/** J₀ … up to the order where they vanish, by Miller's recurrence downwards. */
function besselJs(x) {
  const top = 2 * Math.ceil((Math.abs(x) + 30 + 6 * Math.cbrt(Math.abs(x))) / 2);
  const js = new Float64Array(top + 2);
  js[top] = 1e-300;
  let scale = 0;
  for (let n = top; n > 0; n--) {
    js[n - 1] = ((2 * n) / x) * js[n] - js[n + 1];
    if (Math.abs(js[n - 1]) > 1e200) for (let m = n - 1; m <= top; m++) js[m] *= 1e-250;
  }
  for (let n = 2; n <= top; n += 2) scale += 2 * js[n];
  scale += js[0];
  return js.map((value) => value / scale);
}

function besselJ(order, x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? NaN : 0;
  if (x === 0) return order === 0 ? 1 : 0;
  return Math.abs(x) > 1e4
    ? hankel(order, Math.abs(x), 0) * (order && x < 0 ? -1 : 1)
    : besselJs(x)[order];
}

/** J (shift 0) and Y (shift −π/2) far out, where Hankel's expansion is exact. */
function hankel(order, x, shift) {
  let p = 0;
  let q = 0;
  let term = 1;
  for (let k = 0; k < 12; k++) {
    const sign = k % 4 < 2 ? 1 : -1;
    if (k % 2) q += sign * term;
    else p += sign * term;
    term *= (4 * order * order - (2 * k + 1) ** 2) / (8 * x * (k + 1));
  }
  const angle = x - (order * Math.PI) / 2 - Math.PI / 4 + shift;
  return Math.sqrt(2 / (Math.PI * x)) * (p * Math.cos(angle) - q * Math.sin(angle));
}

function besselY(order, x) {
  if (x === Infinity) return 0;
  if (x === 0) return -Infinity;
  if (!(x > 0)) return NaN;
  if (x > 1e4) return hankel(order, x, -Math.PI / 2);
  const js = besselJs(x);
  const log = Math.log(x / 2) + EULER_GAMMA;
  let sum = 0;
  if (order === 0) {
    for (let k = 1; 2 * k < js.length; k++) sum += ((k % 2 ? -1 : 1) * js[2 * k]) / k;
    return (2 / Math.PI) * (log * js[0] - 2 * sum);
  }
  for (let k = 1; 2 * k + 1 < js.length; k++) {
    sum += ((k % 2 ? -1 : 1) * (js[2 * k - 1] - js[2 * k + 1])) / k;
  }
  return (2 / Math.PI) * (log * js[1] - js[0] / x + sum);
}

/** I(x)·e^−|x|. */
function scaledI(order, x) {
  if (Number.isNaN(x)) return NaN;
  const size = Math.abs(x);
  if (size === Infinity) return 0;
  if (size < 1) return Math.exp(-size) * seriesI(order, x);
  const nodes = 24 + Math.ceil(8 * Math.sqrt(size));
  const f = (t) => Math.exp(size * (Math.cos(t) - 1)) * Math.cos(order * t);
  return meanOverHalfPeriod(f, nodes) * (order && x < 0 ? -1 : 1);
}

function seriesI(order, x) {
  let term = order ? x / 2 : 1;
  let sum = term;
  for (let k = 1; k < 20; k++) sum += term *= (x * x) / 4 / (k * (k + order));
  return sum;
}

function besselI(order, x) {
  if (Math.abs(x) === Infinity) return order && x < 0 ? -Infinity : Infinity;
  if (Math.abs(x) < 1) return seriesI(order, x);
  const half = Math.exp(Math.abs(x) / 2);
  return scaledI(order, x) * half * half;
}

/** K(x)·eˣ: ∫₀^∞ e^(−x(cosh t − 1)) cosh(order·t) dt. */
function scaledK(order, x) {
  if (x === Infinity) return 0;
  if (x === 0) return Infinity;
  if (!(x > 0)) return NaN;
  const end = Math.acosh(1 + 745 / x);
  const step = Math.min(0.1, end / 40);
  let sum = 0.5;
  for (let t = step; t < end; t += step) {
    const half = Math.sinh(t / 2);
    sum += Math.exp(-2 * x * half * half) * (order ? Math.cosh(t) : 1);
  }
  return sum * step;
}

/** By name. */
export const BESSEL = {
  bessel_i0: (x) => besselI(0, x),
  bessel_i0e: (x) => scaledI(0, x),
  bessel_i1: (x) => besselI(1, x),
  bessel_i1e: (x) => scaledI(1, x),
  bessel_j0: (x) => besselJ(0, x),
  bessel_j1: (x) => besselJ(1, x),
  bessel_k0: (x) => scaledK(0, x) * Math.exp(-x),
  bessel_k0e: (x) => scaledK(0, x),
  bessel_k1: (x) => scaledK(1, x) * Math.exp(-x),
  bessel_k1e: (x) => scaledK(1, x),
  bessel_y0: (x) => besselY(0, x),
  bessel_y1: (x) => besselY(1, x),
};

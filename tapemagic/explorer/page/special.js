/**
 * Special functions of one or two numbers to about 1e-13, from their series, continued fractions
 * and asymptotic expansions (Abramowitz and Stegun's chapters 5 to 7 and 27).
 */

const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI);
const EULER = 0.5772156649015329;
const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510];

/** e^(−x²), its exponent split so that no digit is lost. */
function gaussian(x) {
  const high = Math.round(x * 64) / 64;
  return Math.exp(-high * high) * Math.exp(-(x - high) * (x + high));
}

function erfSeries(x) {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return TWO_OVER_ROOT_PI * gaussian(x) * sum;
}

/** erfc for x ≥ 2 by its continued fraction. */
function erfcFraction(x) {
  let below = x;
  for (let k = 80; k > 0; k--) below = x + k / 2 / below;
  return gaussian(x) / (below * Math.sqrt(Math.PI));
}

export function erf(x) {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) > 6) return Math.sign(x);
  return Math.abs(x) < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(Math.abs(x)));
}

export function erfc(x) {
  if (Number.isNaN(x)) return NaN;
  if (x > 28) return 0;
  if (x >= 2) return erfcFraction(x);
  return x > -2 ? 1 - erfSeries(x) : 2 - erfc(-x);
}

/** The x with erfc(x) = q, for 0 < q ≤ 1: Halley's steps from a rough start. */
function inverseErfc(q) {
  const t = Math.sqrt(-2 * Math.log(q / 2));
  let x = (t - (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t))) / Math.SQRT2;
  for (let k = 0; k < 4; k++) {
    const miss = (erfc(x) - q) / (TWO_OVER_ROOT_PI * gaussian(x));
    x += miss / (1 + x * miss);
  }
  return x;
}

export function erfinv(y) {
  const size = Math.abs(y);
  if (!(size <= 1)) return NaN;
  if (size === 1) return y * Infinity;
  if (size > 0.5) return Math.sign(y) * inverseErfc(1 - size);
  let x = y / TWO_OVER_ROOT_PI;
  for (let k = 0; k < 5; k++) {
    const miss = (erf(x) - y) / (TWO_OVER_ROOT_PI * gaussian(x));
    x -= miss / (1 + x * miss);
  }
  return x;
}

function ndtri(p) {
  if (!(p >= 0 && p <= 1)) return NaN;
  if (p === 0 || p === 1) return p ? Infinity : -Infinity;
  if (p < 0.25) return -Math.SQRT2 * inverseErfc(2 * p);
  return p > 0.75 ? Math.SQRT2 * inverseErfc(2 - 2 * p) : Math.SQRT2 * erfinv(2 * p - 1);
}

/** Σ 1/(q+k)ˢ over k ≥ 0 by Euler and Maclaurin, for whole s ≥ 2 and q no pole. */
function hurwitz(s, q) {
  let sum = 0;
  while (q < 12) {
    sum += q ** -s;
    q += 1;
  }
  sum += q ** (1 - s) / (s - 1) + q ** -s / 2;
  let factor = s * q ** (-s - 1);
  for (let k = 1; k <= BERNOULLI.length; k++) {
    sum += (BERNOULLI[k - 1] * factor) / factorial(2 * k);
    factor *= ((s + 2 * k - 1) * (s + 2 * k)) / (q * q);
  }
  return sum;
}

function factorial(n) {
  let product = 1;
  for (let k = 2; k <= n; k++) product *= k;
  return product;
}

/** ζ(k) − 1 for k = 2 …: the Taylor coefficients of ln Γ about 1 and 2. */
const ZETA_LESS_1 = Array.from({ length: 45 }, (_, k) => hurwitz(k + 2, 2));

/** ln Γ(2+z) for |z| ≤ ½; it is 0 at z = 0, to all its digits. */
function lgammaNear2(z) {
  let sum = z * (1 - EULER);
  let part = -z;
  ZETA_LESS_1.forEach((coefficient, k) => {
    part *= -z;
    sum += (coefficient * part) / (k + 2);
  });
  return sum;
}

function stirling(x) {
  let sum = (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2;
  let part = x;
  for (let k = 1; k <= BERNOULLI.length; k++) {
    sum += BERNOULLI[k - 1] / (2 * k * (2 * k - 1) * part);
    part *= x * x;
  }
  return sum;
}

/** sin πx and cos πx, exact at whole and half numbers. */
function sinPi(x) {
  const rest = x - 2 * Math.round(x / 2);
  return Math.abs(rest) === 1 ? 0 : Math.sin(Math.PI * rest);
}

const cosPi = (x) => sinPi(x + 0.5);

export function lgamma(x) {
  if (Number.isNaN(x)) return NaN;
  if (!Number.isFinite(x) || (x <= 0 && Number.isInteger(x))) return Infinity;
  if (x < 0) return Math.log(Math.PI / Math.abs(x * sinPi(x))) - lgamma(-x);
  if (x < 0.5) return lgammaNear2(x) - Math.log(x) - Math.log1p(x);
  if (x < 1.5) return lgammaNear2(x - 1) - Math.log(x);
  if (x <= 2.5) return lgammaNear2(x - 2);
  let product = 1;
  while (x < 12) {
    product *= x;
    x += 1;
  }
  return stirling(x) - Math.log(product);
}

function digamma(x) {
  if (x === Infinity) return Infinity;
  if (!Number.isFinite(x) || (x <= 0 && Number.isInteger(x))) return NaN;
  if (x < 0) return digamma(1 - x) - (Math.PI * cosPi(x)) / sinPi(x);
  let sum = 0;
  while (x < 12) {
    sum -= 1 / x;
    x += 1;
  }
  sum += Math.log(x) - 0.5 / x;
  let part = x * x;
  for (let k = 1; k <= BERNOULLI.length; k++) {
    sum -= BERNOULLI[k - 1] / (2 * k * part);
    part *= x * x;
  }
  return sum;
}

function polygamma(n, x) {
  if (!(Number.isInteger(n) && n >= 0 && x > -1e6)) return NaN;
  if (n === 0) return digamma(x);
  if (x === Infinity) return 0;
  if (x <= 0 && Number.isInteger(x)) return NaN;
  return (n % 2 ? 1 : -1) * factorial(n) * hurwitz(n + 1, x);
}

/** Dawson's integral by Rybicki's sampling; its series about 0. */
function dawsn(x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? NaN : 0;
  if (Math.abs(x) < 0.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 30; n++) sum += term *= (-2 * x * x) / (2 * n + 1);
    return sum;
  }
  if (Math.abs(x) > 12) return dawsnAsymptotic(x);
  const h = 0.25;
  const near = 2 * Math.round(Math.abs(x) / (2 * h));
  const rest = Math.abs(x) - near * h;
  let sum = 0;
  for (let k = -41; k <= 41; k += 2) sum += Math.exp(-((rest - k * h) ** 2)) / (near + k);
  return (Math.sign(x) * sum) / Math.sqrt(Math.PI);
}

function dawsnAsymptotic(x) {
  let term = 1 / (2 * x);
  let sum = term;
  for (let k = 1; k < 12; k++) sum += term *= (2 * k - 1) / (2 * x * x);
  return sum;
}

/** By name: special functions of one number. */
export const SPECIAL_UNARY = { erf, erfc, erfinv, ndtri, lgamma, digamma, dawsn };

/** By name: special functions of two numbers. */
export const SPECIAL_BINARY = { polygamma };

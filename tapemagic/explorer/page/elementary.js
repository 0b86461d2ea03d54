/**
 * The functions of tapemagic/functions.py that need no series, with NumPy's meaning in float64,
 * nan and inf included. Truth values are 1 and 0; like NumPy, anything but 0 (nan, too) is true.
 */

const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

/** C's pow: JavaScript's differs where the base is ±1. */
export function power(a, b) {
  if (a === 1 || (a === -1 && (b === Infinity || b === -Infinity))) return 1;
  return Math.pow(a, b);
}

function roundHalfEven(x) {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : Math.ceil(x);
  const even = below % 2 === 0 ? below : below + 1;
  return even === 0 && x < 0 ? -0 : even;
}

const isNegative = (x) => x < 0 || Object.is(x, -0);
const withSign = (size, sign) => (isNegative(sign) ? -size : size);

/** The remainder with the sign of the divisor, and the quotient that belongs to it. */
function divideFloor(a, b) {
  if (b === 0 || Number.isNaN(a) || Number.isNaN(b)) return [a / b, NaN];
  let rest = a % b;
  let quotient = (a - rest) / b;
  if (rest !== 0) {
    if (b < 0 !== rest < 0) {
      rest += b;
      quotient -= 1;
    }
  } else rest = withSign(0, b);
  if (quotient === 0) return [withSign(0, a / b), rest];
  const whole = Math.floor(quotient);
  return [quotient - whole > 0.5 ? whole + 1 : whole, rest];
}

/** 1/(1+e⁻ˣ) without overflow. */
function sigmoid(x) {
  const small = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

function softplus(x) {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}

const elu = (x) => (x < 0 ? Math.expm1(x) : x);

function share(extreme) {
  return (own, ...entries) => {
    const best = extreme(...entries);
    let ties = 0;
    for (const entry of entries) if (entry === best) ties += 1;
    return (own === best ? 1 : 0) / Math.max(ties, 1);
  };
}

/** By name: functions of one number. */
export const UNARY = {
  neg: (x) => -x,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  log_or_zero: (x) => (x > 0 ? Math.log(x) : 0),
  sqrt: Math.sqrt,
  abs: Math.abs,
  sign: Math.sign,
  stop_gradient: (x) => x,
  sigmoid,
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  elu,
  selu: (x) => SELU_SCALE * (x < 0 ? SELU_ALPHA * Math.expm1(x) : x),
  indicator: (x) => x,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  rint: roundHalfEven,
  trunc: Math.trunc,
  logical_not: (x) => (x === 0 ? 1 : 0),
  is_finite: (x) => (Number.isFinite(x) ? 1 : 0),
  is_nan: (x) => (Number.isNaN(x) ? 1 : 0),
  is_inf: (x) => (x === Infinity || x === -Infinity ? 1 : 0),
};

/** By name: functions of two numbers. */
export const BINARY = {
  pow: power,
  atan2: Math.atan2,
  leaky_relu: (x, alpha) => (x > 0 ? x : alpha * x),
  maximum: Math.max,
  minimum: Math.min,
  floor_div: (a, b) => divideFloor(a, b)[0],
  floor_mod: (a, b) => divideFloor(a, b)[1],
  greater: (a, b) => (a > b ? 1 : 0),
  greater_equal: (a, b) => (a >= b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  less_equal: (a, b) => (a <= b ? 1 : 0),
  equal: (a, b) => (a === b ? 1 : 0),
  not_equal: (a, b) => (a !== b ? 1 : 0),
  logical_and: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  logical_or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  xlogy: (x, y) => (x === 0 ? 0 : x * Math.log(y)),
  xlog1py: (x, y) => (x === 0 ? 0 : x * Math.log1p(y)),
  xdivy: (x, y) => (x === 0 ? 0 : x / y),
  div_no_nan: (x, y) => (y === 0 ? 0 : x / y),
  mul_no_nan: (x, y) => (y === 0 ? 0 : x * y),
};

/** By name: functions of three numbers, and of any number of them. */
export const NARY = {
  where: (condition, yes, no) => (condition !== 0 ? yes : no),
  clip: (x, low, high) => Math.min(Math.max(x, low), high),
  max: Math.max,
  min: Math.min,
  max_share: share(Math.max),
  min_share: share(Math.min),
};

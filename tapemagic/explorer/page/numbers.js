/** Numbers as people write them, as tapemagic/numbers.py has it; and read what they type. */

const SHOWN = 6; // significant digits of a measured value
const EXACT = 10; // an exact number is shown in full up to so many digits
const SUPERSCRIPT = {
  "-": "⁻",
  0: "⁰",
  1: "¹",
  2: "²",
  3: "³",
  4: "⁴",
  5: "⁵",
  6: "⁶",
  7: "⁷",
  8: "⁸",
  9: "⁹",
};

const bits = new DataView(new ArrayBuffer(4));

/** Round to nearest even on the upper half of a float32. */
function inBfloat16(value) {
  if (!Number.isFinite(value)) return value;
  bits.setFloat32(0, value);
  const whole = bits.getUint32(0);
  bits.setUint32(0, (whole + 0x7fff + ((whole >>> 16) & 1)) & 0xffff0000);
  return bits.getFloat32(0);
}

/** Eleven significant bits, fewer below 2⁻¹⁴. */
function inFloat16(value) {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const unit = 2 ** (exponent - 10);
  const half = Math.abs(value) / unit;
  const floor = Math.floor(half);
  const up = half - floor > 0.5 || (half - floor === 0.5 && floor % 2 === 1);
  const size = (up ? floor + 1 : floor) * unit;
  return Math.sign(value) * (size > 65504 ? Infinity : size);
}

/** `value` rounded to what `dtype` can hold. */
export function inDtype(value, dtype) {
  if (dtype === "float32") return Math.fround(value);
  if (dtype === "bfloat16") return inBfloat16(value);
  return dtype === "float16" ? inFloat16(value) : value;
}

const SHORT = new Set(["float32", "float16", "bfloat16"]);

/** The shortest digits that `dtype` reads back as `size` > 0, and the exponent of the first. */
function shortest(size, dtype) {
  const [mantissa, exponent] = size.toExponential().split("e");
  const whole = { digits: mantissa.replace(".", ""), exponent: Number(exponent) };
  for (let figures = 1; SHORT.has(dtype) && figures < 10; figures++) {
    const found = rounded(whole, figures);
    if (
      inDtype(Number(`${found.digits}e${found.exponent - found.digits.length + 1}`), dtype) === size
    )
      return found;
  }
  return whole;
}

/** Rounded half to even at so many digits. */
function rounded({ digits, exponent }, figures) {
  if (digits.length <= figures) return { digits, exponent };
  const kept = Number(digits.slice(0, figures));
  const rest = Number(`0.${digits.slice(figures)}`);
  const up = rest > 0.5 || (rest === 0.5 && kept % 2 === 1);
  const text = String(kept + (up ? 1 : 0));
  return { digits: text.replace(/0+$/, "") || "0", exponent: exponent + text.length - figures };
}

function positional(digits, exponent) {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const rest = digits.slice(exponent + 1);
  return rest ? `${whole}.${rest}` : whole;
}

const raised = (exponent) => [...String(exponent)].map((sign) => SUPERSCRIPT[sign]).join("");

/** A measured value: short numbers in full, others to six digits; a true minus sign. */
export function written(value, dtype = "float64") {
  return spelled(value, dtype).text;
}

/** The same, with whether the text is the very number. */
export function spelled(number, dtype) {
  const value = inDtype(number, dtype);
  const sign = value < 0 || Object.is(value, -0) ? "−" : "";
  if (Number.isNaN(value)) return { text: "nan", exact: true };
  if (!Number.isFinite(value)) return { text: `${sign}∞`, exact: true };
  if (value === 0) return { text: `${sign}0`, exact: true };
  const found = shortest(Math.abs(value), dtype);
  const whole = found.digits.length <= found.exponent + 1 && found.exponent < EXACT;
  const exact = whole || found.digits.length <= SHOWN;
  const { digits, exponent } = exact ? found : rounded(found, SHOWN);
  if (exponent > -5 && exponent < (exact ? EXACT : SHOWN)) {
    return { text: sign + positional(digits, exponent), exact };
  }
  const power = `10${raised(exponent)}`;
  return { text: sign + (digits === "1" ? power : `${positional(digits, 0)}·${power}`), exact };
}

/** As a tick or a table shows it: `figures` digits, no trailing zeros. */
export function brief(value, figures = 4) {
  return Number.isFinite(value) ? written(Number(value.toPrecision(figures))) : written(value);
}

/** A tick, `step` away from the next: with a power of ten where there would be many zeros. */
export function tickText(value, step = value) {
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)) + 1e-9);
  const figures = Math.max(6, 1 + exponent - Math.floor(Math.log10(Math.abs(step)) + 1e-9));
  const digits = (number) => String(Number(number.toPrecision(figures))).replace("-", "−");
  if (exponent > -4 && exponent < 5) return digits(value);
  const lead = digits(value / 10 ** exponent);
  const power = `10${raised(exponent)}`;
  return lead === "1" ? power : lead === "−1" ? `−${power}` : `${lead}·${power}`;
}

/** `text` within the brackets that its place asks for. */
export function fenced(text, fence) {
  const needed =
    fence && (text.startsWith("−") || (fence === "product" && /[⁰¹²³⁴⁵⁶⁷⁸⁹]/.test(text)));
  return needed ? `(${text})` : text;
}

// ---- what people type ---------------------------------------------------------------------------

const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|(pi|π|e|sqrt|√)|([-+*/^()]))/iy;

const FACTORS = new Set(["pi", "π", "sqrt", "√", "("]); // not e: 1e is the beginning of 1e-3

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  const clean = text.trim().replace(/[−–]/g, "-").replace(/[·×]/g, "*").replace(/\*\*/g, "^");
  while (TOKEN.lastIndex < clean.length) {
    const match = TOKEN.exec(clean);
    if (match === null) return null;
    found.push(match[1] === undefined ? (match[2] ?? match[3]).toLowerCase() : Number(match[1]));
  }
  return found;
}

/** Numbers, π, e, √, + − * / ^ and brackets; by recursive descent, nothing is evaluated as code. */
class Reader {
  constructor(found) {
    this.found = found;
    this.place = 0;
  }

  take(...wanted) {
    return wanted.includes(this.found[this.place]) ? this.found[this.place++] : null;
  }

  sum() {
    let total = this.product();
    for (let sign; (sign = this.take("+", "-"));) {
      const next = this.product();
      total += sign === "+" ? next : -next;
    }
    return total;
  }

  product() {
    let total = this.signed();
    for (let sign; (sign = this.take("*", "/") ?? this.beside());) {
      const next = this.signed();
      total = sign === "/" ? total / next : total * next;
    }
    return total;
  }

  /** 2π, 3√2, 2(1 + π): a product without a sign. */
  beside() {
    const [before, next] = this.found.slice(this.place - 1, this.place + 1);
    return (typeof before === "number" || before === ")") && FACTORS.has(next) ? "*" : null;
  }

  signed() {
    if (this.take("-")) return -this.signed();
    if (this.take("+")) return this.signed();
    const base = this.atom();
    return this.take("^") ? base ** this.signed() : base;
  }

  atom() {
    const token = this.found[this.place++];
    if (typeof token === "number") return token;
    if (token === "pi" || token === "π") return Math.PI;
    if (token === "e") return Math.E;
    if (token === "sqrt" || token === "√") return Math.sqrt(this.atom());
    if (token !== "(") return NaN;
    const inside = this.sum();
    return this.take(")") ? inside : NaN;
  }
}

/** The number that `text` writes (2, 1e-3, pi/2, -1/3, sqrt(2)), or null. */
export function parseNumber(text) {
  const found = text.length > 60 ? null : tokens(text);
  if (!found?.length) return null;
  const reader = new Reader(found);
  const value = reader.sum();
  return reader.place === found.length && Number.isFinite(value) ? value : null;
}

import { vectorType } from './bindings.js';
import { nonFiniteFunctions } from './non-finite.js';

/**
 * Functions of WGSL expressions of `x`, each before those that call it. WGSL's own `tanh` may overflow, its `sin` and `cos` may be
 * wrong by 2⁻¹¹, and it has no `erf`.
 */
const functions: readonly (readonly [name: string, text: string])[] = [
  [
    'sigmoidOf',
    `
// By e^−|x|, which never overflows.
fn sigmoidOf(x: f32) -> f32 {
  let e = exp(-abs(x));
  return keepNan(select(e, 1.0, x >= 0.0) / (1.0 + e), x);
}`,
  ],
  [
    'softplusOf',
    `
// ln(1 + u) = 2·artanh(u / (2 + u)) for u = e^−|x| by its series, because 1 + u loses the digits of a small u.
fn softplusOf(x: f32) -> f32 {
  let u = exp(-abs(x));
  let s = u / (2.0 + u);
  let q = s * s;
  let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
  return keepNan(max(x, 0.0) + 2.0 * s * series, x);
}`,
  ],
  [
    'expm1Of',
    `
// eˣ − 1. By the series of eˣ where eˣ − 1 would lose digits.
fn expm1Of(x: f32) -> f32 {
  let tail = 1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x * (1.0 / 5040.0 + x / 40320.0)));
  let series = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * tail)));
  return keepNan(select(exp(x) - 1.0, series, abs(x) < 0.5), x);
}`,
  ],
  [
    'log1pOf',
    `
// ln(1 + x) for x ≥ 0 = 2·artanh(x / (2 + x)) by its series up to 1, because 1 + x loses the digits of a small x.
fn log1pOf(x: f32) -> f32 {
  let s = x / (2.0 + x);
  let q = s * s;
  let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
  return select(logOf(1.0 + x), 2.0 * s * series, x < 1.0);
}`,
  ],
  [
    'tanhOf',
    `
fn tanhOf(x: f32) -> f32 {
  let e = expm1Of(-2.0 * abs(x));
  let size = -e / (2.0 + e);
  return keepNan(select(-size, size, x >= 0.0), x);
}`,
  ],
  [
    'erfcOf',
    `
// 1 − erf(x) with a relative error below 1.2e-7: Press et al., Numerical Recipes, 2nd edition, section 6.2 (erfcc).
fn erfcOf(x: f32) -> f32 {
  let z = abs(x);
  let t = 1.0 / (1.0 + 0.5 * z);
  let high = 0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)));
  let low = 1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * high)));
  let size = t * exp(-z * z + (-1.26551223 + t * low));
  return keepNan(select(size, 2.0 - size, x < 0.0), x);
}`,
  ],
  [
    'erfOf',
    `
// Near 0 by the series 7.1.5 of Abramowitz and Stegun, Handbook of Mathematical Functions.
fn erfOf(x: f32) -> f32 {
  let q = x * x;
  let tail = 1.0 / 42.0 - q * (1.0 / 216.0 - q * (1.0 / 1320.0 - q / 9360.0));
  let series = 1.128379167 * x * (1.0 - q * (1.0 / 3.0 - q * (1.0 / 10.0 - q * tail)));
  return keepNan(select(1.0 - erfcOf(x), series, abs(x) < 0.5), x);
}`,
  ],
  [
    'atanOf',
    `
// From |x| ≤ 1, reduced to ±tan(π/8), by a polynomial: Moshier, Cephes (atanf.c).
fn atanOf(x: f32) -> f32 {
  let isLarge = abs(x) > 2.414213562;
  let isMiddle = abs(x) > 0.414213562;
  let z = abs(x);
  let r = select(select(z, (z - 1.0) / (z + 1.0), isMiddle), -1.0 / z, isLarge);
  let base = select(select(0.0, 0.785398163, isMiddle), 1.570796327, isLarge);
  let q = r * r;
  let tail = -3.33329491539e-1 + q * (1.99777106478e-1 + q * (-1.38776856032e-1 + q * 8.05374449538e-2));
  let size = base + (r + r * q * tail);
  return keepNan(select(size, -size, x < 0.0), x);
}`,
  ],
  [
    'halfExpOf',
    `
// e^|x| / 2, which overflows later than e^|x|; ln 2 in two parts, of which the first is exact.
fn halfExpOf(x: f32) -> f32 { return expOf((abs(x) - 0.693359375) + 2.12194440e-4); }`,
  ],
  [
    'sinhOf',
    `
// Near 0 by u = e^|x| − 1, as the difference of both powers would lose digits.
fn sinhOf(x: f32) -> f32 {
  let u = expm1Of(min(abs(x), 1.0));
  let large = halfExpOf(x) - 0.25 / halfExpOf(x);
  let size = select(large, 0.5 * (u + u / (u + 1.0)), abs(x) < 1.0);
  return keepNan(select(size, -size, x < 0.0), x);
}`,
  ],
  ['coshOf', 'fn coshOf(x: f32) -> f32 { return halfExpOf(x) + 0.25 / halfExpOf(x); }'],
  [
    'rootOf',
    'fn rootOf(x: f32, y: f32) -> f32 { let z = max(abs(x), y); let r = min(abs(x), y) / z; return z * sqrt(1.0 + r * r); }',
  ],
  [
    'sqrtOf',
    'fn sqrtOf(x: f32) -> f32 { return select(select(sqrt(x), nanOf(x), x < 0.0), x, isNan(x) | (x == 0.0)); }',
  ],
  [
    'asinhOf',
    `
fn asinhOf(x: f32) -> f32 {
  let z = abs(x);
  let small = log1pOf(z + z * (z / (1.0 + rootOf(z, 1.0))));
  let size = select(small, logOf(z) + 0.69314718, z > 1e9);
  return keepNan(select(size, -size, x < 0.0), x);
}`,
  ],
  [
    'acoshOf',
    `
fn acoshOf(x: f32) -> f32 {
  let t = x - 1.0;
  let small = log1pOf(t + sqrtOf(t) * sqrtOf(t + 2.0));
  return keepNan(select(small, logOf(x) + 0.69314718, x > 1e9), x);
}`,
  ],
  [
    'atanhOf',
    `
fn atanhOf(x: f32) -> f32 {
  let z = abs(x);
  let size = select(nanOf(x), 0.5 * log1pOf(2.0 * (z / (1.0 - z))), z < 1.0);
  let all = select(size, bitcast<f32>(0x7f800000u + u32(min(z, 0.0))), z == 1.0);
  return keepNan(select(all, -all, x < 0.0), x);
}`,
  ],
  [
    'sineOf',
    `
// sin(x + quarters·π/2). x less the nearest multiple of π/2 (in three parts, of which the products with the first two are exact up to
// |x| = 8192), then polynomials on ±π/4: Moshier, Cephes (sinf.c). A larger x leaves a rest with an error, which is cut.
fn sineOf(x: f32, quarters: i32) -> f32 {
  let turns = round(x * 0.636619772);
  let part = (x - turns * 1.5703125) - turns * 4.837512969970703125e-4;
  let r = clamp(part - turns * 7.54978995489188216e-8, -0.8, 0.8);
  let q = r * r;
  let sine = r + r * q * (-1.6666654611e-1 + q * (8.3321608736e-3 - q * 1.9515295891e-4));
  let cosine = 1.0 - 0.5 * q + q * q * (4.166664568298827e-2 + q * (-1.388731625493765e-3 + q * 2.443315711809948e-5));
  let quarter = i32(turns) + quarters;
  let size = select(sine, cosine, (quarter & 1) == 1);
  return select(nanOf(x), select(size, -size, (quarter & 2) == 2), isFinite(x));
}`,
  ],
];

/**
 * Declares what an expression of `x` may call: what `nonFiniteFunctions` declares, and of these functions those that it names:
 * - `sigmoidOf(x)`, `softplusOf(x)` = ln(1 + eˣ), `expm1Of(x)` = eˣ − 1, `tanhOf(x)`, without overflow
 * - `log1pOf(x)` = ln(1 + x) for x ≥ 0, `halfExpOf(x)` = e^|x| / 2, `atanOf(x)`
 * - `erfOf(x)`, `erfcOf(x)` = 1 − erf(x)
 * - `sineOf(x, quarters)` = sin(x + quarters·π/2)
 * - `powOf(a, b)`, as `broadcastFunctions`
 */
export function elementFunctions(expression: string): string {
  let text = '';
  for (let k = functions.length - 1; k >= 0; k--) {
    const [name, declaration] = functions[k];
    if (`${expression}${text}`.includes(`${name}(`)) text = declaration + text;
  }
  return nonFiniteFunctions() + (expression.includes('powOf(') ? powFunction(1) : '') + text;
}

function powFunction(width: 1 | 4): string {
  const V = vectorType(width);
  const U = width === 1 ? 'u32' : `vec${width}u`;
  return `
fn powOf(a: ${V}, b: ${V}) -> ${V} {
  let size = abs(a);
  let isWhole = floor(b) == b;
  let isOdd = isWhole & (floor(0.5 * b) != 0.5 * b);
  let isInfinite = !isFinite(a);
  // Powers with whole exponents up to 16 are products, which are rounded less: squares are exact where float32 holds them.
  var product = ${V}(1.0);
  var factor = size;
  var rest = ${U}(min(abs(b), ${V}(16.0)));
  for (var k = 0u; k < 5u; k++) {
    product = select(product, product * factor, (rest & ${U}(1u)) == ${U}(1u));
    factor *= factor;
    rest /= 2u;
  }
  product = select(product, 1.0 / product, b < ${V}());
  // Of 0 and ∞: 0 or ∞.
  let end = select(${U}(), ${U}(0x7f800000u), (b > ${V}()) == isInfinite);
  var value = select(exp2(b * log2(size)), product, isWhole & (abs(b) <= ${V}(16.0)));
  value = select(value, bitcast<${V}>(end), isInfinite | (size == ${V}()));
  value = select(value, ${V}(1.0), (b == ${V}()) | (size == ${V}(1.0)));
  value = select(value, -value, isOdd & (bitcast<${U}>(a) > ${U}(0x7fffffffu)));
  value = select(value, nanOf(a), (a < ${V}()) & !isWhole & !isInfinite);
  return keepNan(keepNan(value, a), b);
}`;
}

/** Exact: the rest of the mantissas as integers, eight bits of the difference of the exponents at a time. */
function modFunction(width: 1 | 4): string {
  const V = vectorType(width);
  const U = width === 1 ? 'u32' : `vec${width}u`;
  return `
// The rest of a / b with the sign of a.
fn restOf(a: ${V}, b: ${V}) -> ${V} {
  let exponentOfA = max(magnitude(a) >> ${U}(23u), ${U}(1u));
  let exponentOfB = max(magnitude(b) >> ${U}(23u), ${U}(1u));
  let divisor = max(magnitude(b) - ((exponentOfB - 1u) << ${U}(23u)), ${U}(1u));
  var rest = (magnitude(a) - ((exponentOfA - 1u) << ${U}(23u))) % divisor;
  var left = max(exponentOfA, exponentOfB) - exponentOfB;
  while (any(left > ${U}())) {
    let step = min(left, ${U}(8u));
    rest = (rest << step) % divisor;
    left -= step;
  }
  // The leading bit moves to where float32 has it, unless the result is denormal.
  let shift = min(countLeadingZeros(rest) - 8u, exponentOfB - 1u);
  let bits = select((rest << shift) + ((exponentOfB - 1u - shift) << ${U}(23u)), ${U}(), rest == ${U}());
  let signed = bits | (bitcast<${U}>(a) & ${U}(0x80000000u));
  let value = select(bitcast<${V}>(signed), a, magnitude(a) < magnitude(b));
  return keepNan(select(nanOf(a), value, isFinite(a) & (magnitude(b) != ${U}())), b);
}
fn isOther(rest: ${V}, b: ${V}) -> ${width === 1 ? 'bool' : `vec${width}<bool>`} {
  return (magnitude(rest) != ${U}()) & ((bitcast<${U}>(rest) ^ bitcast<${U}>(b)) > ${U}(0x7fffffffu));
}
fn modOf(a: ${V}, b: ${V}) -> ${V} {
  let rest = restOf(a, b);
  let zero = bitcast<${V}>(bitcast<${U}>(b) & ${U}(0x80000000u));
  let value = select(rest, rest + b, isOther(rest, b));
  return keepNan(select(value, zero, magnitude(rest) == ${U}()), rest);
}
fn quotientOf(a: ${V}, b: ${V}) -> ${V} {
  let rest = restOf(a, b);
  return keepNan(round((a - rest) / b) - select(${V}(), ${V}(1.0), isOther(rest, b)), rest);
}`;
}

/**
 * Declares what an expression of `width` numbers `x0`, `x1`, … may call, if it does: what `nonFiniteFunctions` declares, and
 * - `powOf(a, b)` = aᵇ: as IEEE 754 has it, but NaN where a or b is NaN. WGSL's own `pow` takes no a below 0.
 * - `modOf(a, b)`: the rest of a / b with the sign of b; `quotientOf(a, b)`: ⌊a / b⌋ of the exact quotient
 */
export function broadcastFunctions(expression: string, width: 1 | 4): string {
  if (!/(Nan|isFinite|powOf|modOf|quotientOf)\(/.test(expression)) return '';
  const power = expression.includes('powOf(') ? powFunction(width) : '';
  return nonFiniteFunctions(width) + power + (/(modOf|quotientOf)\(/.test(expression) ? modFunction(width) : '');
}

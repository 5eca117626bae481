/** The range of an axis and its ticks, in units of the data. */
export interface Axis {
  min: number;
  max: number;
  log: boolean;
  ticks: { value: number; label: string }[];
}

/**
 * An axis over the values: linear with ticks at 1, 2 or 5 times a power of ten, or logarithmic with ticks at powers of
 * ten (or 1, 2 and 5 times them). A single value gets a range around it.
 *
 * @param values finite; positive for a logarithmic axis; at least one
 * @param count approximate number of ticks
 * @param margin part of the range that is added at either end
 */
export function makeAxis(values: Iterable<number>, log: boolean, count: number, margin: number): Axis {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (log) {
    const pad = Math.max(0.02, margin * Math.log10(high / low));
    const min = low * 10 ** -pad;
    const max = high * 10 ** pad;
    return { min, max, log, ticks: logTicks(min, max, count) };
  }
  // A range near the precision of numbers has no steps to tick; it is shown as a single value.
  const apart = high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const pad = apart ? margin * (high - low) : Math.abs(low) * 0.1 || 1;
  const min = low - pad;
  const max = high + pad;
  return { min, max, log, ticks: linearTicks(min, max, count) };
}

/** Where a value lies between the ends of an axis: 0 … 1. */
export function axisPosition({ min, max, log }: Axis, value: number): number {
  return log ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
}

function linearTicks(min: number, max: number, count: number): Axis['ticks'] {
  const rough = (max - min) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks: Axis['ticks'] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + 1e-9 * step; i++) {
    ticks.push({ value: i * step, label: formatTick(i * step, decimals) });
  }
  return ticks;
}

function logTicks(min: number, max: number, count: number): Axis['ticks'] {
  const from = Math.floor(Math.log10(min));
  const to = Math.ceil(Math.log10(max));
  for (const multiples of [[1], [1, 2, 5]]) {
    const stride = Math.max(1, Math.ceil((to - from) / count));
    const values: number[] = [];
    for (let e = Math.ceil(from / stride) * stride; e <= to; e += stride) {
      // Multiplying by 10**e for negative e would give labels such as 0.30000000000000004.
      for (const m of multiples) values.push(Number(`${m}e${e}`));
    }
    const inside = values.filter((value) => value >= min && value <= max);
    if (inside.length >= 3) return inside.map((value) => ({ value, label: formatTick(value) }));
  }
  return linearTicks(min, max, count).filter(({ value }) => value > 0);
}

function formatTick(value: number, decimals?: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) {
    // Ten digits are free of the noise of the multiplication that made the value.
    return Number(value.toPrecision(10)).toExponential().replace('e+', 'e');
  }
  return (decimals === undefined ? String(value) : value.toFixed(decimals)).replace('-', '−');
}

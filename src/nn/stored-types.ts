/** How an element of a type is stored, little-endian. */
interface StoredElement {
  bytes: number;
  get(view: DataView, at: number): number | bigint;
}

/** The types of elements that weights files may have; all of them become float32. */
export type StoredType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

export const STORED_TYPES: Readonly<Record<StoredType, StoredElement>> = {
  F64: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
  F32: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  F16: { bytes: 2, get: (view, at) => float16Value(view.getUint16(at, true)) },
  BF16: { bytes: 2, get: (view, at) => bfloat16Value(view.getUint16(at, true)) },
  I64: { bytes: 8, get: (view, at) => view.getBigInt64(at, true) },
  I32: { bytes: 4, get: (view, at) => view.getInt32(at, true) },
  I16: { bytes: 2, get: (view, at) => view.getInt16(at, true) },
  I8: { bytes: 1, get: (view, at) => view.getInt8(at) },
  U8: { bytes: 1, get: (view, at) => view.getUint8(at) },
  BOOL: { bytes: 1, get: (view, at) => (view.getUint8(at) === 0 ? 0 : 1) },
};

/**
 * An element as float32, which holds those of all types but integers of more than 24 bits and doubles beyond its range.
 * @param fail is called with the reason for such a one
 */
export function storedValue(type: StoredType, view: DataView, at: number, fail: (why: string) => never): number {
  const stored = STORED_TYPES[type].get(view, at);
  const value = Number(stored);
  const near = Math.fround(value);
  const exact = type === 'F64' ? Number.isFinite(near) || !Number.isFinite(value) : near === value || type[0] !== 'I';
  if (exact && (typeof stored === 'number' || Number.isSafeInteger(value))) return near;
  return fail(`holds ${stored}, which float32 cannot hold`);
}

/** The upper half of a float32. */
function bfloat16Value(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}

/** Value of an IEEE 754 half-precision number. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The values of half-precision numbers, as `float16Value` has each, but of millions in milliseconds. */
export function halvesToFloat32(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  const words = new Uint32Array(values.buffer);
  for (let k = 0; k < halves.length; k++) {
    const bits = halves[k];
    const finite = (bits & 0x7c00) !== 0x7c00;
    words[k] = ((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13) | (finite ? 0 : 0x7f800000);
    // The exponents of float32 are larger by 112, which makes subnormal numbers normal as well.
    if (finite) values[k] *= 2 ** 112;
  }
  return values;
}

/** A number as a WGSL f32 expression, rounded to float32. @throws RangeError for one that float32 does not hold */
export function f32Literal(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw new RangeError(`WGSL has no literal for ${value}`);
  const text = rounded.toString();
  return /[.e]/.test(text) ? `f32(${text})` : `f32(${text}.0)`;
}

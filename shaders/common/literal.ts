/** A finite number as a WGSL f32 expression, rounded to float32. */
export function f32Literal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`WGSL has no literal for ${value}`);
  const text = Math.fround(value).toString();
  return /[.e]/.test(text) ? `f32(${text})` : `f32(${text}.0)`;
}

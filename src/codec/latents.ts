import { ArgumentError, ShapeError } from '../common/errors.js';

/** The limits of a file, and so of what a reader has to allocate. */
export const LATENT_LIMITS = { side: 64, channels: 512, symbols: 65536 } as const;

/** A symbol is a signed integer from −128 to 127, stored as the byte value + 128. */
export const SYMBOL_OFFSET = 128;

/** The compact representation of one face: `height`×`width` positions of `channels` 8-bit symbols. */
export interface Latents {
  height: number;
  width: number;
  channels: number;
  /** [height, width, channels] (NHWC without the batch axis), symbol + 128 in each byte. */
  data: Uint8Array;
}

/** Says what is wrong with these dimensions; null if a file may have them. */
export function latentSizeProblem(height: number, width: number, channels: number): string | null {
  for (const [name, value, limit] of [
    ['height', height, LATENT_LIMITS.side],
    ['width', width, LATENT_LIMITS.side],
    ['channels', channels, LATENT_LIMITS.channels],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      return `latent ${name} is ${value}, must be an integer from 1 to ${limit}`;
    }
  }
  const symbols = height * width * channels;
  return symbols > LATENT_LIMITS.symbols
    ? `latents of ${height}×${width}×${channels} are ${symbols} symbols, at most ${LATENT_LIMITS.symbols} are allowed`
    : null;
}

/** Throws {@link ShapeError} unless the dimensions are within {@link LATENT_LIMITS} and `data` has that length. */
export function checkLatents(latents: Latents): void {
  const { height, width, channels, data } = latents;
  const problem = latentSizeProblem(height, width, channels);
  if (problem) throw new ShapeError(problem);
  const expected = height * width * channels;
  if (data.length !== expected) {
    throw new ShapeError(
      `latents of ${height}×${width}×${channels} need ${expected} bytes of data, got ${data.length}`,
    );
  }
}

/**
 * Latents from integer symbols in [height, width, channels] order, such as the output of hard quantization.
 * Throws {@link ArgumentError} for a value that is not an integer from −128 to 127: rounding or clamping here
 * would hide a fault of the network.
 */
export function latentsFromSymbols(
  symbols: ArrayLike<number>,
  height: number,
  width: number,
  channels: number,
): Latents {
  const data = new Uint8Array(symbols.length);
  for (let i = 0; i < symbols.length; i++) {
    const symbol = symbols[i];
    if (!Number.isInteger(symbol) || symbol < -128 || symbol > 127) {
      throw new ArgumentError(`latent symbol ${i} is ${symbol}, must be an integer from -128 to 127`);
    }
    data[i] = symbol + SYMBOL_OFFSET;
  }
  const latents = { height, width, channels, data };
  checkLatents(latents);
  return latents;
}

/** The symbols as float32 in [height, width, channels] order, ready to be uploaded as a tensor. */
export function symbolsOf(latents: Latents): Float32Array {
  return Float32Array.from(latents.data, (byte) => byte - SYMBOL_OFFSET);
}

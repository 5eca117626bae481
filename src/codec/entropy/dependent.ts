/*
 * Dependent quantization. There are two quantizers: the points of one are whole steps, those of the other are 0 and the half
 * steps in between. A machine of four states chooses the quantizer of a symbol by whether the symbols before it were even or
 * odd. So an encoder that looks ahead reaches points nearly as dense as half steps, at the bits of whole steps.
 *
 * Marcellin, Fischer 1990, "Trellis coded quantization of memoryless and Gauss-Markov sources"; this form, as in Versatile
 * Video Coding: Schwarz, Nguyen, Marpe, Wiegand 2019, "Hybrid video coding with trellis-coded quantization".
 */

export const STATES = 4;

/** By state and parity. */
const NEXT = /* @__PURE__ */ Uint8Array.of(0, 2, 2, 0, 1, 3, 3, 1);

/** The state after a symbol; a face begins in state 0. */
export const nextState = (state: number, symbol: number): number => NEXT[2 * state + (symbol & 1)];

/** 0: whole steps; 1: 0 and half steps. */
export const quantizerOf = (state: number): number => state >> 1;

/** Where a symbol of a quantizer lies, in half steps. */
export function reconstructionPoint(symbol: number, quantizer: number): number {
  if (quantizer === 0 || symbol === 0) return 2 * symbol;
  return symbol > 0 ? 2 * symbol - 1 : 2 * symbol + 1;
}

/**
 * Where the symbols of a face lie, in steps.
 * @param order in which they are coded
 */
export function reconstructionValues(symbols: ArrayLike<number>, order: ArrayLike<number>): Float32Array {
  const values = new Float32Array(symbols.length);
  let state = 0;
  for (let k = 0; k < order.length; k++) {
    const symbol = symbols[order[k]];
    values[order[k]] = reconstructionPoint(symbol, quantizerOf(state)) / 2;
    state = nextState(state, symbol);
  }
  return values;
}

import { wgsl } from './wgsl.js';

/** Outputs of a tile along an axis; its sources are two more, the window of 3 reaching that much further. */
export type WinogradOutputs = 2 | 4;

/** Sources along an axis of a tile, and products that stand for it. */
export const winogradPoints = (outputs: WinogradOutputs): number => outputs + 2;

/**
 * WGSL of the transforms of F(m, 3) along an axis, of numbers or vectors `V`: y = Aᵀ[(G·g) ⊙ (Bᵀ·d)] are the m outputs of
 * the window g over the m + 2 sources d, in m + 2 products instead of 3m (Lavin & Gray 2016, arXiv 1509.09308):
 * `transformSource` is Bᵀ·d, `transformWeights` G·g, `transformProducts` Aᵀ·p. The gradient by the window is
 * Gᵀ[(A·dy) ⊙ (Bᵀ·d)], summed over the tiles: `transformGradient` is A·dy, `transformWeightGradient` Gᵀ·p.
 *
 * They multiply polynomials by their values at points (Toom and Cook): 0, ±1 and infinity for two outputs; 0, ±A, ±B and
 * infinity for four. ±1 and ±2, which are usual there, round more coarsely: powers of points far from 1 spread the sizes of
 * the terms.
 */
export function winogradTransforms(outputs: WinogradOutputs): string {
  return wgsl`
struct Window { g0: V, g1: V, g2: V }
#if ${outputs === 2}
struct Points { p0: V, p1: V, p2: V, p3: V }

fn transformSource(d0: V, d1: V, d2: V, d3: V) -> Points {
  return Points(d0 - d2, d1 + d2, d2 - d1, d3 - d1);
}

fn transformWeights(g0: V, g1: V, g2: V) -> Points {
  let even = 0.5 * (g0 + g2);
  let odd = 0.5 * g1;
  return Points(g0, even + odd, even - odd, g2);
}

struct Outputs { y0: V, y1: V }

fn transformProducts(p0: V, p1: V, p2: V, p3: V) -> Outputs {
  return Outputs(p0 + p1 + p2, p1 - p2 + p3);
}

fn transformGradient(y0: V, y1: V) -> Points {
  return Points(y0, y0 + y1, y0 - y1, y1);
}

fn transformWeightGradient(p0: V, p1: V, p2: V, p3: V) -> Window {
  let even = 0.5 * (p1 + p2);
  return Window(p0 + even, 0.5 * (p1 - p2), even + p3);
}
#else
struct Points { p0: V, p1: V, p2: V, p3: V, p4: V, p5: V }
const A = 0.625;
const B = 1.5;
const AA = A * A;
const BB = B * B;

fn transformSource(d0: V, d1: V, d2: V, d3: V, d4: V, d5: V) -> Points {
  let evenA = d4 - BB * d2; // of ±A, without the factors of the other points
  let oddA = A * (d3 - BB * d1);
  let evenB = d4 - AA * d2;
  let oddB = B * (d3 - AA * d1);
  return Points(
    AA * BB * d0 - (AA + BB) * d2 + d4,
    evenA + oddA, evenA - oddA,
    evenB + oddB, evenB - oddB,
    AA * BB * d1 - (AA + BB) * d3 + d5,
  );
}

fn transformWeights(g0: V, g1: V, g2: V) -> Points {
  let evenA = (g0 + AA * g2) / (2.0 * AA * (AA - BB));
  let oddA = g1 * (A / (2.0 * AA * (AA - BB)));
  let evenB = (g0 + BB * g2) / (2.0 * BB * (BB - AA));
  let oddB = g1 * (B / (2.0 * BB * (BB - AA)));
  return Points(g0 / (AA * BB), evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, g2);
}

struct Outputs { y0: V, y1: V, y2: V, y3: V }

fn transformProducts(p0: V, p1: V, p2: V, p3: V, p4: V, p5: V) -> Outputs {
  let evenA = p1 + p2;
  let oddA = p1 - p2;
  let evenB = p3 + p4;
  let oddB = p3 - p4;
  return Outputs(
    p0 + evenA + evenB,
    A * oddA + B * oddB,
    AA * evenA + BB * evenB,
    A * AA * oddA + B * BB * oddB + p5,
  );
}

fn transformGradient(y0: V, y1: V, y2: V, y3: V) -> Points {
  let evenA = y0 + AA * y2;
  let oddA = A * (y1 + AA * y3);
  let evenB = y0 + BB * y2;
  let oddB = B * (y1 + BB * y3);
  return Points(y0, evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, y3);
}

fn transformWeightGradient(p0: V, p1: V, p2: V, p3: V, p4: V, p5: V) -> Window {
  let evenA = (p1 + p2) / (2.0 * AA * (AA - BB));
  let oddA = (p1 - p2) * (A / (2.0 * AA * (AA - BB)));
  let evenB = (p3 + p4) / (2.0 * BB * (BB - AA));
  let oddB = (p3 - p4) * (B / (2.0 * BB * (BB - AA)));
  return Window(p0 / (AA * BB) + evenA + evenB, oddA + oddB, AA * evenA + BB * evenB + p5);
}
#endif`;
}

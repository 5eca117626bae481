import type { CounterRandom } from '../../common/random.js';

/** Scores of pairs of one person, and of two. */
export interface Kinds {
  genuine: readonly number[];
  impostor: readonly number[];
}

/** How often each pair was drawn. */
export interface DrawnPairs {
  genuine: Uint16Array;
  impostor: Uint16Array;
}

/** As many pairs of each kind as there are, with replacement. */
export function drawPairs({ genuine, impostor }: Kinds, random: CounterRandom): DrawnPairs {
  const draw = (count: number): Uint16Array => {
    const drawn = new Uint16Array(count);
    for (let k = 0; k < count; k++) drawn[Math.floor(random.uniform() * count)]++;
    return drawn;
  };
  return { genuine: draw(genuine.length), impostor: draw(impostor.length) };
}

/** `tarAtFar` of the drawn pairs; scores are sorted once for all resamples. */
export function tarOfDrawn({ genuine, impostor }: Kinds, far: number): (drawn: DrawnPairs) => number {
  const falling = (scores: readonly number[]): Int32Array =>
    Int32Array.from(scores.keys()).sort((x, y) => scores[y] - scores[x]);
  const order = { genuine: falling(genuine), impostor: falling(impostor) };
  const allowed = Math.floor(far * impostor.length);
  return (drawn) => {
    // The first impostor that must be refused, from the top.
    let last = 0;
    let passed = drawn.impostor[order.impostor[0]];
    while (passed <= allowed) passed += drawn.impostor[order.impostor[++last]];
    const refused = impostor[order.impostor[last]];
    let accepted = 0;
    for (const k of order.genuine) {
      if (genuine[k] <= refused) break;
      accepted += drawn.genuine[k];
    }
    return accepted / genuine.length;
  };
}

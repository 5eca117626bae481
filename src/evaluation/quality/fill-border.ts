import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';

const ROUNDS = 400;

/**
 * The face with a smooth continuation outside of its picture: each pixel there is the mean of its neighbours (a harmonic
 * function, with what is inside as its boundary), found by over-relaxed steps from the mean colour of what is inside.
 * @param outside 1 for each pixel outside; itself if none is, or all are
 */
export function smoothlyContinued(face: Uint8Array, outside: Uint8Array): Uint8Array {
  if (!outside.includes(1) || !outside.includes(0)) return face;
  const values = Float64Array.from(face);
  const places = [...outside.keys()].filter((at) => outside[at]);
  // The mean colour of what is inside is a start.
  for (let c = 0; c < 3; c++) {
    let [sum, count] = [0, 0];
    outside.forEach((one, at) => {
      if (one) return;
      sum += face[3 * at + c];
      count++;
    });
    for (const at of places) values[3 * at + c] = sum / count;
  }
  const neighbours = places.map((at) => {
    const x = at % FACE_WIDTH;
    const y = Math.floor(at / FACE_WIDTH);
    return [
      ...(x > 0 ? [at - 1] : []),
      ...(x < FACE_WIDTH - 1 ? [at + 1] : []),
      ...(y > 0 ? [at - FACE_WIDTH] : []),
      ...(y < FACE_HEIGHT - 1 ? [at + FACE_WIDTH] : []),
    ];
  });
  for (let round = 0; round < ROUNDS; round++) {
    places.forEach((at, k) => {
      const near = neighbours[k];
      for (let c = 0; c < 3; c++) {
        const mean = near.reduce((sum, other) => sum + values[3 * other + c], 0) / near.length;
        // Over-relaxation by 1.8.
        values[3 * at + c] += 1.8 * (mean - values[3 * at + c]);
      }
    });
  }
  return new Uint8Array(Uint8ClampedArray.from(values).buffer);
}

/** `inside` where the face is inside of its picture, and `beyond` outside. */
export const joinedBorder = (inside: Uint8Array, beyond: Uint8Array, outside: Uint8Array): Uint8Array =>
  inside.map((value, i) => (outside[Math.floor(i / 3)] ? beyond[i] : value));

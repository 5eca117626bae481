import { NotFiniteError } from '../common/errors.js';

/**
 * Checks the values that a network gave for several faces.
 *
 * @param what starts the message and names the values, such as "encode: the symbols"
 * @param values of `count` faces, one after the other; more may follow
 * @param first number of the first face, for the message
 * @throws NotFiniteError that names the face, the value and the likely causes
 */
export function checkResults(what: string, values: Float32Array, count: number, size: number, first = 0): void {
  for (let i = 0; i < count * size; i++) {
    if (Number.isFinite(values[i])) continue;
    const face = first + Math.floor(i / size);
    throw notFinite(what, face, `value ${i % size} is ${values[i]}`);
  }
}

/** The error for values of a face. @param which value it is */
export const notFinite = (what: string, face: number, which: string): NotFiniteError =>
  new NotFiniteError(
    `${what} of face ${face} are not finite (${which}): the model's weights are damaged, or the device computes wrongly; ` +
      '`cameo doctor` tests it',
    face,
  );

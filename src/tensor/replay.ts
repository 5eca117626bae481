import { ArgumentError } from '../common/errors.js';
import type { NdArray } from '../reference/ndarray.js';
import type { ReferenceTable } from '../reference/reference-op.js';
import type { Recorder } from './tape.js';
import type { Tensor } from './tensor.js';

/** @throws ArgumentError if the tape holds an operation that is not among `ops` */
export function assertReplayable(tape: Recorder, ops: ReferenceTable): void {
  const missing = tape.nodes.find(({ name }) => !ops[name]);
  if (missing) throw new ArgumentError(`replay: ${missing.name} is not among the operations in float64`);
}

/**
 * Computes in float64 on the CPU what a tape recorded on the GPU: the same operations with the same attributes. The
 * tensors themselves are not read, so they may be disposed, and the leaves may have other values or another batch size.
 *
 * @param ops those that the tape may hold, in float64; `assertReplayable` tells early whether they do
 * @param leaves values of every leaf (tensor that no operation on the tape made)
 * @returns the values of all tensors on the tape, leaves included
 * @throws ArgumentError for an operation that is not among `ops`, or a leaf that is not given
 */
export function replayInFloat64(
  tape: Recorder,
  ops: ReferenceTable,
  leaves: ReadonlyMap<Tensor, NdArray>,
): Map<Tensor, NdArray> {
  assertReplayable(tape, ops);
  const values = new Map(leaves);
  for (const { name, inputs, attrs, output } of tape.nodes) {
    const arrays = inputs.map((input) => {
      const value = values.get(input);
      if (!value) throw new ArgumentError(`replay: ${name} needs the values of a leaf [${input.shape}]`);
      return value;
    });
    values.set(output, ops[name].forward(arrays, attrs as never));
  }
  return values;
}

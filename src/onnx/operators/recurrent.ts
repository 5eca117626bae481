import { add, mul, sub } from '../../ops/binary.js';
import { concat, reshape, slice } from '../../ops/layout.js';
import { matmul } from '../../ops/matmul/matmul.js';
import { transpose } from '../../ops/transpose.js';
import { relu, sigmoid, tanh } from '../../ops/unary.js';
import { Tensor } from '../../tensor/tensor.js';
import type { Context, NodeView, Operator, OperatorTable } from '../operator.js';
import { GpuValue, type Value } from '../values.js';

type Float = (x: Tensor) => Tensor;
const ACTIVATIONS: Readonly<Record<string, Float>> = { relu, sigmoid, tanh };

/** Weights of a direction, and what a step makes of the products with the input and the state. */
interface Cell {
  /** Products of the step's input with the weights, with both biases (LSTM, RNN) or that of the input (GRU): [batch, gates·H]. */
  input: Tensor;
  /** [gates·H, H] */
  recurrent: Tensor;
  /** Biases of the products with the state, [gates·H]. */
  bias: Tensor | null;
  /** Peepholes [3·H]. */
  peep: Tensor | null;
  hidden: Tensor;
  cell: Tensor;
  f: Float[];
}

/** Columns k·size to (k + 1)·size. */
const gate = (x: Tensor, k: number, size: number): Tensor => slice(x, [0, k * size], [x.shape[0], size]);
const byState = (h: Tensor, r: Tensor): Tensor => matmul(h, r, { transposeB: true });

function rnnStep({ input, recurrent, hidden, cell, f: [f] }: Cell): [Tensor, Tensor] {
  return [f(add(input, byState(hidden, recurrent))), cell];
}

/** Gates in the order input, output, forget, cell. Hochreiter and Schmidhuber 1997. */
function lstmStep({ input, recurrent, peep, hidden, cell, f: [f, g, h] }: Cell): [Tensor, Tensor] {
  const size = hidden.shape[1];
  const all = add(input, byState(hidden, recurrent));
  const seen = (k: number, place: number, state: Tensor): Tensor => {
    const x = gate(all, k, size);
    return peep ? add(x, mul(state, slice(peep, [place * size], [size]))) : x;
  };
  const next = add(mul(f(seen(2, 2, cell)), cell), mul(f(seen(0, 0, cell)), g(gate(all, 3, size))));
  return [mul(f(seen(1, 1, next)), h(next)), next];
}

/** Gates in the order update, reset, hidden. Cho et al. 2014, arXiv 1406.1078. */
const gruStep =
  (linearFirst: boolean) =>
  ({ input, recurrent, bias, hidden, cell, f: [f, g] }: Cell): [Tensor, Tensor] => {
    const size = hidden.shape[1];
    const rows = (x: Tensor, first: number, count: number): Tensor =>
      slice(x, [first * size, 0], [count * size, x.shape[1]]);
    const part = (k: number): Tensor | null => bias && slice(bias, [k * size], [size]);
    const plus = (x: Tensor, b: Tensor | null): Tensor => (b ? add(x, b) : x);
    const both = byState(hidden, rows(recurrent, 0, 2));
    const [update, reset] = [0, 1].map((k) => f(add(gate(input, k, size), plus(gate(both, k, size), part(k)))));
    const last = rows(recurrent, 2, 1);
    const through = linearFirst
      ? mul(reset, plus(byState(hidden, last), part(2)))
      : plus(byState(mul(reset, hidden), last), part(2));
    const candidate = g(add(gate(input, 2, size), through));
    return [add(mul(sub(hidden, candidate), update), candidate), cell];
  };

/** One matrix of the directions. */
const direction = (x: Tensor, d: number): Tensor =>
  reshape(slice(x, [d, ...x.shape.slice(1).map(() => 0)], [1, ...x.shape.slice(1)]), x.shape.slice(1));

function run(c: Context, gates: number, step: (cell: Cell) => [Tensor, Tensor], separate = false): Value[] {
  const batchFirst = c.int('layout', 0) !== 0;
  const swap = (x: Tensor): Tensor => transpose(x, [1, 0, ...x.shape.slice(2).map((_, k) => k + 2)]);
  const x = batchFirst ? swap(c.x(0)) : c.x(0);
  const [w, r] = [c.x(1), c.x(2)];
  const [length, batch, inputs] = x.shape;
  const [directions, , size] = r.shape;
  if (c.has(4)) c.unsupported('sequence_lens');
  const initial = (k: number): Tensor => {
    if (!c.has(k)) return Tensor.zeros(c.gpu, [directions, batch, size]);
    return batchFirst ? swap(c.x(k)) : c.x(k);
  };
  const first = { hidden: initial(5), cell: gates === 4 ? initial(6) : Tensor.zeros(c.gpu, [directions, batch, size]) };
  const functions = functionsOf(c, gates);
  const each = functions.length / directions;
  const outputs: Tensor[] = [];
  const ends: [Tensor, Tensor][] = [];
  for (let d = 0; d < directions; d++) {
    const backwards = c.text('direction', 'forward') === 'reverse' || d === 1;
    const biases = c.has(3) ? direction(c.x(3), d) : null;
    const half = (k: number): Tensor | null => biases && slice(biases, [k * gates * size], [gates * size]);
    const [own, states] = [half(0), half(1)];
    const products = matmul(reshape(x, [length * batch, inputs]), direction(w, d), { transposeB: true });
    const shift = own && (separate ? own : add(own, states!));
    const all = reshape(shift ? add(products, shift) : products, [length, batch, gates * size]);
    const peep = gates === 4 && c.has(7) ? direction(c.x(7), d) : null;
    let [hidden, cell] = [direction(first.hidden, d), direction(first.cell, d)];
    const made: Tensor[] = [];
    for (let t = 0; t < length; t++) {
      const input = direction(all, backwards ? length - 1 - t : t);
      const f = functions.slice(d * each, (d + 1) * each);
      [hidden, cell] = step({
        input,
        recurrent: direction(r, d),
        bias: separate ? states : null,
        peep,
        hidden,
        cell,
        f,
      });
      made.push(reshape(hidden, [1, 1, batch, size]));
    }
    outputs.push(concat(backwards ? made.reverse() : made, 0));
    ends.push([hidden, cell]);
  }
  const joined = (k: number): Tensor =>
    concat(
      ends.map((pair) => reshape(pair[k], [1, batch, size])),
      0,
    );
  const y = concat(outputs, 1);
  const results = batchFirst
    ? [transpose(y, [2, 0, 1, 3]), swap(joined(0)), swap(joined(1))]
    : [y, joined(0), joined(1)];
  return results.map((result) => GpuValue.file(result));
}

/** The functions of all directions. */
function functionsOf(c: NodeView, gates: number): Float[] {
  const usual = gates === 4 ? [sigmoid, tanh, tanh] : gates === 3 ? [sigmoid, tanh] : [tanh];
  const names = c.texts('activations');
  const directions = c.text('direction', 'forward') === 'bidirectional' ? 2 : 1;
  if (!names) return Array.from({ length: directions }, () => usual).flat();
  if (names.length !== directions * usual.length) c.misfit(`${names.length} activations`);
  return names.map((name) => ACTIVATIONS[name.toLowerCase()]);
}

const refuse = (node: NodeView): string | false => {
  const strange = node.texts('activations')?.find((name) => !Object.hasOwn(ACTIVATIONS, name.toLowerCase()));
  if (strange !== undefined) return `activation ${strange}`;
  return node.int('input_forget', 0) !== 0 && 'input_forget';
};

const ATTRIBUTES = 'activations direction hidden_size layout';

export const recurrentOperators = /* @__PURE__ */ ((): OperatorTable => {
  const row = (attributes: string, inputs: number, f: Operator['run']): Operator => ({
    inputs: [3, inputs],
    outputs: inputs === 8 ? 3 : 2,
    attributes: `${ATTRIBUTES} ${attributes}`,
    refuse,
    run: f,
  });
  return {
    RNN: row('', 6, (c) => run(c, 1, rnnStep)),
    GRU: row('linear_before_reset', 6, (c) => run(c, 3, gruStep(c.int('linear_before_reset', 0) !== 0), true)),
    LSTM: row('input_forget', 8, (c) => run(c, 4, lstmStep)),
  };
})();

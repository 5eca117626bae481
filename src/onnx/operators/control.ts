import type { GraphProto } from '../model.js';
import type { Context, OperatorTable } from '../operator.js';
import { HostValue, type Value } from '../values.js';
import { joinValues, part, reshapedValue } from './shapes.js';

/** The most rounds of a loop. */
const MOST_ROUNDS = 2 ** 16;

function truth(c: Context, value: Value, what: string): boolean {
  if (!(value instanceof HostValue)) return c.unsupported(`${what} must be known before the GPU runs`);
  return value.data[0] !== 0;
}

/** Joins the results of all rounds along a new axis. */
function stacked(c: Context, rounds: readonly Value[], axis: number): Value {
  if (rounds.length === 0) return c.unsupported('no round of a loop that collects results');
  const rank = rounds[0].shape.length + 1;
  const at = c.axis(axis, rank);
  const widened = rounds.map((value) => {
    const shape = [...value.shape];
    shape.splice(at, 0, 1);
    return reshapedValue(value, shape);
  });
  return joinValues(widened, at, (value) => c.toGpu(value));
}

function branch(c: Context): Value[] {
  return c.around.runGraph(c.graph(truth(c, c.value(0), 'the condition') ? 'then_branch' : 'else_branch'), [], c);
}

/** Runs a graph as often as it says; what it does not carry on it collects. */
function loop(c: Context): Value[] {
  const body = c.graph('body');
  const rounds = c.hostNumber(0) ?? Infinity;
  let state = c.inputValues.slice(2).map((_, k) => c.value(k + 2));
  let goesOn = c.has(1) ? truth(c, c.value(1), 'the condition') : true;
  if (body.inputs.length !== state.length + 2 || body.outputs.length < state.length + 1)
    c.malformed('has a body of other values');
  const collected: Value[][] = body.outputs.slice(state.length + 1).map(() => []);
  for (let round = 0; goesOn && round < rounds; round++) {
    if (round >= MOST_ROUNDS) c.unsupported(`more than ${MOST_ROUNDS} rounds`);
    const condition = new HostValue('bool', [], [1]);
    const results = c.around.runGraph(body, [new HostValue('int64', [], [round]), condition, ...state], c);
    goesOn = truth(c, results[0], 'the condition of the next round');
    state = results.slice(1, state.length + 1);
    results.slice(state.length + 1).forEach((value, k) => {
      collected[k].push(value);
    });
  }
  return [...state, ...collected.map((values) => stacked(c, values, 0))];
}

/** Runs a graph for each entry along an axis of its inputs. */
function scanned(c: Context): Value[] {
  const body: GraphProto = c.graph('body');
  const count = c.int('num_scan_inputs', 0);
  const states = c.inputValues.length - count;
  if (!(count >= 1) || states < 0 || body.inputs.length !== c.inputValues.length)
    c.malformed('has a body of other inputs');
  const lists = c.inputValues.slice(states).map((_, k) => c.value(k + states));
  const axes = lists.map(({ shape }, k) => c.axis(c.ints('scan_input_axes')?.[k] ?? 0, shape.length));
  const length = lists[0].shape[axes[0]];
  if (lists.some(({ shape }, k) => shape[axes[k]] !== length)) c.misfit('inputs of different lengths');
  if (length > MOST_ROUNDS) c.unsupported(`more than ${MOST_ROUNDS} rounds`);
  let state = c.inputValues.slice(0, states).map((_, k) => c.value(k));
  const collected: Value[][] = body.outputs.slice(states).map(() => []);
  for (let round = 0; round < length; round++) {
    const entries = lists.map((value, k) => {
      const at = c.ints('scan_input_directions')?.[k] ? length - 1 - round : round;
      const { shape } = value;
      const only = (here: number, else_: readonly number[]): number[] =>
        else_.map((size, axis) => (axis === axes[k] ? here : size));
      const entry = part(
        value,
        only(
          at,
          shape.map(() => 0),
        ),
        only(1, shape),
        shape.map(() => 1),
      );
      return reshapedValue(
        entry,
        shape.filter((_, axis) => axis !== axes[k]),
      );
    });
    const results = c.around.runGraph(body, [...state, ...entries], c);
    state = results.slice(0, states);
    results.slice(states).forEach((value, k) => {
      if (c.ints('scan_output_directions')?.[k]) collected[k].unshift(value);
      else collected[k].push(value);
    });
  }
  return [...state, ...collected.map((values, k) => stacked(c, values, c.ints('scan_output_axes')?.[k] ?? 0))];
}

const SCAN = 'body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes scan_output_directions';

export const controlOperators = /* @__PURE__ */ ((): OperatorTable => ({
  If: { inputs: [1, 1], outputs: Infinity, attributes: 'else_branch then_branch', hostFrom: 0, run: branch },
  Loop: { inputs: [0, Infinity], outputs: Infinity, attributes: 'body', run: loop },
  Scan: {
    inputs: [1, Infinity],
    outputs: Infinity,
    attributes: SCAN,
    refuse: (node) => node.opset < 9 && 'this version',
    run: scanned,
  },
}))();

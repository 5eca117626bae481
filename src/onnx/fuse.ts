import { sub } from '../ops/binary.js';
import { convBatchNormPrelu, convBatchNormRelu, convBatchNormRelu6 } from '../ops/conv/inference.js';
import type { Tensor } from '../tensor/tensor.js';
import type { GraphStep } from './graph-plan.js';
import type { Context, Operator } from './operator.js';
import { kernelOf, pictureWindows } from './operators/neural.js';
import { GpuValue, HostValue, type Value, viewed } from './values.js';

/** Steps that run as one where no gradient is wanted: a convolution, a batch norm (or none), an activation (or none). */
type Group = readonly [GraphStep, ...GraphStep[]];

/** What a fused convolution does after its sums. */
interface Ending {
  norm: GraphStep | null;
  act: GraphStep | null;
}

const NAMES = { ones: '\0ones', zeros: '\0zeros', slope: '\0slope' };

/**
 * Puts each convolution together with the batch norm and the activation that alone use its result. The steps of a group follow one
 * another, at the place of the last.
 */
export function groupSteps(
  steps: readonly GraphStep[],
  outputs: readonly string[],
  constants: ReadonlyMap<string, HostValue>,
): Group[] {
  const users = new Map<string, GraphStep[]>();
  for (const step of steps) {
    for (const name of [...step.inputs, ...step.captured]) users.set(name, [...(users.get(name) ?? []), step]);
  }
  /** The step that alone uses a step's only output, as its first input. */
  const next = ({ outputs: [name, ...others] }: GraphStep): GraphStep | null => {
    const [user, ...more] = users.get(name) ?? [];
    const alone =
      user && more.length === 0 && others.length === 0 && !outputs.includes(name) && user.inputs[0] === name;
    return alone && user.captured.length === 0 ? user : null;
  };
  const shapeOf = (step: GraphStep, k: number) => constants.get(step.inputs[k])?.shape;
  const groupOf = (conv: GraphStep): Group => {
    if (conv.view.operator !== 'Conv' || shapeOf(conv, 1)?.length !== 4) return [conv];
    const channels = shapeOf(conv, 1)![0];
    const group: [GraphStep, ...GraphStep[]] = [conv];
    let after = next(conv);
    const known = (step: GraphStep): boolean =>
      step.inputs.slice(1).every((name) => name === '' || constants.has(name));
    if (
      after?.view.operator === 'BatchNormalization' &&
      after.outputs.length === 1 &&
      !after.view.int('training_mode', 0) &&
      known(after)
    ) {
      group.push(after);
      after = next(after);
    }
    if (after && known(after) && isActivation(after, channels, constants)) group.push(after);
    return group.length > 1 && conv.inputs.slice(1).every((name) => name === '' || constants.has(name))
      ? group
      : [conv];
  };
  const leads = new Map<GraphStep, Group>();
  for (const step of steps) {
    const group = groupOf(step);
    if (group.length > 1) leads.set(group[group.length - 1], group);
  }
  const grouped = new Set([...leads.values()].flat());
  return steps.flatMap((step): Group[] => {
    const group = leads.get(step);
    return group ? [group] : grouped.has(step) ? [] : [[step]];
  });
}

function isActivation(
  { view, inputs }: GraphStep,
  channels: number,
  constants: ReadonlyMap<string, HostValue>,
): boolean {
  if (view.operator === 'Relu' || view.operator === 'LeakyRelu') return true;
  if (view.operator === 'PRelu') {
    const shape = constants.get(inputs[1])!.shape;
    return (
      shape.every((size, k) => size === (k === shape.length - 3 ? channels : 1)) &&
      (shape.length === 3 || shape.length === 4)
    );
  }
  if (view.operator !== 'Clip') return false;
  const bounds =
    view.opset < 11
      ? [view.float('min', -Infinity), view.float('max', Infinity)]
      : inputs.slice(1).map((name) => constants.get(name)?.data[0]);
  return bounds[0] === 0 && bounds[1] === 6;
}

/**
 * The step of a group, whose parts run one by one where a gradient is wanted.
 * @param constants gets what the fused operation needs
 */
export function fusedStep(group: Group, constants: Map<string, HostValue>): GraphStep {
  if (group.length === 1) return group[0];
  const [conv] = group;
  const norm = group.find(({ view }) => view.operator === 'BatchNormalization') ?? null;
  const act = group.find((step) => step !== conv && step !== norm) ?? null;
  const channels = constants.get(conv.inputs[1])!.shape[0];
  const give = (name: string, size: number, value: number): string => {
    const full = `${name} ${size} ${value}`;
    if (!constants.has(full))
      constants.set(
        full,
        HostValue.of('float32', [size], () => value),
      );
    return full;
  };
  const bias = conv.inputs[2] ?? '';
  const zeros = give(NAMES.zeros, channels, 0);
  const ones = give(NAMES.ones, channels, 1);
  const numbers = norm ? norm.inputs.slice(1) : [ones, bias || zeros, zeros, ones];
  const slope = act?.view.operator === 'PRelu' ? act.inputs[1] : give(NAMES.slope, 1, slopeOf(act));
  const inputs = [conv.inputs[0], conv.inputs[1], norm ? bias : '', ...numbers, slope];
  const operator: Operator = { inputs: [8, 8], run: (c) => runFused(c, { norm, act }) };
  return {
    view: conv.view,
    operator,
    inputs,
    outputs: group[group.length - 1].outputs,
    captured: [],
    dies: group.flatMap(({ dies }) => dies),
    parts: group,
  };
}

/** What an activation multiplies numbers below 0 with. */
function slopeOf(act: GraphStep | null): number {
  if (!act || act.view.operator === 'Clip') return 1;
  return act.view.operator === 'Relu' ? 0 : act.view.float('alpha', 0.01);
}

function runFused(c: Context, { norm, act }: Ending): Value {
  const [x, w] = [c.gpuValue(0), c.gpuValue(1)];
  const { stride, dilation, padding } = pictureWindows(c, x.shape.slice(2), c.ints('kernel_shape') ?? w.shape.slice(2));
  const attrs = { stride, dilation, padding, groups: c.int('group', 1) };
  const [gamma, beta, mean, variance, slope] = [3, 4, 5, 6, 7].map((k) => c.x(k));
  // Beside a variance of 1, this eps is lost in rounding.
  const eps = norm ? norm.view.float('epsilon', 1e-5) : 1e-30;
  const numbers = { gamma, beta, mean: c.has(2) ? sub(mean, c.x(2)) : mean, variance, eps };
  const picture = x.last() as Tensor;
  if (act?.view.operator === 'Clip') return GpuValue.last(convBatchNormRelu6(picture, kernelOf(w), numbers, attrs));
  if (act && act.view.operator !== 'PRelu' && slopeOf(act) === 0) {
    return GpuValue.last(convBatchNormRelu(picture, kernelOf(w), numbers, attrs));
  }
  return GpuValue.last(convBatchNormPrelu(picture, kernelOf(w), numbers, viewed(slope, [slope.size]), attrs));
}

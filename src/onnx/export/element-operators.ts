import { ArgumentError } from '../../common/errors.js';
import type { QuantizeAttrs } from '../../ops/quantize.js';
import type { GraphWriter } from './graph-writer.js';
import { ELEMENT_TYPES } from './onnx-file.js';
import { broadcastingBy, type NumberOperands, perElement, type Row, single, timesPlus } from './rows.js';

const broadcasting = (type: string): Row<NumberOperands> =>
  broadcastingBy((graph, operands) => graph.node(type, operands));

/** The rest with the sign of the divisor; of floats, ONNX has only that with the sign of the dividend. */
const mod = /* @__PURE__ */ broadcastingBy((graph, [a, b], [{ dtype }]) => {
  if (dtype === 'int32') return graph.node('Mod', [a, b]);
  const rest = graph.node('Mod', [a, b], { fmod: 1 });
  const zero = graph.number(0);
  const differs = graph.node('Xor', [graph.node('Less', [rest, zero]), graph.node('Less', [b, zero])]);
  const isOther = graph.node('And', [graph.node('Not', [graph.node('Equal', [rest, zero])]), differs]);
  return graph.node('Where', [isOther, graph.node('Add', [rest, b]), rest]);
});

const clip = (graph: GraphWriter, x: string, min: number, max: number): string => {
  // An infinite bound is none; the name of an input that is left out is empty.
  const bounds = [min === -Infinity ? '' : graph.number(min), ...(max === Infinity ? [] : [graph.number(max)])];
  return graph.node('Clip', [x, ...bounds]);
};

/** x·(1 + erf(x/√2))/2, or Hendrycks and Gimpel's form with tanh; opset 17 has no Gelu. */
const gelu = /* @__PURE__ */ perElement<{ approximate: string }>((graph, x, { approximate }) => {
  let inner: string;
  if (approximate === 'none') inner = graph.node('Erf', [timesPlus(graph, x, Math.SQRT1_2, 0)]);
  else {
    const factor = timesPlus(graph, graph.node('Mul', [x, x]), 0.044715, 1);
    inner = graph.node('Tanh', [timesPlus(graph, graph.node('Mul', [x, factor]), Math.sqrt(2 / Math.PI), 0)]);
  }
  return graph.node('Mul', [timesPlus(graph, x, 0.5, 0), timesPlus(graph, inner, 1, 1)]);
});

const quantize: Row<QuantizeAttrs> = (graph, node, attrs) => {
  if (attrs.mode === 'noise') throw new ArgumentError('exportOnnx: quantize adds noise, which ONNX has no node for');
  perElement<QuantizeAttrs>((_, x, { scale, min, max }) =>
    clip(graph, graph.node('Round', [timesPlus(graph, x, scale, 0)]), min, max),
  )(graph, node, attrs);
};

/** Operations on each element by itself, or on operands that broadcast. */
export const elementRows = /* @__PURE__ */ (() => ({
  exp: single('Exp'),
  log: single('Log'),
  sqrt: single('Sqrt'),
  abs: single('Abs'),
  square: perElement((graph, x) => graph.node('Mul', [x, x])),
  sigmoid: single('Sigmoid'),
  relu: single('Relu'),
  clamp: perElement<{ min: number; max: number }>((graph, x, { min, max }) => clip(graph, x, min, max)),
  affine: perElement<{ scale: number; offset: number }>((graph, x, { scale, offset }) =>
    timesPlus(graph, x, scale, offset),
  ),
  neg: single('Neg'),
  reciprocal: single('Reciprocal'),
  sin: single('Sin'),
  cos: single('Cos'),
  tanh: single('Tanh'),
  erf: single('Erf'),
  floor: single('Floor'),
  ceil: single('Ceil'),
  round: single('Round'),
  sign: single('Sign'),
  tan: single('Tan'),
  asin: single('Asin'),
  acos: single('Acos'),
  atan: single('Atan'),
  sinh: single('Sinh'),
  cosh: single('Cosh'),
  asinh: single('Asinh'),
  acosh: single('Acosh'),
  atanh: single('Atanh'),
  constantPower: perElement<{ exponent: number }>((graph, x, { exponent }) =>
    graph.node('Pow', [x, graph.number(exponent)]),
  ),
  equal: broadcasting('Equal'),
  less: broadcasting('Less'),
  lessEqual: broadcasting('LessOrEqual'),
  greater: broadcasting('Greater'),
  greaterEqual: broadcasting('GreaterOrEqual'),
  logicalAnd: broadcasting('And'),
  logicalOr: broadcasting('Or'),
  logicalXor: broadcasting('Xor'),
  logicalNot: single('Not'),
  isNan: single('IsNaN'),
  isInf: single('IsInf'),
  where: broadcasting('Where'),
  cast: perElement<{ dtype: 'float32' | 'int32' | 'bool' }>((graph, x, { dtype }) =>
    graph.node('Cast', [x], { to: ELEMENT_TYPES[dtype] }),
  ),
  leakyRelu: perElement<{ slope: number }>((graph, x, { slope }) =>
    graph.node('LeakyRelu', [x], { alpha: { float: slope } }),
  ),
  elu: perElement<{ alpha: number }>((graph, x, { alpha }) => graph.node('Elu', [x], { alpha: { float: alpha } })),
  selu: single('Selu'),
  gelu,
  silu: perElement((graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])])),
  softplus: single('Softplus'),
  hardSigmoid: perElement<{ alpha: number; beta: number }>((graph, x, { alpha, beta }) =>
    graph.node('HardSigmoid', [x], { alpha: { float: alpha }, beta: { float: beta } }),
  ),
  hardSwish: single('HardSwish'),
  add: broadcasting('Add'),
  sub: broadcasting('Sub'),
  mul: broadcasting('Mul'),
  div: broadcasting('Div'),
  pow: broadcasting('Pow'),
  minimum: broadcasting('Min'),
  maximum: broadcasting('Max'),
  mod,
  quantize,
}))();

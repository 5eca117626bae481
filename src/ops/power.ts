import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { map } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { power } from '../reference/scalar-functions.js';
import { apply } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkFinite } from './shape-checks.js';
import { elementwiseOp } from './unary.js';

/** A constant other than 0. */
export interface PowerAttrs {
  exponent: number;
}

export const powerOps = {
  constantPower: /* @__PURE__ */ elementwiseOp<PowerAttrs>(
    'constantPower',
    ({ exponent }) => ({
      value: `powOf(x, ${f32(exponent)})`,
      derivative: `select(${f32(exponent)} * powOf(x, ${f32(exponent - 1)}), 0.0, x == 0.0)`,
    }),
    ({ exponent }) => checkFinite('constantPower', 'exponent', exponent),
  ),
};

/** x to a constant power, elementwise, for x ≥ 0. Its gradient at 0 is taken to be 0. */
export const constantPower = (x: Tensor, exponent: number): Tensor =>
  apply('constantPower', powerOps.constantPower, [x], { exponent });

export const constantPowerReference: ReferenceRule<PowerAttrs> = {
  forward: ([x], { exponent }) => map(x, (value) => power(value, exponent)),
  backward: ([x], _output, dy, { exponent }) => [
    map(dy, (d, i) => d * (x.data[i] === 0 ? 0 : exponent * power(x.data[i], exponent - 1))),
  ],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const powerReferences = { constantPower: constantPowerReference };

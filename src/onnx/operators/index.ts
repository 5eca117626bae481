import type { OperatorTable } from '../operator.js';
import { attentionOperators } from './attention.js';
import { constantOperators } from './constants.js';
import { controlOperators } from './control.js';
import { elementwiseOperators } from './elementwise.js';
import { gridOperators } from './grid-sample.js';
import { hostOperators } from './host-only.js';
import { indexingOperators } from './indexing.js';
import { neuralOperators } from './neural.js';
import { normalOperators } from './normal.js';
import { recurrentOperators } from './recurrent.js';
import { reduceOperators } from './reduce.js';
import { shapeOperators } from './shapes.js';

/** All operators by name. */
export const OPERATORS: OperatorTable = /* @__PURE__ */ (() => ({
  ...elementwiseOperators,
  ...shapeOperators,
  ...constantOperators,
  ...reduceOperators,
  ...neuralOperators,
  ...normalOperators,
  ...indexingOperators,
  ...controlOperators,
  ...hostOperators,
  ...gridOperators,
  ...recurrentOperators,
  ...attentionOperators,
}))();

import type { NodeView, Operator } from './operator.js';
import type { HostValue } from './values.js';

/** A node that runs in each call. */
export interface GraphStep {
  readonly view: NodeView;
  readonly operator: Operator;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names outside that its graphs use. */
  readonly captured: readonly string[];
  /** Values that nothing needs after it. */
  readonly dies: string[];
  /** The steps that run one by one instead where a gradient is wanted. */
  readonly parts?: readonly GraphStep[];
}

/** A graph ready to run: its nodes without those whose outputs are known already. */
export interface Plan {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly constants: ReadonlyMap<string, HostValue>;
  readonly steps: GraphStep[];
}

import { CameoError } from '../common/errors.js';

/** One thing in an ONNX file that is not supported. */
export interface UnsupportedPart {
  /** Name of the node, or of its first output where it has none; empty for what is no node. */
  readonly node: string;
  readonly operator: string;
  readonly reason: string;
}

/** An ONNX file, or a call of its network, needs what is not supported; `parts` lists all of it. */
export class UnsupportedModelError extends CameoError {
  constructor(readonly parts: readonly UnsupportedPart[]) {
    const lines = parts.map(({ node, operator, reason }) =>
      node ? `${operator} (node "${node}"): ${reason}` : reason,
    );
    super(`ONNX: not supported: ${lines.join('; ')}`);
  }
}

import { refuse } from '../common/arguments.js';
import { Tape } from '../ops/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';

/** A loss, and its gradient with respect to each parameter, as `Optimizer.step` takes them. */
export interface ValueAndGradients {
  value: Tensor;
  gradients: Map<Tensor, Tensor>;
}

/**
 * Runs `loss` on a tape of its own, and takes the gradients. Everything else that it made is freed; the value and the gradients belong
 * to the enclosing scope.
 *
 * @example
 * const { value, gradients } = valueAndGradients(() => mse(net.forward(x), target), net.parameters());
 * adam.step(gradients, 0.01);
 *
 * @param loss gives a scalar
 * @param parameters as `Module.parameters()` gives them, or a list; one that the loss does not depend on has no gradient
 * @throws ArgumentError for a loss that is no function or gives no scalar tensor, no parameters, or none that a gradient reaches
 */
export function valueAndGradients(
  loss: () => Tensor,
  parameters: ReadonlyMap<string, Tensor> | readonly Tensor[],
): ValueAndGradients {
  if (typeof loss !== 'function') refuse('valueAndGradients', 'loss', loss, 'a function');
  if (typeof parameters?.values !== 'function') {
    refuse('valueAndGradients', 'parameters', parameters, 'a map or an array of tensors');
  }
  const tensors = [...parameters.values()];
  if (!(tensors[0] instanceof Tensor)) {
    refuse('valueAndGradients', 'parameters', tensors[0] ?? parameters, 'at least one tensor');
  }
  return scope(tensors[0].gpu, () => {
    const tape = new Tape();
    const value = tape.record(loss);
    if (!(value instanceof Tensor)) refuse('valueAndGradients', 'what the loss gives', value, 'a tensor');
    return { value, gradients: tape.gradients(value, tensors) };
  });
}

import { refuse } from '../common/arguments.js';
import { Tape } from '../tensor/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';

/** A loss, and its gradients by the names of the parameters. */
export interface ValueAndGradients {
  value: Tensor;
  gradients: Map<string, Tensor>;
}

/**
 * Runs `loss` on a tape of its own, and takes the gradients. Everything else that it made is freed; the value and the gradients belong
 * to the enclosing scope.
 *
 * @example
 * const { value, gradients } = valueAndGradients(() => mse(net.forward(x), target), net.parameters());
 *
 * @param loss gives a scalar
 * @param parameters by name, as `Module.parameters()` gives them; one that the loss does not depend on has no gradient
 * @throws ArgumentError for a loss that is no function or gives no scalar tensor, no parameters, or none that a gradient reaches
 */
export function valueAndGradients(loss: () => Tensor, parameters: ReadonlyMap<string, Tensor>): ValueAndGradients {
  if (typeof loss !== 'function') refuse('valueAndGradients', 'loss', loss, 'a function');
  if (!(parameters instanceof Map)) refuse('valueAndGradients', 'parameters', parameters, 'a Map of tensors by name');
  const [first] = parameters.values();
  if (!(first instanceof Tensor)) {
    refuse('valueAndGradients', 'parameters', first ?? parameters, 'at least one tensor by its name');
  }
  return scope(first.gpu, () => {
    const tape = new Tape();
    const value = tape.record(loss);
    if (!(value instanceof Tensor)) refuse('valueAndGradients', 'what the loss gives', value, 'a tensor');
    const found = tape.gradients(value, [...parameters.values()]);
    const gradients = new Map<string, Tensor>();
    for (const [name, tensor] of parameters) {
      const gradient = found.get(tensor);
      if (gradient) gradients.set(name, gradient);
    }
    return { value, gradients };
  });
}

import { CheckpointError } from '../common/errors.js';
import { formatShape, sameShape } from '../common/shapes.js';
import type { HostTensor, HostTensors } from '../nn/host-tensor.js';
import { fromPyTorchLayout, pyTorchShape, transposeValues, withoutCounters } from '../nn/layout.js';
import { buildRecognizer, type RecognizerDescription } from './architectures.js';
import type { Sphere20 } from './sphere20.js';

/** Channels of the map that Sphere20's last layer sees. */
const SPHERE20_CHANNELS = 512;
/** Sizes that Sphere20 is trained for: its last layer tells the area alone. Width, height. */
const SPHERE20_SIZES: readonly (readonly [number, number])[] = [
  [96, 112],
  [112, 112],
];

/** The extents of a tensor; undefined where it is not there. @throws CheckpointError if it has another rank */
function extentsOf(
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
  rank: number,
): readonly number[] | undefined {
  const shape = tensors.get(name)?.shape;
  if (shape && (shape.length !== rank || !shape.every((extent) => extent > 0))) {
    throw new CheckpointError(`${name}: the file has ${formatShape(shape)}; expected rank ${rank} and no empty axis`);
  }
  return shape;
}

/**
 * Which of the known networks a PyTorch state dict is of, by the names and shapes of its tensors; null for none.
 * Its conv weights are [Cout, Cin, kh, kw].
 * @throws CheckpointError if a tensor that tells the sizes has another rank than it can have
 */
export function recognizeStateDict(tensors: ReadonlyMap<string, HostTensor>): RecognizerDescription | null {
  if (tensors.has('linear7.conv.weight') && tensors.has('blocks.0.conv.0.weight')) {
    const [, , height, width] = extentsOf(tensors, 'linear7.conv.weight', 4)!;
    return { architecture: 'mobilefacenet', height: 16 * height, width: 16 * width };
  }
  if (tensors.has('gdconv.depthwise.weight') && tensors.has('features.0.conv.0.0.weight')) {
    return { architecture: 'mobilefacenet-relu6' };
  }
  if (tensors.has('stages.0.weight') && tensors.has('fc.weight')) {
    const [dimension, features] = extentsOf(tensors, 'fc.weight', 2)!;
    const isSize = ([w, h]: readonly [number, number]): boolean => (w / 16) * (h / 16) * SPHERE20_CHANNELS === features;
    const size = SPHERE20_SIZES.find(isSize);
    if (!size) {
      const known = SPHERE20_SIZES.map((sides) => sides.join('×')).join(' and ');
      throw new CheckpointError(`fc.weight: ${features} inputs are not those of Sphere20 for faces of ${known}`);
    }
    return { architecture: 'sphere20', dimension, width: size[0], height: size[1] };
  }
  return null;
}

/** What programs put before the names of a network's tensors: DataParallel, torch.compile, Lightning, and what people call it. */
const WRAPPERS = ['module', '_orig_mod', 'model', 'backbone', 'net', 'network', 'encoder', 'student', 'ema', 'online'];

/** Splits a name into the wrappers before it and the rest; what torch.compile puts inside is left out of that. */
function unwrapped(name: string): { wrappers: string; rest: string } {
  const parts = name.split('.').filter((part, k) => part !== '_orig_mod' || k === 0);
  let first = 0;
  while (first < parts.length - 1 && WRAPPERS.includes(parts[first])) first++;
  const rest = parts.slice(first).join('.');
  return { wrappers: parts.slice(0, first).join('.'), rest };
}

/**
 * The tensors of a state dict without the names of wrappers before theirs, in whatever order and however often. Where networks
 * of several wrappers are in it (a recogniser and the head it was trained with), the one that is known is taken; else the
 * tensors stay as they are.
 */
export function withoutWrappers(tensors: ReadonlyMap<string, HostTensor>): HostTensors {
  const groups = new Map<string, HostTensors>();
  for (const [name, tensor] of tensors) {
    const { wrappers, rest } = unwrapped(name);
    groups.set(wrappers, (groups.get(wrappers) ?? new Map()).set(rest, tensor));
  }
  const all = [...groups.values()];
  if (all.length === 1) return all[0];
  const known = all.filter((group) => recognizeStateDict(group) !== null);
  return known.length === 1 ? known[0] : new Map(tensors);
}

/** What keeps tensors from fitting: a line for each kind, with a few names and how many there are. */
export function misfits(
  given: ReadonlyMap<string, HostTensor>,
  wanted: ReadonlyMap<string, readonly number[]>,
): string[] {
  const missing = [...wanted.keys()].filter((name) => !given.has(name));
  const unexpected = [...given.keys()].filter((name) => !wanted.has(name));
  const reshaped = [...wanted].flatMap(([name, shape]) => {
    const found = given.get(name)?.shape;
    return found && !sameShape(found, shape) ? [`${name} ${formatShape(found)}, not ${formatShape(shape)}`] : [];
  });
  return Object.entries({ missing, unexpected, 'of another shape': reshaped }).flatMap(([kind, names]) => {
    if (names.length === 0) return [];
    const more = names.length > 3 ? `, and ${names.length - 3} more` : '';
    return [`${names.length} ${kind}: ${names.slice(0, 3).join(', ')}${more}`];
  });
}

/**
 * The tensors of a PyTorch state dict as a network here has them: axes in this engine's order, the inputs of Sphere20's
 * last layer too, and `num_batches_tracked` left out.
 * @throws CheckpointError that names what is missing, unexpected and of another shape
 */
export function fromStateDict(
  description: RecognizerDescription,
  tensors: ReadonlyMap<string, HostTensor>,
): HostTensors {
  const network = buildRecognizer(description);
  const used = withoutCounters(tensors);
  const wanted = [...network.entries()].map(([name, p]) => [name, pyTorchShape(p.shape, p.layout)] as const);
  const problems = misfits(used, new Map(wanted));
  if (problems.length > 0) {
    throw new CheckpointError(`the tensors do not fit ${description.architecture}: ${problems.join('; ')}`);
  }
  if (description.architecture === 'sphere20') {
    used.set('fc.weight', channelsLast(used.get('fc.weight')!, network as Sphere20));
  }
  return fromPyTorchLayout(network, used);
}

/** A last layer [D, C·H·W] of PyTorch's flattened channels, rows, columns, for rows, columns, channels. */
function channelsLast({ shape: [dimension, features], data }: HostTensor, { width, height }: Sphere20): HostTensor {
  const map = [dimension, SPHERE20_CHANNELS, height / 16, width / 16];
  return { shape: [dimension, features], data: transposeValues({ shape: map, data }, [0, 2, 3, 1]).data };
}

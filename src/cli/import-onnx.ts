import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import { sameShape, sizeOf } from '../common/shapes.js';
import { inOnnxFile, type OnnxFile } from '../data/checkpoints/onnx-source.js';
import { type Architecture, buildRecognizer, type RecognizerDescription } from '../models/architectures.js';
import { RECOGNIZER_KEY } from '../models/recognizer-file.js';
import { fromStateDict, recognizeStateDict, withoutWrappers } from '../models/state-dict.js';
import type { HostTensor, HostTensors } from '../nn/host-tensor.js';
import { transposeValues, withoutCounters } from '../nn/layout.js';
import { type ModelProto, readModel } from '../onnx/model.js';
import { hostType, tensorValues } from '../onnx/tensor-values.js';

/** Weights of an ONNX file. */
export interface OnnxWeights {
  /** The network that the file is; absent for another graph. */
  description?: RecognizerDescription;
  /** In the layouts of this engine if the network is known; else as in the file. */
  tensors: HostTensors;
  /** Arrays that are left out, since they are no floats. */
  leftOut: number;
}

/** Reads the weights of an ONNX file. @throws CheckpointError, FileError */
export function readOnnxWeights({ path, bytes, external }: OnnxFile, architecture?: Architecture): OnnxWeights {
  return inOnnxFile(path, () => {
    const model = readModel(bytes);
    const { initializers } = model.graph;
    const floats = initializers.filter(({ type }) => hostType(type) === 'float32');
    const tensors: HostTensors = new Map(
      floats.map((tensor) => {
        const { shape, data } = tensorValues(tensor, external);
        return [tensor.name, { shape, data: data as Float32Array }];
      }),
    );
    const known = ownNetwork(model, tensors) ?? publishedNetwork(model, tensors);
    if (architecture !== undefined && architecture !== known?.description.architecture) {
      const found = known ? `a ${known.description.architecture}` : 'no network that is known';
      throw new CheckpointError(`it is ${found}, but --architecture ${architecture} was given`);
    }
    return { ...(known ?? { tensors }), leftOut: initializers.length - floats.length };
  });
}

type Known = Required<Pick<OnnxWeights, 'description' | 'tensors'>>;

/** The same values where only axes of one element differ; undefined where more does. */
function asShape(tensor: HostTensor | undefined, shape: readonly number[]): HostTensor | undefined {
  const long = (sizes: readonly number[]): number[] => sizes.filter((size) => size !== 1);
  return tensor && sameShape(long(tensor.shape), long(shape)) ? { shape, data: tensor.data } : undefined;
}

/** A recogniser that `cameo export` wrote, which says what it is. */
function ownNetwork({ metadata }: ModelProto, tensors: HostTensors): Known | undefined {
  const text = metadata.get(RECOGNIZER_KEY);
  if (text === undefined) return undefined;
  const description = parseProgramJson(text, `metadata "${RECOGNIZER_KEY}"`) as RecognizerDescription;
  const entries = [...buildRecognizer(description).entries()];
  return {
    description,
    tensors: new Map(
      entries.map(([name, { shape, layout }]) => {
        const stored = tensors.get(name);
        const isConv = layout === 'conv' || layout === 'convTranspose';
        const turned = stored && isConv ? transposeValues(stored, [2, 3, 1, 0]) : stored;
        const found = asShape(turned, shape);
        if (found && sizeOf(shape) === found.data.length) return [name, found];
        throw new CheckpointError(
          `${name}: it has ${stored ? `[${stored.shape}]` : 'none'}; a ${description.architecture} needs [${shape}]`,
        );
      }),
    ),
  };
}

/**
 * A published network that was exported with the names of its state dict, and with batch norm that was not folded into convolutions. It has
 * to take pixels as it does here.
 */
function publishedNetwork({ metadata, graph }: ModelProto, tensors: HostTensors): Known | undefined {
  const norms = graph.nodes.filter(({ operator }) => operator === 'BatchNormalization');
  const usual = norms.every(({ attributes }) => Math.abs((attributes.get('epsilon')?.float ?? 1e-5) - 1e-5) < 1e-9);
  if (!usual || ['mean', 'scale', 'channels'].some((key) => metadata.has(key))) return undefined;
  const named = withoutCounters(withoutWrappers(tensors));
  const description = recognizeStateDict(named);
  if (!description) return undefined;
  const wanted = buildRecognizer(description).entries();
  // Other arrays are constants of the graph. Slopes of PReLU have axes for rows and columns.
  const own = [...named].filter(([name]) => wanted.has(name));
  const shaped = own.map(([name, tensor]): [string, HostTensor] => {
    const { layout, shape } = wanted.get(name)!;
    return [name, (layout === 'plain' && asShape(tensor, shape)) || tensor];
  });
  return { description, tensors: fromStateDict(description, new Map(shaped)) };
}

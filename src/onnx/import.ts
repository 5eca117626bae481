import { checkOptions, refuse } from '../common/arguments.js';
import { ArgumentError, FormatError } from '../common/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { transposeValues } from '../nn/layout.js';
import { Parameter, type ParameterLayout } from '../nn/parameter.js';
import type { UnsupportedPart } from './errors.js';
import type { Plan } from './graph-plan.js';
import { type GraphProto, type ModelProto, readModel } from './model.js';
import { OnnxModule, type OnnxModuleOptions } from './module.js';
import { checkGraph, planGraph, refuseParts, typeProblem } from './plan.js';
import { type ExternalData, tensorValues } from './tensor-values.js';
import type { HostValue } from './values.js';

/** Options of `importOnnx`. */
export interface ImportOptions extends OnnxModuleOptions {
  /**
   * Gives the bytes of a file beside the model that holds weights, by its name in the model. The name comes from the model, so do not open
   * just any path: `externalDataIn` of `cameo/node` reads only inside one folder.
   */
  external?: ExternalData;
}

/** The versions of operators that are known. */
const OPSETS = [7, 28];

/**
 * Makes a network of an ONNX file. It is in evaluation mode; `train()` makes batch normalization use the statistics of the batch.
 * Nothing in the file is executed. 64-bit integers become int32, and other floats float32.
 * @param bytes of the file
 * @throws FormatError for a damaged file; UnsupportedModelError, before any GPU work, with the list of all nodes that are not supported
 */
export function importOnnx(gpu: Gpu, bytes: Uint8Array, options: ImportOptions = {}): OnnxModule {
  if (!(gpu instanceof Gpu)) refuse('importOnnx', 'gpu', gpu, 'a Gpu');
  if (!(bytes instanceof Uint8Array)) refuse('importOnnx', 'bytes', bytes, 'a Uint8Array');
  const { external, ...rest } = checkOptions('importOnnx', options, ['layout', 'seed', 'step', 'external']);
  if (rest.layout !== undefined && rest.layout !== 'file' && rest.layout !== 'nhwc') {
    refuse('importOnnx', 'layout', rest.layout, '"file" or "nhwc"');
  }
  const model = readSupportedModel(bytes);
  const initial = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensorValues(tensor, external)]));
  const plan = planGraph(model.graph, model.opsets.get('') ?? OPSETS[1], initial);
  const roles = parametersOf(model.graph, plan);
  const parameters = new Map<string, Parameter>();
  const constants = new Map(plan.constants);
  try {
    for (const [name, role] of roles) {
      parameters.set(name, parameter(gpu, name, constants.get(name)!, role));
      constants.delete(name);
    }
  } catch (error) {
    for (const made of parameters.values()) made.dispose();
    throw error;
  }
  return new OnnxModule(gpu, model, { ...plan, constants }, parameters, rest);
}

/** Reads a file, and checks all its nodes; that takes no GPU. @throws as `importOnnx` */
export function readSupportedModel(bytes: Uint8Array): ModelProto {
  const model = readModel(bytes);
  refuseParts(problemsOf(model));
  return model;
}

function problemsOf({ graph, opsets, others }: ModelProto): UnsupportedPart[] {
  const opset = opsets.get('');
  const parts: UnsupportedPart[] = others.map((reason) => ({ node: '', operator: '', reason }));
  if (opset !== undefined && !(opset >= OPSETS[0] && opset <= OPSETS[1])) {
    parts.push({
      node: '',
      operator: '',
      reason: `version ${opset} of the operators; expected ${OPSETS[0]} to ${OPSETS[1]}`,
    });
  }
  if (graph.outputs.length === 0) throw new FormatError('ONNX: the graph has no outputs');
  const initial = new Set(graph.initializers.map(({ name }) => name));
  for (const { name, type } of graph.inputs) if (!initial.has(name)) parts.push(...typeProblem(name, type));
  return [...parts, ...checkGraph(graph, opsets)];
}

interface Role {
  layout: ParameterLayout;
  trainable: boolean;
}

/** Float32 arrays of the file that nodes use as they are, and how; not those that must be known on the host. */
function parametersOf(graph: GraphProto, { steps, constants, outputs }: Plan): Map<string, Role> {
  const roles = new Map<string, Role>();
  const excluded = new Set<string>(outputs);
  const initial = new Set(graph.initializers.map(({ name }) => name));
  for (const { view, operator, inputs, captured } of steps.flatMap((step) => step.parts ?? [step])) {
    for (const name of captured) excluded.add(name);
    inputs.forEach((name, k) => {
      const value = constants.get(name);
      if (!value || !initial.has(name)) return;
      if (value.dtype !== 'float32' || value.shape.length === 0 || value.size === 0) return;
      if (!operator.run || k >= (operator.hostFrom ?? Infinity)) excluded.add(name);
      const isKernel = k === 1 && value.shape.length === 4;
      const layout: ParameterLayout =
        isKernel && view.operator === 'Conv'
          ? 'conv'
          : isKernel && view.operator === 'ConvTranspose'
            ? 'convTranspose'
            : 'plain';
      const statistic = view.operator === 'BatchNormalization' && k >= 3;
      const before = roles.get(name);
      roles.set(name, {
        layout: before && before.layout !== layout ? 'plain' : layout,
        trainable: (before?.trainable ?? true) && !statistic,
      });
    });
  }
  for (const name of excluded) roles.delete(name);
  return roles;
}

/** Weights of convolutions are put in their order here, once. */
function parameter(gpu: Gpu, name: string, value: HostValue, { layout, trainable }: Role): Parameter {
  const file = { shape: value.shape, data: value.data as Float32Array };
  const { shape, data } = layout === 'plain' ? file : transposeValues(file, [2, 3, 1, 0]);
  const init = (): never => {
    throw new ArgumentError(`parameter "${name}": an imported network has the weights of its file`);
  };
  const made = new Parameter(name, { shape, layout, init }, trainable);
  made.set(gpu, data);
  return made;
}

export { Adam, type AdamOptions } from './adam.js';
export { clipGradients } from './clip.js';
export {
  type HostTensor,
  type HostTensors,
  withoutPrefix,
  withPrefix,
} from './host-tensor.js';
export { filled, heNormal, type Initializer, xavierUniform } from './init.js';
export { BatchNorm, type BatchNormOptions } from './layers/batch-norm.js';
export { Residual, Sequential } from './layers/containers.js';
export { Conv2d, type ConvLayerOptions, ConvTranspose2d, type ConvTransposeLayerOptions } from './layers/conv.js';
export { Dropout, type DropoutLayerOptions } from './layers/dropout.js';
export { Embedding, type EmbeddingOptions } from './layers/embedding.js';
export { Linear, type LinearOptions } from './layers/linear.js';
export { GroupNorm, InstanceNorm, LayerNorm, type NormLayerOptions } from './layers/norms.js';
export { AvgPool2d, Flatten, MaxPool2d, ReLU, Reshape, Sigmoid, Upsample } from './layers/plain.js';
export { PReLU } from './layers/prelu.js';
export { fromPyTorchLayout, toPyTorchLayout } from './layout.js';
export { Layer, Module } from './module.js';
export { Muon, type MuonOptions } from './muon.js';
export { Optimizer } from './optimizer.js';
export { Parameter, type ParameterLayout, type ParameterSpec } from './parameter.js';
export { readSafetensors, type Safetensors, writeSafetensors } from './safetensors.js';
export { constant, cosine, type Schedule, stepDecay, warmUp } from './schedule.js';
export { SGD, type SgdOptions } from './sgd.js';
export { type LoadOptions, type LoadResult, loadState, saveState } from './state.js';
export { type ValueAndGradients, valueAndGradients } from './value-and-gradients.js';

/**
 * `cameo/onnx`: networks of ONNX files as modules of the engine, and networks of the engine as ONNX files. It imports no package and
 * nothing of Node, so it runs in a browser as it is.
 */
export { UnsupportedModelError, type UnsupportedPart } from './errors.js';
export { exportOnnx, type OnnxExportOptions, type OnnxInputs, type OnnxOutputs } from './export/export.js';
export { type ImportOptions, importOnnx } from './import.js';
export { type HostArray, type OnnxInput, OnnxModule, type OnnxModuleOptions } from './module.js';
export type { ExternalData } from './tensor-values.js';

import { PipelineCache } from '../../src/gpu/pipelines.js';
import { everyKernel, type KernelText, nullDevice } from './every-kernel.js';
import { sourceOfLine } from './wgsl-source.js';

/*
 * tsx kernels-test/shaders/check-wgsl.ts: compiles every kernel of the engine on Dawn's null backend, and prints the file and line in
 * `shaders/` of each error. It is part of `npm run check`.
 */

/** The error for a kernel; null if it compiles. */
export async function complaint(device: GPUDevice, { of, kernel }: KernelText): Promise<string | null> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: kernel.label, code: kernel.wgsl });
  // The layout follows from the kernel's letters and sizes, which must fit its text.
  const bindGroupLayouts = [new PipelineCache(device, () => {}).groupLayout(kernel)];
  const layout = device.createPipelineLayout({ bindGroupLayouts });
  device.createComputePipeline({ layout, compute: { module, entryPoint: 'main' } });
  const error = await device.popErrorScope();
  if (!error) return null;
  const { messages } = await module.getCompilationInfo();
  const lines = kernel.wgsl.split('\n');
  const places = messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, message }) => {
      const line = lines[lineNum - 1] ?? '';
      return `${sourceOfLine(line) ?? 'shaders'}: ${message}\n    ${line.trim()}`;
    });
  return `${kernel.label} (${of})\n  ${places.join('\n  ') || error.message}`;
}

async function main(): Promise<void> {
  const device = await nullDevice();
  const kernels = await everyKernel(device);
  const complaints: string[] = [];
  for (const kernel of kernels) {
    const text = await complaint(device, kernel);
    if (text) complaints.push(text);
  }
  for (const text of complaints) console.error(text);
  console.log(`${kernels.length - complaints.length} of ${kernels.length} kernels compile`);
  process.exitCode = complaints.length > 0 ? 1 : 0;
}

if (process.argv[1]?.endsWith('check-wgsl.ts')) await main();

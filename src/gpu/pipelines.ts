import { GpuError } from '../common/errors.js';
import type { GPUBindGroupLayout, GPUComputePipeline, GPUDevice } from '../common/platform-types.js';
import type { Shader } from '../common/shader.js';
import type { Kernel } from './kernel.js';

const BINDING_TYPES: Record<string, GPUBufferBindingType> = { r: 'read-only-storage', w: 'storage', u: 'uniform' };
const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE; Node has no such global

interface Family {
  layout: GPUBindGroupLayout;
  pipelines: Map<string, GPUComputePipeline>;
}

/** Bind group layouts by their letters and sizes, and the pipelines of each by their WGSL text; all live as long as the device. */
export class PipelineCache {
  #families = new Map<string, Family>();
  #checks: Promise<void>[] = [];

  /** @param onError called some time after `get`, with the label, for a kernel that the device does not compile */
  constructor(
    private readonly device: GPUDevice,
    private readonly onError: (error: Error) => void,
  ) {}

  get size(): number {
    let sum = 0;
    for (const { pipelines } of this.#families.values()) sum += pipelines.size;
    return sum;
  }

  /** The pipeline of a kernel and the layout of its bind groups. */
  get(kernel: Kernel): { pipeline: GPUComputePipeline; layout: GPUBindGroupLayout } {
    const family = this.#family(kernel);
    let pipeline = family.pipelines.get(kernel.wgsl);
    if (!pipeline) {
      pipeline = this.#compile(kernel, family);
      family.pipelines.set(kernel.wgsl, pipeline);
    }
    return { pipeline, layout: family.layout };
  }

  groupLayout(shader: Shader): GPUBindGroupLayout {
    return this.#family(shader).layout;
  }

  get settled(): boolean {
    return this.#checks.length === 0;
  }

  /** Waits until every kernel asked for so far is known to compile, or `onError` was called. */
  async settle(): Promise<void> {
    while (this.#checks.length > 0) await this.#checks.pop();
  }

  #compile({ label, wgsl }: Kernel, { layout, pipelines }: Family): GPUComputePipeline {
    const { device } = this;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label, code: wgsl });
    const pipeline = device.createComputePipeline({
      label,
      // Not shared: wgpu (Firefox, Deno) learns how large a shader's bindings must be when the layout changes, so with
      // a shared layout, the next pipeline of a pass would have to meet the sizes of the one before.
      layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    const check = async () => {
      const error = await device.popErrorScope();
      if (!error) return;
      pipelines.delete(wgsl); // a later request for it reports the error again
      this.onError(new GpuError(`kernel "${label}" does not compile: ${await mistakes(module, error)}`));
    };
    this.#checks.push(check().catch(() => {})); // a lost device rejects; the loss itself is reported by Gpu
    return pipeline;
  }

  #family({ bindings, bindingSizes }: Shader): Family {
    const key = bindingSizes ? `${bindings} ${bindingSizes}` : bindings;
    let family = this.#families.get(key);
    if (!family) {
      const layout = this.device.createBindGroupLayout({
        label: key,
        entries: [...bindings].map((letter, binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type: BINDING_TYPES[letter], minBindingSize: bindingSizes?.[binding] },
        })),
      });
      family = { layout, pipelines: new Map() };
      this.#families.set(key, family);
    }
    return family;
  }
}

/** The errors of a shader with their lines, which not every browser puts into the error itself. */
async function mistakes(module: GPUShaderModule, error: GPUError): Promise<string> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter(({ type }) => type === 'error');
  if (errors.length === 0) return error.message;
  return errors.map(({ lineNum, linePos, message }) => `line ${lineNum}:${linePos} ${message.trim()}`).join('\n');
}

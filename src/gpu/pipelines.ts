import type { Kernel } from './kernel.js';

const BINDING_TYPES: Record<string, GPUBufferBindingType> = { r: 'read-only-storage', w: 'storage', u: 'uniform' };
const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE; Node has no such global

/** Pipelines by WGSL text, and bind group layouts by their letters; both live as long as the device. */
export class PipelineCache {
  #pipelines = new Map<string, GPUComputePipeline>();
  #groupLayouts = new Map<string, GPUBindGroupLayout>();

  constructor(private readonly device: GPUDevice) {}

  get size(): number {
    return this.#pipelines.size;
  }

  get(kernel: Kernel): GPUComputePipeline {
    let pipeline = this.#pipelines.get(kernel.wgsl);
    if (!pipeline) {
      pipeline = this.device.createComputePipeline({
        label: kernel.label,
        // Not shared: wgpu (Firefox, Deno) learns how large a shader's bindings must be when the layout changes, so that with
        // a shared one, the next pipeline of a pass would be held to the sizes of the one before.
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [this.groupLayout(kernel.bindings)] }),
        compute: {
          module: this.device.createShaderModule({ label: kernel.label, code: kernel.wgsl }),
          entryPoint: 'main',
        },
      });
      this.#pipelines.set(kernel.wgsl, pipeline);
    }
    return pipeline;
  }

  groupLayout(bindings: string): GPUBindGroupLayout {
    let layout = this.#groupLayouts.get(bindings);
    if (!layout) {
      layout = this.device.createBindGroupLayout({
        label: bindings,
        entries: [...bindings].map((letter, binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type: BINDING_TYPES[letter] },
        })),
      });
      this.#groupLayouts.set(bindings, layout);
    }
    return layout;
  }
}

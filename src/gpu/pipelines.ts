import type { Kernel } from './kernel.js';

const BINDING_TYPES: Record<string, GPUBufferBindingType> = { r: 'read-only-storage', w: 'storage', u: 'uniform' };
const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE; Node has no such global

/** Pipelines by WGSL text, and bind group layouts by their letters; both live as long as the device. */
export class PipelineCache {
  #pipelines = new Map<string, GPUComputePipeline>();
  #layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();

  constructor(private readonly device: GPUDevice) {}

  get size(): number {
    return this.#pipelines.size;
  }

  get(kernel: Kernel): GPUComputePipeline {
    let pipeline = this.#pipelines.get(kernel.wgsl);
    if (!pipeline) {
      pipeline = this.device.createComputePipeline({
        label: kernel.label,
        layout: this.#layout(kernel.bindings).pipeline,
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
    return this.#layout(bindings).group;
  }

  #layout(bindings: string) {
    let layout = this.#layouts.get(bindings);
    if (!layout) {
      const group = this.device.createBindGroupLayout({
        label: bindings,
        entries: [...bindings].map((letter, binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type: BINDING_TYPES[letter] },
        })),
      });
      layout = { group, pipeline: this.device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      this.#layouts.set(bindings, layout);
    }
    return layout;
  }
}

/*
 * Types of the platform that the public declarations name. A program sees its own where it has them: TypeScript's "dom",
 * npm @webgpu/types, or @types/node. Where it has none, it sees the few members below, so that it compiles without any of them.
 */

/** The type of a global class, or a stand-in where the program's TypeScript does not know that class. */
type Platform<Name extends string, StandIn> =
  typeof globalThis extends Record<Name, { prototype: infer T }> ? T : StandIn;

interface LabelledObject {
  label: string;
}

interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

interface Buffer extends LabelledObject {
  readonly size: number;
  readonly usage: number;
  destroy(): void;
}

interface Device extends LabelledObject {
  readonly features: ReadonlySet<string>;
  readonly limits: object;
  readonly queue: LabelledObject;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  destroy(): void;
}

interface Adapter {
  readonly features: ReadonlySet<string>;
  readonly limits: object;
  readonly info: AdapterInfo;
  requestDevice(descriptor?: object): Promise<Device>;
}

interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
}

export type GPUAdapter = Platform<'GPUAdapter', Adapter>;
export type GPUAdapterInfo = Platform<'GPUAdapterInfo', AdapterInfo>;
export type GPUBindGroup = Platform<'GPUBindGroup', LabelledObject>;
export type GPUBindGroupLayout = Platform<'GPUBindGroupLayout', LabelledObject>;
export type GPUBuffer = Platform<'GPUBuffer', Buffer>;
export type GPUComputePipeline = Platform<'GPUComputePipeline', LabelledObject>;
export type GPUDevice = Platform<'GPUDevice', Device>;
export type GPUSupportedFeatures = Platform<'GPUSupportedFeatures', ReadonlySet<string>>;
export type AbortSignal = Platform<'AbortSignal', Signal>;

/** A part of a buffer, as WebGPU's dictionary of that name has it. */
export interface GPUBufferBinding {
  buffer: GPUBuffer;
  offset?: number;
  size?: number;
}

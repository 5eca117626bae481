// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { doctor } from '../../src/cli/doctor.js';
import { doctorAdvice, type Machine } from '../../src/cli/doctor-advice.js';
import { BrokenAdapterError, NoAdapterError } from '../../src/common/errors.js';
import { listAdapters, openFound, openGpu, requestAdapter } from '../../src/gpu/node/adapters.js';
import { openAdapter } from '../../src/gpu/open.js';
import { cameoHere } from './cli-here.js';

/** Runs the doctor with CAMEO_ADAPTER set. */
async function runDoctor(adapter: string): Promise<{ failure: string; text: string }> {
  const before = process.env.CAMEO_ADAPTER;
  process.env.CAMEO_ADAPTER = adapter;
  const lines: string[] = [];
  try {
    const failure = await doctor((line) => lines.push(line));
    return { failure, text: lines.join('\n') };
  } finally {
    if (before === undefined) delete process.env.CAMEO_ADAPTER;
    else process.env.CAMEO_ADAPTER = before;
  }
}

/** An object with some members replaced; its other methods run on the original. */
function withMethods<T extends object>(target: T, methods: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(target, {
    get(_, key) {
      if (key in methods) return methods[key as keyof T];
      const value = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The adapter, but with a device that accepts every command and drops each dispatch. */
function deafAdapter(adapter: GPUAdapter, dropped: { count: number }): GPUAdapter {
  return withMethods(adapter, {
    requestDevice: async (descriptor: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      return withMethods(device, {
        createCommandEncoder: () => {
          const encoder = device.createCommandEncoder();
          return withMethods(encoder, {
            beginComputePass: () =>
              withMethods(encoder.beginComputePass(), { dispatchWorkgroups: () => void dropped.count++ }),
          });
        },
      });
    },
  });
}

test('doctor lists every adapter that it finds, and takes the preferred one', async () => {
  const found = await listAdapters();
  assert.ok(found.length > 0);
  const { failure, text } = await runDoctor('');
  assert.is(failure, '');
  for (const { name, kind } of found) {
    assert.ok(text.includes(`${name}\n    kind: ${kind}, through `), name);
  }
  assert.match(text, `adapters found: ${found.length} (* is taken)`);
  assert.match(text, /known-answer kernel: passed\n {4}features: .+\n {4}limits: largest buffer [\d.]+ [GM]iB/);
  assert.match(text, /npm webgpu \(Dawn\): \d+\.\d+\.\d+/);
  const gpu = await openGpu({ adapter: '' });
  assert.match(text, new RegExp(`\\* .*\\n {4}kind: ${gpu.description.kind}`));
  gpu.destroy();
});

test('CAMEO_ADAPTER chooses the adapter by kind or by a part of its name', async () => {
  const last = (await listAdapters()).at(-1)!;
  for (const value of [last.kind.toUpperCase(), last.name.slice(0, -1)]) {
    const { failure, text } = await runDoctor(value);
    assert.is(failure, '');
    assert.match(text, `taken: ${last.name}, because CAMEO_ADAPTER is "${value}"`);
  }
});

test('an adapter that does not exist is an error that lists the existing ones', async () => {
  const { failure, text } = await runDoctor('nonexistent');
  assert.match(failure, 'NoAdapterError: no WebGPU adapter fits "nonexistent"');
  assert.match(text, 'NoAdapterError: no WebGPU adapter fits "nonexistent" (found: "');
  const error = await openGpu({ adapter: 'nonexistent' }).catch((reason) => reason);
  assert.instance(error, NoAdapterError);
  assert.ok(text.includes(error.message));
  for (const words of [['doctor'], ['doctor', '--json']]) {
    const run = await cameoHere(words, { CAMEO_ADAPTER: 'nonexistent' });
    assert.is(run.code, 2);
    assert.equal(run.complaints, [`cameo: ${failure}`]);
  }
});

test('an adapter that computes nothing is refused', async () => {
  const [found] = await listAdapters();
  const sane = await openFound(found);
  sane.destroy();
  const adapter = await requestAdapter(found);
  const dropped = { count: 0 };
  const error = await openAdapter(deafAdapter(adapter!, dropped), {}, found).catch((reason) => reason);
  assert.instance(error, BrokenAdapterError);
  assert.match(error.message, /does not compute: element 0 of the known-answer kernel is 0, not -1749.5/);
  assert.is(dropped.count, 1);
});

test('an adapter that gives no device is refused', async () => {
  const [found] = await listAdapters();
  const adapter = await requestAdapter(found);
  const mute = withMethods(adapter!, { requestDevice: () => Promise.reject(new Error('the driver said no')) });
  const error = await openAdapter(mute).catch((reason) => reason);
  assert.instance(error, NoAdapterError);
  assert.match(error.message, /gave no device: the driver said no$/);
});

test('the advice fits the operating system', () => {
  const linux: Machine = { platform: 'linux', arch: 'x64', taken: 'swiftshader', gpuNode: 'none' };
  const advice = (change: Partial<Machine>) => doctorAdvice({ ...linux, ...change }).join('\n');
  assert.is(advice({ taken: 'hardware' }), '');
  assert.match(advice({}), 'apt install mesa-vulkan-drivers');
  assert.not.match(advice({ taken: 'lavapipe' }), 'apt install');
  assert.match(advice({ taken: 'lavapipe', gpuNode: 'forbidden' }), 'usermod -aG render,video');
  assert.match(advice({ taken: 'lavapipe', gpuNode: 'accessible' }), 'NVIDIA');
  assert.match(advice({ taken: null }), 'npm install @sparticuz/chromium');
  assert.not.match(advice({ taken: null, arch: 'arm64' }), '@sparticuz/chromium');
  assert.match(advice({ platform: 'darwin', taken: null }), 'Metal');
  assert.match(advice({ platform: 'win32', taken: 'other software' }), 'Direct3D 12');
});

test.run();

// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bindings, read, shader, uniform, vectorType, write } from '../../shaders/common/bindings.js';
import { ArgumentError } from '../../src/common/errors.js';
import type { Kernel } from '../../src/gpu/kernel.js';
import { PipelineCache } from '../../src/gpu/pipelines.js';
import { nullDevice } from './every-kernel.js';

/** The declarations of bindings, one after the other, and the binding letters and sizes of the kernel. */
function declared(bindings: Bindings) {
  const { wgsl, ...layout } = shader(bindings, (declarations) => declarations);
  return { lines: wgsl.trim().split('\n'), layout };
}

const plan = uniform({ rows: 'u32', size: 'vec2u', scale: 'f32' });

test('a declaration gives the lines of WGSL, the binding letters and the least sizes', () => {
  const { lines, layout } = declared({ xs: read('vec4f'), slopes: read('f32'), ys: write('vec4<f16>'), plan });
  assert.equal(lines, [
    '@group(0) @binding(0) var<storage, read> xs: array<vec4f>;',
    '@group(0) @binding(1) var<storage, read> slopes: array<f32>;',
    '@group(0) @binding(2) var<storage, read_write> ys: array<vec4<f16>>;',
    'struct Plan { rows: u32, size: vec2u, scale: f32, }',
    '@group(0) @binding(3) var<uniform> plan: Plan;',
  ]);
  assert.equal(layout, { bindings: 'rrwu', bindingSizes: [16, 4, 8, 24] });
});

test('bindings that are false are left out, and the others are numbered without gaps', () => {
  const of = (input: boolean, slope: boolean) =>
    declared({ xs: read('f32'), dxs: input && write('f32'), partials: slope && write('vec2f') });
  assert.equal(of(true, true).layout, { bindings: 'rww', bindingSizes: [4, 4, 8] });
  assert.equal(of(false, true).layout, { bindings: 'rw', bindingSizes: [4, 8] });
  assert.equal(of(false, true).lines, [
    '@group(0) @binding(0) var<storage, read> xs: array<f32>;',
    '@group(0) @binding(1) var<storage, read_write> partials: array<vec2f>;',
  ]);
  assert.is(of(false, false).lines.length, 1);
});

test('elements have the sizes of WGSL, in which a vector of 3 takes as much as one of 4', () => {
  for (const [type, bytes] of [
    ['f32', 4],
    ['u32', 4],
    ['f16', 2],
    ['vec2f', 8],
    ['vec3u', 16],
    ['vec4i', 16],
    ['vec4<f16>', 8],
  ] as const) {
    assert.equal(declared({ xs: read(type) }).layout.bindingSizes, [bytes], type);
  }
  assert.equal(
    ([1, 2, 4] as const).map((width) => vectorType(width)),
    ['f32', 'vec2f', 'vec4f'],
  );
});

test('fields are at the offsets to which WGSL aligns their types', () => {
  for (const [fields, size] of [
    [{ a: 'f32' }, 4],
    [{ a: 'u32', b: 'f32', c: 'i32' }, 12],
    [{ a: 'u32', b: 'vec2f' }, 16],
    [{ a: 'vec2u', b: 'u32' }, 16],
    [{ a: 'vec3f', b: 'f32' }, 16],
    [{ a: 'f32', b: 'vec3f' }, 32],
    [{ a: 'vec4i', b: 'f32' }, 32],
  ] as const) {
    assert.is(uniform(fields).size, size, JSON.stringify(fields));
  }
  const bytes = uniform({ a: 'f32', b: 'vec3i', c: 'u32', d: 'vec2u', e: 'f32' }).pack({
    a: 0.5,
    b: [-1, 2, -3],
    c: 4e9,
    d: [5, 6],
    e: -7,
  });
  assert.is(bytes.byteLength, 48);
  assert.is(new Float32Array(bytes)[0], 0.5);
  assert.equal([...new Int32Array(bytes, 16, 3)], [-1, 2, -3]);
  assert.equal([...new Uint32Array(bytes, 28, 3)], [4e9, 5, 6]);
  assert.is(new Float32Array(bytes)[10], -7);
});

test('fields are packed by their names, in any order', () => {
  const packed = plan.pack({ scale: 0.25, size: [3, 4], rows: 2 });
  assert.equal([...new Uint32Array(packed, 0, 4)], [2, 0, 3, 4]);
  assert.is(new Float32Array(packed)[4], 0.25);
});

test('a field that is missing, unknown or of another length is an error that names it', () => {
  const packing = (values: object) => () => plan.pack(values as never);
  const told = (message: RegExp) => (error: Error) => error instanceof ArgumentError && message.test(error.message);
  assert.throws(packing({ rows: 1, size: [1, 1] }), told(/the uniform takes 1 numbers as scale/));
  assert.throws(packing({ rows: 1, size: 1, scale: 1 }), told(/the uniform takes 2 numbers as size/));
  assert.throws(packing({ rows: 1, size: [1, 1, 1], scale: 1 }), told(/the uniform takes 2 numbers as size/));
  assert.throws(packing({ rows: [1, 2], size: [1, 1], scale: 1 }), told(/the uniform takes 1 numbers as rows/));
  assert.throws(packing({ rows: 1, size: [1, 1], scale: 1, sclae: 1 }), told(/the uniform takes no numbers as sclae/));
});

test('a device accepts the layout, and refuses a layout that does not fit the text', async () => {
  const kernelShader = shader(
    { xs: read('vec3f'), ys: write('f32'), plan },
    (declarations) => `${declarations}
@compute @workgroup_size(1) fn main() { ys[0] = xs[0].x * plan.scale * f32(plan.rows + plan.size.x); }`,
  );
  const complaints = async (changed: Partial<Kernel>): Promise<string[]> => {
    const errors: string[] = [];
    const pipelines = new PipelineCache(await nullDevice(), ({ message }) => errors.push(message));
    pipelines.get({ label: 'own', workgroups: [1, 1, 1], ...kernelShader, ...changed });
    await pipelines.settle();
    return errors;
  };
  assert.equal(await complaints({}), []);
  assert.equal(await complaints({ bindingSizes: undefined }), [], 'letters alone are enough');
  for (const changed of [{ bindings: 'rru' }, { bindingSizes: [12, 4, 24] }, { bindingSizes: [16, 4, 16] }]) {
    assert.is((await complaints(changed)).length, 1, JSON.stringify(changed));
  }
});

test('kernels with equal binding letters and different sizes do not share a layout', async () => {
  const pipelines = new PipelineCache(await nullDevice(), (error) => {
    throw error;
  });
  const of = (type: string) => shader({ xs: read(type) }, () => '');
  assert.is(pipelines.groupLayout(of('f32')), pipelines.groupLayout(of('u32')));
  assert.is.not(pipelines.groupLayout(of('f32')), pipelines.groupLayout(of('vec4f')));
  assert.is.not(pipelines.groupLayout(of('f32')), pipelines.groupLayout({ wgsl: '', bindings: 'r' }));
});

test.run();

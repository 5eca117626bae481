import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CheckpointError, FormatError } from '../../src/common/errors.js';
import { readPyTorchCheckpoint } from '../../src/data/checkpoints/pytorch-checkpoint.js';
import { buildRecognizer } from '../../src/models/architectures.js';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { withoutWrappers } from '../../src/models/state-dict.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { pyTorchShape } from '../../src/nn/layout.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { type Picklable, pickle, writeZip } from './pickle-writer.js';

type Writer = (view: DataView, at: number, value: number) => void;

/** The types of elements. 1.5, −2 and 0.25 are exact in all of them; integer types have 1, −2 and 3. */
const FLOATS: [string, string, number, Writer][] = [
  ['DoubleStorage', 'F64', 8, (view, at, v) => view.setFloat64(at, v, true)],
  ['FloatStorage', 'F32', 4, (view, at, v) => view.setFloat32(at, v, true)],
  ['BFloat16Storage', 'BF16', 2, (view, at, v) => {
    const upper = new DataView(new ArrayBuffer(4));
    upper.setFloat32(0, v);
    view.setUint16(at, upper.getUint16(0), true);
  }],
  ['HalfStorage', 'F16', 2, (view, at, v) => view.setUint16(at, { 1.5: 0x3e00, [-2]: 0xc000, 0.25: 0x3400 }[v]!, true)],
]; // biome-ignore format: one a line
const INTEGERS: [string, string, number, Writer][] = [
  ['LongStorage', 'I64', 8, (view, at, v) => view.setBigInt64(at, BigInt(v), true)],
  ['IntStorage', 'I32', 4, (view, at, v) => view.setInt32(at, v, true)],
  ['ShortStorage', 'I16', 2, (view, at, v) => view.setInt16(at, v, true)],
  ['CharStorage', 'I8', 1, (view, at, v) => view.setInt8(at, v)],
];

function bytesOf(values: readonly number[], size: number, write: Writer): Uint8Array {
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  for (const [k, v] of values.entries()) write(view, k * size, v);
  return bytes;
}

const tensor = (storage: string, key: string, count: number): Picklable => ({
  call: ['torch._utils', '_rebuild_tensor_v2'],
  args: [
    { persistent: { tuple: ['storage', { global: ['torch', storage] }, key, 'cpu', count] } },
    0,
    { tuple: [count] },
    { tuple: [1] },
    false,
    { call: ['collections', 'OrderedDict'], args: [] },
  ],
});

const checkpoint = (object: Picklable, storages: readonly Uint8Array[]): Uint8Array =>
  writeZip([['a/data.pkl', pickle(object)], ...storages.map((data, k) => [`a/data/${k}`, data] as const)]);

/** A safetensors file of one tensor. */
function safetensors(dtype: string, count: number, data: Uint8Array): Uint8Array {
  const header = new TextEncoder().encode(
    JSON.stringify({ w: { dtype, shape: [count], data_offsets: [0, data.length] } }),
  );
  const file = new Uint8Array(8 + header.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  file.set(data, 8 + header.length);
  return file;
}

test('every type of elements is read to the same values from .pth and from safetensors', () => {
  for (const [cases, values] of [
    [FLOATS, [1.5, -2, 0.25]],
    [INTEGERS, [1, -2, 3]],
  ] as const) {
    for (const [storage, dtype, size, write] of cases) {
      const data = bytesOf(values, size, write);
      const fromPth = readPyTorchCheckpoint(checkpoint({ dict: [['w', tensor(storage, '0', 3)]] }, [data]));
      assert.equal([...fromPth.get('w')!.data], values, storage);
      assert.equal([...readSafetensors(safetensors(dtype, 3, data)).tensors.get('w')!.data], values, dtype);
    }
  }
});

test('both readers refuse values that float32 cannot hold, and name the tensor', () => {
  const cases: [string, string, Uint8Array][] = [
    ['LongStorage', 'I64', bytesOf([2 ** 24 + 1], 8, INTEGERS[0][3])],
    ['DoubleStorage', 'F64', bytesOf([1e300], 8, FLOATS[0][3])],
  ];
  for (const [storage, dtype, data] of cases) {
    const pth = checkpoint({ dict: [['w', tensor(storage, '0', 1)]] }, [data]);
    assert.throws(
      () => readPyTorchCheckpoint(pth),
      (error: Error) => error instanceof FormatError && /w: holds .*float32/.test(error.message),
    );
    assert.throws(
      () => readSafetensors(safetensors(dtype, 1, data)),
      (error: Error) => error instanceof CheckpointError && /"w" holds .*float32/.test(error.message),
    );
  }
});

test('plain values next to the weights are ignored, and nothing is executed', () => {
  const call = (module: string, name: string, ...args: Picklable[]): Picklable => ({ call: [module, name], args });
  const beside: [string, Picklable][] = [
    ['namespace', call('argparse', 'Namespace')],
    ['old class', call('copyreg', '_reconstructor', { global: ['argparse', 'Namespace'] }, { global: ['builtins', 'object'] }, null)],
    ['size', call('torch', 'Size', { tuple: [1, 3, 112, 112] })],
    ['device', call('torch', 'device', 'cuda', 0)],
    ['dtype', { global: ['torch', 'bfloat16'] }],
    ['counter', call('collections', 'defaultdict', { global: ['builtins', 'int'] })],
    ['queue', call('collections', 'deque', [1, 2])],
    ['scalar', call('numpy.core.multiarray', 'scalar', call('numpy', 'dtype', 'f8', false, true), call('_codecs', 'encode', 'abcdefgh', 'latin1'))],
    ['array', call('numpy._core.multiarray', '_reconstruct', { global: ['numpy', 'ndarray'] }, { tuple: [0] }, 'b')],
    ['time', call('datetime', 'datetime', 'bytes')],
    ['path', call('pathlib', 'PosixPath', '/', 'home')],
    ['enum', call('my_project.config', 'Mode', 'train')],
    ['set', call('builtins', 'set', [1, 2])],
    ['complex', call('builtins', 'complex', 1, 2)],
    ['called again', call('builtins', 'getattr', { global: ['my_project.config', 'Outer'] }, 'Inner')],
    ['none', null],
    ['big', 12345678901234567890n],
  ]; // biome-ignore format: one a line
  const data = bytesOf([1.5, -2], 4, FLOATS[1][3]);
  const weights: Picklable = { ordered: [['w', tensor('FloatStorage', '0', 2)]] };
  for (const [what, value] of beside) {
    const around: Picklable = {
      dict: [
        ['before', value],
        ['state_dict', weights],
        ['after', [value, { tuple: [value] }]],
      ],
    };
    assert.equal([...readPyTorchCheckpoint(checkpoint(around, [data])).get('w')!.data], [1.5, -2], what);
    const among: Picklable = {
      dict: [
        ['x', value],
        ['w', tensor('FloatStorage', '0', 2)],
      ],
    };
    assert.equal([...readPyTorchCheckpoint(checkpoint(among, [data])).keys()], ['w'], what);
  }
  for (const [module, name] of [
    ['os', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'exec'],
    ['torch', 'load'],
    ['torch.hub', 'load'],
    ['importlib', 'import_module'],
  ] as [string, string][]) {
    const object: Picklable = {
      dict: [
        ['x', call(module, name, 'id')],
        ['w', tensor('FloatStorage', '0', 2)],
      ],
    };
    assert.throws(() => readPyTorchCheckpoint(checkpoint(object, [data])), /nothing was run/);
  }
});

test('opcodes of old and new protocols are read as data', () => {
  const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];
  const beside: Record<string, number[]> = {
    'INT, FLOAT, LONG, STRING, UNICODE of protocol 0': [0x28, ...ascii("I1\nI01\nF2.5\nL123L\nS'a'\nVb\n"), 0x6c],
    'PUT and GET': [...ascii('I5\np900\n0g900\n')],
    'a set of protocol 4': [0x8f, 0x28, 0x4b, 1, 0x4b, 2, 0x90],
    'a frozen set': [0x28, 0x4b, 1, 0x91],
    'long bytes': [0x8e, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
    'a long number': [0x8b, 1, 0, 0, 0, 7],
    'a new object with names': [...ascii('ca.b\nC\n'), 0x29, 0x7d, 0x92],
    'appended to a class': [...ascii('ccollections\ndeque\n'), 0x29, 0x81, 0x28, 0x4b, 1, 0x65],
  };
  const plain = pickle({ dict: [['w', tensor('FloatStorage', '0', 1)]] });
  for (const [what, codes] of Object.entries(beside)) {
    const key = (name: string): number[] => [0x58, 1, 0, 0, 0, ...ascii(name)];
    const bytes = Uint8Array.from([
      0x80,
      2,
      0x7d,
      ...key('x'),
      ...codes,
      0x73,
      ...key('y'),
      ...plain.slice(2, -1),
      0x73,
      0x2e,
    ]);
    const file = writeZip([
      ['a/data.pkl', bytes],
      ['a/data/0', bytesOf([1.5], 4, FLOATS[1][3])],
    ]);
    assert.equal([...readPyTorchCheckpoint(file).get('w')!.data], [1.5], what);
  }
});

/** The tensors of a network, with different values, in PyTorch's layouts. */
function published(): HostTensors {
  const entries = [...buildRecognizer({ architecture: 'mobilefacenet-relu6' }).entries()];
  return new Map(
    entries.map(([name, { shape, layout }]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape: pyTorchShape(shape, layout), data: new Float32Array(size).fill(0.5) }];
    }),
  );
}

const renamed = (tensors: HostTensors, name: (name: string) => string): HostTensors =>
  new Map([...tensors].map(([key, tensor]) => [name(key), tensor]));

test('both readers drop the name prefixes of wrappers, also several and in any order', () => {
  const original = published();
  const names = [...original.keys()];
  const wrapped = [
    '', 'module.', '_orig_mod.', 'model.', 'backbone.', 'net.', 'encoder.', 'module._orig_mod.', '_orig_mod.module.',
    'model.backbone.', 'model.net.module.', 'module.module.', 'model._orig_mod.backbone.module.',
  ]; // biome-ignore format: a list
  for (const prefix of wrapped) {
    const tensors = renamed(original, (name) => prefix + name);
    assert.equal([...withoutWrappers(tensors).keys()], names, prefix);
  }
  const inside = renamed(original, (name) => name.replace('features.', 'features._orig_mod.'));
  assert.equal([...withoutWrappers(inside).keys()], names);
  const withHead = renamed(original, (name) => `model.backbone.${name}`);
  withHead.set('model.head.weight', { shape: [10, 128], data: new Float32Array(1280) });
  withHead.set('criterion.center', { shape: [1], data: new Float32Array(1) });
  assert.equal([...withoutWrappers(withHead).keys()], names);
  const file = writeSafetensors(renamed(original, (name) => `module._orig_mod.${name}`));
  assert.is(readRecognizer(file).description.architecture, 'mobilefacenet-relu6');
  const foreign: HostTensors = new Map([
    ['model.a', original.get(names[0])!],
    ['head.b', original.get(names[0])!],
  ]);
  assert.equal([...withoutWrappers(foreign).keys()], ['model.a', 'head.b']);
});

test('a value that is not finite is refused, and the error names its tensor', () => {
  for (const value of [Number.NaN, Infinity, -Infinity]) {
    const tensors = published();
    const name = [...tensors.keys()].at(-1)!;
    tensors.get(name)!.data[1] = value;
    assert.throws(
      () => readRecognizer(writeSafetensors(tensors)),
      (error: Error) => error instanceof CheckpointError && error.message.startsWith(`${name}: value 1 is ${value}`),
    );
  }
});

test.run();

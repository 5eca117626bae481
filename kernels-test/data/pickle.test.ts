import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { readPickle } from '../../src/data/checkpoints/pickle.js';
import { readPyTorchCheckpoint } from '../../src/data/checkpoints/pytorch-checkpoint.js';
import { temporaryFolder } from '../cli/cli-fixture.js';
import { concat, floats, legacyCheckpoint, type Picklable, pickle, tensor, zipCheckpoint } from './pickle-writer.js';

/** Asserts a FormatError with this message; any other error is thrown on. */
function refusal(run: () => unknown, pattern: RegExp): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    assert.match(error.message, pattern);
    return;
  }
  assert.unreachable(`no error that matches ${pattern}`);
}

/** Tensors as plain lists, for comparisons. */
const plain = (tensors: ReturnType<typeof readPyTorchCheckpoint>) =>
  Object.fromEntries([...tensors].map(([name, { shape, data }]) => [name, [shape, [...data]]]));

const doubles = new Uint8Array(Float64Array.of(0.5, -2).buffer);
const STORAGES = [
  floats([1, 2, 3, 4, 5, 6]),
  { type: 'HalfStorage', count: 3, bytes: new Uint8Array(Uint16Array.of(0x3c00, 0xc100, 1).buffer) },
  { type: 'DoubleStorage', count: 2, bytes: doubles },
  { type: 'LongStorage', count: 1, bytes: new Uint8Array(BigInt64Array.of(-7n).buffer) },
];
const entries = (legacy: boolean): [Picklable, Picklable][] => [
  ['module.a', tensor(STORAGES, 0, [2, 3], { legacy })],
  ['module.turned', tensor(STORAGES, 0, [3, 2], { strides: [1, 3], legacy })],
  ['module.part', tensor(STORAGES, 0, [2], { offset: 4, legacy })],
  [
    'module.half',
    {
      call: ['torch._utils', '_rebuild_parameter'],
      args: [tensor(STORAGES, 1, [3], { legacy }), true, { ordered: [] }],
    },
  ],
  ['module.double', tensor(STORAGES, 2, [2], { legacy })],
  ['module.count', tensor(STORAGES, 3, [], { legacy })],
];
const EXPECTED = {
  a: [
    [2, 3],
    [1, 2, 3, 4, 5, 6],
  ],
  turned: [
    [3, 2],
    [1, 4, 2, 5, 3, 6],
  ],
  part: [[2], [5, 6]],
  half: [[3], [1, -2.5, 2 ** -24]],
  double: [[2], [0.5, -2]],
  count: [[], [-7]],
};
const nested = (legacy: boolean): Picklable => ({
  dict: [
    ['epoch', 3],
    ['optimizer', { dict: [[0, tensor(STORAGES, 0, [1], { legacy })]] }],
    ['state_dict', { ordered: entries(legacy) }],
  ],
});
const CHECKPOINTS = {
  zip: zipCheckpoint(nested(false), STORAGES),
  'deflated zip': zipCheckpoint(nested(false), STORAGES, true),
  legacy: legacyCheckpoint(nested(true), STORAGES),
};

for (const [form, bytes] of Object.entries(CHECKPOINTS)) {
  test(`${form}: the largest dictionary is read without its prefix, from every kind of storage`, () => {
    assert.equal(plain(readPyTorchCheckpoint(bytes)), EXPECTED);
    // The bytes are a view at an odd offset.
    const shifted = concat(Uint8Array.of(0), bytes).subarray(1);
    assert.equal(plain(readPyTorchCheckpoint(shifted)), EXPECTED);
  });

  test(`${form}: a file that is cut or changed anywhere is refused or read, without other errors`, () => {
    const attempt = (damaged: Uint8Array, what: string): boolean => {
      try {
        assert.ok(readPyTorchCheckpoint(damaged).size > 0, what);
        return true;
      } catch (error) {
        if (!(error instanceof FormatError)) throw new Error(`${what}: ${(error as Error).stack}`);
        return false;
      }
    };
    for (let end = 0; end < bytes.length; end++) attempt(bytes.subarray(0, end), `cut at ${end}`);
    const random = new CounterRandom(5);
    let read = 0;
    for (let k = 0; k < 2000; k++) {
      const damaged = bytes.slice();
      for (let n = 1 + random.int(4); n > 0; n--) damaged[random.int(bytes.length)] = random.int(256);
      if (attempt(damaged, `change ${k}`)) read++;
    }
    assert.ok(read > 0 && read < 2000, `${read} of 2000 were read`);
  });
}

for (const [module, name] of [
  ['os', 'system'],
  ['builtins', 'eval'],
  ['torch', 'load'],
  ['torch', 'constructor'],
  ['posix', 'system'],
] as [string, string][]) {
  test(`${module}.${name} is refused, and the error names it`, () => {
    const object: Picklable = { dict: [['a', { call: [module, name], args: ['touch pwned'] }]] };
    const pattern = new RegExp(`it names ${module}\\.${name}, which no state dict needs; nothing was run`);
    refusal(() => readPyTorchCheckpoint(zipCheckpoint(object, [])), pattern);
    refusal(() => readPyTorchCheckpoint(legacyCheckpoint(object, [])), pattern);
  });
}

test('impossible tensors are refused before memory is allocated', () => {
  const one = [floats([1])];
  const read =
    (shape: number[], options = {}) =>
    () =>
      readPyTorchCheckpoint(zipCheckpoint({ dict: [['a', tensor(one, 0, shape, options)]] }, one));
  refusal(read([2]), /the checkpoint, a: a tensor \[2\] that reaches beyond its storage of 1 elements/);
  refusal(read([1], { offset: 1 }), /beyond its storage/);
  refusal(read([1 << 30], { strides: [0] }), /beyond its storage/);
  refusal(read([1], { offset: -1 }), /invalid sizes/);
  refusal(read([1], { strides: [1, 1] }), /1 axes with 2 strides/);
  refusal(
    () => readPyTorchCheckpoint(zipCheckpoint({ dict: [['a', tensor(one, 0, [1])]] }, [])),
    /storage 0 has 0 bytes; expected 4/,
  );
  refusal(() => readPyTorchCheckpoint(zipCheckpoint({ dict: [['a', 1]] }, [])), /holds no tensors/);
  refusal(() => readPyTorchCheckpoint(new TextEncoder().encode('hello')), /neither a zip archive nor a pickle/);
});

test('pickles that are deep, endless, or contain themselves give an error or a value', () => {
  const any = (): boolean => true;
  // This is a dictionary that contains itself: {'a': <itself>}.
  const self = Uint8Array.of(0x80, 2, 0x7d, 0x71, 0, 0x58, 1, 0, 0, 0, 0x61, 0x68, 0, 0x73, 0x2e);
  const system = pickle({ dict: [] });
  const start = concat(pickle(0x1950a86a20f9469cfc6cn), pickle(1001), system);
  refusal(() => readPyTorchCheckpoint(concat(start, self, pickle([]))), /holds no tensors/);
  // These are nested lists, 300,000 deep.
  const depth = 300_000;
  const deep = concat(
    Uint8Array.of(0x80, 2),
    new Uint8Array(depth).fill(0x5d),
    new Uint8Array(depth - 1).fill(0x61),
    Uint8Array.of(0x2e),
  );
  refusal(() => readPyTorchCheckpoint(concat(start, deep, pickle([]))), /holds no tensors/);
  // One APPENDS has more values than a call can have arguments.
  const long = concat(Uint8Array.of(0x80, 2, 0x5d, 0x28), new Uint8Array(depth).fill(0x4e), Uint8Array.of(0x65, 0x2e));
  assert.is((readPickle(long, any).value as unknown[]).length, depth);
  // The name is a list of the same list twice, 60 levels deep: its text would have 2^60 characters.
  const doubling = Array.from({ length: 60 }, () => [0x32, 0x86]).flat();
  refusal(
    () => readPickle(Uint8Array.from([0x80, 4, 0x5d, ...doubling, 0x4e, 0x93, 0x2e]), any),
    /whose name is not a text/,
  );
  refusal(() => readPickle(new Uint8Array(3_000_000).fill(0x4e), any), /more than 2000000 steps/);
});

const SCRIPT = `
import collections, io, os, pickle, struct, sys, types, zipfile
torch = types.ModuleType('torch'); utils = types.ModuleType('torch._utils')
sys.modules['torch'], sys.modules['torch._utils'] = torch, utils
class FloatStorage: pass
FloatStorage.__module__, FloatStorage.__qualname__ = 'torch', 'FloatStorage'
torch.FloatStorage, torch._utils = FloatStorage, utils
def _rebuild_tensor_v2(*args): pass
_rebuild_tensor_v2.__module__ = 'torch._utils'
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
class Reference:
    def __init__(self, key, count): self.key, self.count = key, count
class Tensor:
    def __init__(self, *args): self.args = args
    def __reduce__(self): return _rebuild_tensor_v2, self.args + (False, collections.OrderedDict())
class Evil:
    def __reduce__(self): return os.system, ('touch ' + sys.argv[1] + '/pwned',)
def dump(value, file, protocol, legacy=False):
    class Pickler(pickle.Pickler):
        def persistent_id(self, x):
            if isinstance(x, Reference):
                return ('storage', FloatStorage, x.key, 'cpu', x.count) + ((None,) if legacy else ())
    Pickler(file, protocol).dump(value)
data = struct.pack('<6f', 1, 2, 3, 4, 5, 6)
storage = Reference('0', 6)
state = collections.OrderedDict([('module.a', Tensor(storage, 0, (2, 3), (3, 1))), ('module.b', Tensor(storage, 1, (3, 2), (1, 2)))])
state._metadata = collections.OrderedDict([('', {'version': 1})])
value = {'epoch': 7, 'best': 0.99, 'name': 'n\\u00e9t', 'net_state_dict': state, 'big': 2 ** 70, 'none': None, 'more': [1, (), (1, 2, 3, 4), b'xy']}
for protocol in (2, 3, 4, 5):
    out = io.BytesIO(); dump(value, out, protocol)
    with zipfile.ZipFile(f'{sys.argv[1]}/zip{protocol}.pt', 'w', zipfile.ZIP_DEFLATED if protocol == 4 else zipfile.ZIP_STORED) as z:
        z.writestr('net/data.pkl', out.getvalue()); z.writestr('net/version', '3'); z.writestr('net/data/0', data)
with open(f'{sys.argv[1]}/legacy.pt', 'wb') as file:
    for part in (0x1950a86a20f9469cfc6c, 1001, {'protocol_version': 1001, 'little_endian': True}): pickle.dump(part, file, 2)
    dump(value, file, 2, True); pickle.dump(['0'], file, 2); file.write(struct.pack('<q', 6) + data)
with zipfile.ZipFile(f'{sys.argv[1]}/evil.pt', 'w') as z: z.writestr('net/data.pkl', pickle.dumps({'a': Evil()}, 2))
`;

const python = spawnSync('python3', ['--version']).status === 0;
if (!python) console.log('SKIP checkpoints that Python writes: python3 is not installed');
(python ? test : test.skip)("Python's own pickles and archives", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'write.py'), SCRIPT);
  execFileSync('python3', [join(folder, 'write.py'), folder]);
  const expected = {
    a: [
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ],
    b: [
      [3, 2],
      [2, 4, 3, 5, 4, 6],
    ],
  };
  for (const file of ['zip2.pt', 'zip3.pt', 'zip4.pt', 'zip5.pt', 'legacy.pt']) {
    assert.equal(plain(readPyTorchCheckpoint(readFileSync(join(folder, file)), file)), expected, file);
  }
  refusal(() => readPyTorchCheckpoint(readFileSync(join(folder, 'evil.pt'))), /it names (posix|nt|os)\.system/);
  assert.not.ok(existsSync(join(folder, 'pwned')));
});

test.run();

import * as assert from 'uvu/assert';
import { CameoError } from '../../src/common/errors.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { encodeMany, FaceCodec, openBrowserGpu } from '../../src/index.js';
import { smallFaceModel, TINY } from '../helpers/budget-fixture.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('options');

// biome-ignore lint/suspicious/noExplicitAny: these calls are wrong on purpose
type Any = any;

test('unknown and impossible options of devices and codecs are refused before any work', async () => {
  const gpu = await testGpu();
  const message = async (run: () => unknown) => (await rejection(run, CameoError)).message;
  const open = openGpu as Any;
  assert.match(await message(() => open({ adaptor: 'lavapipe' })), /^openGpu: there is no option "adaptor"; expected /);
  assert.match(await message(() => open('lavapipe')), /^openGpu: the options is "lavapipe"; expected an object/);
  assert.match(await message(() => open({ adapter: 1 })), /^openGpu: adapter is the number 1; expected a kind/);
  assert.match(await message(() => open({ dispatchesPerSubmit: 0 })), /dispatchesPerSubmit is the number 0; expected/);
  assert.match(await message(() => open({ maxLiveBytes: -1 })), /maxLiveBytes is the number -1; expected/);
  assert.match(await message(() => open({ precision: 'f64' })), /precision is "f64"; expected "f32" or "f16"/);
  assert.match(await message(() => (openBrowserGpu as Any)({ power: 'low' })), /^openBrowserGpu: there is no option/);

  const weightsFile = await smallFaceModel(gpu, 1, TINY);
  const many = (options: object) => message(() => (encodeMany as Any)([], options).next());
  const whole = { openGpu: () => testGpu(), weights: weightsFile, bytes: 300 };
  assert.match(await many({ ...whole, maxBytes: 300 }), /^encodeMany: there is no option "maxBytes"; expected /);
  for (const name of ['container', 'holder']) {
    assert.match(
      await many({ ...whole, [name]: 'zip' }),
      /^encodeMany: container is "zip"; expected file, bare, archive$/,
    );
  }

  const codec = FaceCodec.fromWeights(gpu, weightsFile) as Any;
  const face = new Uint8Array(codec.faceSize.bytes);
  assert.match(
    await message(() => codec.encode([face], { bytes: 300 })),
    /^encode: there is no option "bytes"; expected /,
  );
  assert.match(await message(() => codec.encode([face], 300)), /^encode: the options is the number 300; expected /);
  assert.match(await message(() => codec.encode([face])), /^encode: the target is undefined; expected /);
  assert.match(await message(() => codec.encode(face, { maxBytes: 300 })), /^encode: face 0 is the number 0; expected/);
  assert.match(await message(() => codec.encode([face], { maxBytes: 300 }, 'zip')), /^encode: the container is "zip"/);
  assert.match(await message(() => codec.decode(face)), /^decode: file 0 is the number 0; expected/);
  codec.dispose();
});

test.run();

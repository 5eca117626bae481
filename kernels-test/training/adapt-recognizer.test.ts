import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { saveState } from '../../src/nn/state.js';
import { adaptRecognizer, type RestoredFaces } from '../../src/training/adapt-recognizer.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('adapting a recogniser');
const [WIDTH, HEIGHT] = [96, 112];
const CONFIG = { width: WIDTH, height: HEIGHT, dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 1, 0] } as const;

/** Smooth pictures, and the same pictures as a codec might restore them: dark, and without colour. */
function faces(count: number, seed: number): RestoredFaces {
  const random = new CounterRandom(seed);
  const originals = Array.from({ length: count }, () => {
    const waves = Array.from({ length: 9 }, () => random.normal());
    return Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => {
      const [c, x, y] = [i % 3, Math.floor(i / 3) % WIDTH, Math.floor(i / 3 / WIDTH)];
      const wave = Math.sin((waves[c] * x) / 20 + waves[3 + c]) + Math.cos((waves[6 + c] * y) / 20);
      return Math.round(128 + 50 * wave);
    });
  });
  const restored = originals.map((rgb) =>
    rgb.map((_, i) => (rgb[i - (i % 3)] + rgb[i - (i % 3) + 1] + rgb[i - (i % 3) + 2]) / 4),
  );
  return { originals, restored };
}

test('a recogniser learns to give restored faces the embeddings of their originals, and keeps its statistics', async () => {
  const gpu = await testGpu();
  const training = faces(12, 1);
  const run = async (steps: number) => {
    const recognizer = new CameoFace({ ...CONFIG }).initialize(gpu, 5);
    recognizer.eval();
    const before = await saveState(recognizer);
    const settings = { steps, batchSize: 4, learningRate: 3e-3, seed: 1 };
    const stages = new Set<string>();
    const onProgress = (what: string): void => void stages.add(what);
    // These are the training faces, so that the effect shows even with so few.
    const found = await adaptRecognizer({ gpu, recognizer, training, validation: training, ...settings, onProgress });
    const after = await saveState(recognizer);
    recognizer.dispose();
    return { before, after, found, stages };
  };
  const { before, after, found, stages } = await run(40);
  assert.is(found.steps, 40);
  assert.ok(found.before > 0.01 && found.after < 0.5 * found.before, `${found.before} to ${found.after}`);
  assert.ok(stages.has('adapting') && stages.size === 5);
  const changed = (name: string): boolean => after.get(name)!.data.some((v, i) => v !== before.get(name)!.data[i]);
  for (const name of before.keys()) {
    if (/running|mean|variance/i.test(name)) assert.not(changed(name), name);
  }
  assert.ok([...before.keys()].filter(changed).length > before.size / 2);
  const again = await run(40);
  for (const [name, { data }] of after) assert.equal([...again.after.get(name)!.data], [...data], name);
});

test('training stops when it is aborted', async () => {
  const gpu = await testGpu();
  const recognizer = new CameoFace({ ...CONFIG }).initialize(gpu, 5);
  recognizer.eval();
  const training = faces(4, 2);
  const stop = new AbortController();
  const settings = { steps: 1000, batchSize: 4, learningRate: 1e-3, seed: 1, signal: stop.signal };
  const reason = new Error('enough');
  let last = 0;
  const onProgress = (what: string, done: number): void => {
    if (what !== 'adapting') return;
    last = done;
    if (done === 2) stop.abort(reason);
  };
  const ended = await adaptRecognizer({
    gpu,
    recognizer,
    training,
    validation: training,
    ...settings,
    onProgress,
  }).catch((error: unknown) => error);
  assert.is(ended, reason);
  assert.is(last, 2);
  recognizer.dispose();
});

test.run();

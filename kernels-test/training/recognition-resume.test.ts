import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, FormatError } from '../../src/common/errors.js';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder, openFacesIfAny } from '../../src/data/faces/face-set.js';
import { writePng } from '../../src/data/pictures/image.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from '../../src/training/recognition-config.js';
import { validateRecognition } from '../../src/training/recognition-validation.js';
import { teacherEmbeddings } from '../../src/training/teacher-targets.js';
import { trainAutoencoder } from '../../src/training/train-autoencoder.js';
import { trainRecognition } from '../../src/training/train-recognition.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('recognition resume');
const folder = mkdtempSync(join(tmpdir(), 'cameo-resume-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const MODEL = { width: 96, height: 112, dimension: 8, channels: [4, 4, 4, 4], units: [0, 0, 0, 0] } as const;
const CONFIG: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  model: { ...MODEL },
  steps: 3,
  batchSize: 4,
  warmUpSteps: 1,
};
const FORMAT = 'cameo.recognition-checkpoint';

const data = writeIdentities(join(folder, 'faces'));

/** An untrained network as a teacher. */
function teacherOf(gpu: Gpu, seed: number): OpenRecognizer {
  const recognizer = new CameoFace({ ...MODEL }).initialize(gpu, seed);
  recognizer.eval();
  return { name: `teacher${seed}`, modelId: `id${seed}`, recognizer, dispose: () => recognizer.dispose() };
}

/** Makes the last weights of a network NaN. */
function breakNetwork(network: OpenRecognizer['recognizer']): void {
  const [, tensor] = [...network.parameters()].at(-1)!;
  tensor.write(new Float32Array(tensor.size).fill(Number.NaN));
}

test('resuming with another teacher or other faces is refused before the teacher computes anything', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'source');
  const faces = join(folder, 'own faces');
  await cp(await data, faces, { recursive: true });
  const teachers = [teacherOf(gpu, 1), teacherOf(gpu, 2)];
  const config = { ...CONFIG, distillation: 5 };
  const options = { gpu, config, data: faces, out };
  await trainRecognition({ ...options, teacher: teachers[0] });
  const more = { ...options, config: { ...config, steps: 5 }, resume: true };
  const stages = new Set<string>();
  const onProgress = (stage: string): unknown => stages.add(stage);

  const other = await rejection(() => trainRecognition({ ...more, teacher: teachers[1], onProgress }), CheckpointError);
  assert.is(other.message, 'the checkpoint was made with teacher id1; this run has teacher id2');
  const picture = (name: string): string => join(faces, 'train', 'p2', name);
  renameSync(picture('3.png'), picture('4.png'));
  const renamed = await rejection(
    () => trainRecognition({ ...more, teacher: teachers[0], onProgress }),
    CheckpointError,
  );
  assert.is(renamed.message, "the checkpoint was made with a list of 20 faces; this run's list of 20 is another");
  assert.equal([...stages], ['reading faces']);

  // A checkpoint of an earlier version has neither.
  const path = join(out, 'checkpoint.safetensors');
  const { tensors, metadata } = readSafetensors(readFileSync(path));
  const { source, ...state } = JSON.parse(metadata.get(FORMAT)!);
  assert.is(source.teacher, 'id1');
  writeFileSync(path, writeSafetensors(tensors, new Map([[FORMAT, JSON.stringify(state)]])));
  const resumed = await trainRecognition({ ...more, teacher: teachers[1] });
  assert.is(resumed.steps, 5);
  const again = JSON.parse(readSafetensors(readFileSync(path)).metadata.get(FORMAT)!);
  assert.is(again.source.teacher, 'id2');
  for (const teacher of teachers) teacher.dispose();
});

test("a teacher's embeddings are kept by the pixels of the faces, and are finite", async () => {
  const gpu = await testGpu();
  const faces = join(folder, 'taught');
  await cp(await data, faces, { recursive: true });
  const teacher = teacherOf(gpu, 1);
  const cache = join(folder, 'teacher.embeddings');
  const embed = async (): Promise<{ values: Float32Array; dispatches: number }> => {
    const set = await openFaceFolder(faces, { split: 'train' });
    const before = gpu.dispatches;
    const values = await teacherEmbeddings(gpu, teacher, set, await set.readable(), {
      dimension: MODEL.dimension,
      cache,
    });
    return { values, dispatches: gpu.dispatches - before };
  };
  const first = await embed();
  const same = await embed();
  assert.is(same.dispatches, 0);
  assert.equal(same.values, first.values);
  const pixels = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (i * i) % 199);
  await writePng(join(faces, 'train', 'p0', '0.png'), { width: 96, height: 112, data: pixels });
  const changed = await embed();
  assert.is.not(changed.dispatches, 0);
  assert.not.equal(changed.values.slice(0, MODEL.dimension), first.values.slice(0, MODEL.dimension));
  assert.equal(changed.values.slice(MODEL.dimension), first.values.slice(MODEL.dimension));

  rmSync(cache);
  breakNetwork(teacher.recognizer);
  const error = await rejection(embed, ArgumentError);
  assert.is(error.message, 'train/p0/0.png: teacher1 gives an embedding that is not finite');
  const set = await openFaceFolder(faces, { split: 'val' });
  const diverged = await rejection(() => validateRecognition(gpu, teacher.recognizer, set), ArgumentError);
  assert.match(diverged.message, /^val\/p0\/0\.png: the network gives an embedding that is not finite/);
  teacher.dispose();
});

test('resuming a finished run changes nothing, but validates and writes its model if that is missing', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'finished');
  const options = { gpu, config: CONFIG, data: await data, out };
  const whole = await trainRecognition(options);
  assert.is(whole.unchanged, false);
  const model = join(out, 'model.safetensors');
  const validation = (): unknown => JSON.parse(readRecognizer(readFileSync(model)).metadata.get('cameo.validation')!);
  assert.equal(validation(), whole.validation);
  const [bytes, { mtimeMs }] = [readFileSync(model), statSync(model)];
  for (const steps of [3, 2]) {
    const again = await trainRecognition({ ...options, config: { ...CONFIG, steps }, resume: true });
    assert.equal([again.finished, again.unchanged, again.steps], [true, true, 3]);
  }
  assert.equal(readFileSync(model), bytes);
  assert.is(statSync(model).mtimeMs, mtimeMs);

  rmSync(model);
  const written = await trainRecognition({ ...options, resume: true });
  assert.equal([written.finished, written.unchanged], [true, false]);
  assert.equal(validation(), whole.validation);
});

test('held-out faces may be missing, but faces that cannot be read are reported', async () => {
  const gpu = await testGpu();
  const faces = join(folder, 'listed');
  await cp(await data, faces, { recursive: true });
  const lines = ['train', 'val'].flatMap((split) =>
    [0, 1, 2, 3].flatMap((p) => [0, 1, 2, 3].map((k) => `${split}/p${p}/${k}.png\t${split}${p}\t${split}`)),
  );
  const manifest = join(faces, 'manifest.tsv');
  const list = (text: string): void => writeFileSync(manifest, text);
  const whole = ['path\tidentity\tsplit', ...lines, ''].join('\n');
  list(whole);
  assert.is((await openFacesIfAny(faces, { split: 'val' }))!.count, 16);
  assert.is(await openFacesIfAny(faces, { split: 'test' }), null);

  // A change of the manifest while faces are read does not lose the held-out faces.
  const { validation } = await trainRecognition({
    gpu,
    config: CONFIG,
    data: faces,
    out: join(folder, 'listed out'),
    onProgress: () => list('damaged\n'),
  });
  assert.is(validation?.faces, 16);
  await rejection(() => openFacesIfAny(faces, { split: 'val' }), FormatError);

  list(whole);
  const codec = {
    gpu,
    config: DEFAULT_AUTOENCODER_TRAINING,
    data: faces,
    out: join(folder, 'codec'),
    validationFaces: 1.5,
  };
  const error = await rejection(() => trainAutoencoder(codec), ArgumentError);
  assert.match(error.message, /limit is 1\.5/);
});

test.run();

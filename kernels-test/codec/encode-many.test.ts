// suite: long
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import type { EncodeManyOptions, FaceInput } from '../../src/codec/encode-many.js';
import {
  ArgumentError,
  CheckpointError,
  DeviceLostError,
  FormatError,
  GpuError,
  NoAdapterError,
} from '../../src/common/errors.js';
import { type EncodeToArchiveOptions, encodeToArchive } from '../../src/data/archives/encode-archive.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { keptOpen } from '../helpers/kept-device.js';
import { rejection } from '../helpers/rejection.js';
import {
  at,
  BYTES,
  COUNT,
  encode,
  face,
  model,
  openGpu,
  options,
  some,
  sourceOf,
  weights,
} from './encode-many-fixture.js';

// adapters: once

let undisturbed: Buffer;

test('faces become files within the budget in their order, and one archive', async () => {
  const files: Uint8Array[] = [];
  const progress: number[] = [];
  const faces = encode(some(COUNT), { total: COUNT, onProgress: ({ done, total }) => progress.push(done, total!) });
  for await (const one of faces) {
    if ('error' in one) throw one.error;
    assert.is(one.input.name, `face ${files.length}`);
    files.push(one.pack('file'));
    assert.is(one.pack('bare').length, files.at(-1)!.length - 8);
  }
  assert.is(files.length, COUNT);
  assert.ok(files.every(({ length }) => length <= BYTES && length > 14));
  assert.equal(progress, [16, 70, 32, 70, 48, 70, 64, 70, 70, 70]);

  const result = await encodeToArchive(some(COUNT), options('undisturbed.cameos'));
  undisturbed = readFileSync(at('undisturbed.cameos'));
  assert.equal(result, { faces: COUNT, bytes: undisturbed.length, failed: 0, resumed: 0 });
  assert.not(existsSync(at('undisturbed.cameos.part')));
  const archive = await FaceArchive.open(bytesSource(undisturbed));
  const all = await Promise.all(
    some(COUNT).map(async ({ name }, k) => ({
      ...(await archive.face(k, model)),
      name,
      stored: await archive.name(k),
    })),
  );
  assert.ok(all.every(({ name, stored }) => name === stored));
  assert.equal(packArchive(all, model), new Uint8Array(undisturbed), 'the same as what is packed in memory');
  // The budget is another one, because headers differ in size; the symbols are those that the codec makes for files.
  assert.ok(files.every((file) => unpackFaceFile(file, model).symbols.some((symbol) => symbol !== 0)));
});

test('a run leaves no tensors on a device that stays open', async () => {
  const open = keptOpen(openGpu);
  for await (const one of encode(some(1), { openGpu: open })) assert.ok('code' in one);
  const gpu = await open();
  assert.is(gpu.pool.liveBytes, 0);
  gpu.device.destroy();
});

test('faces that cannot be encoded are reported, and the others are encoded', async () => {
  const missing = new Error('no such picture');
  const faces: FaceInput[] = some(20);
  faces[3] = { name: 'short', rgb: new Uint8Array(7) };
  faces[17] = { name: 'missing', error: missing };
  faces[19] = { ...face(19), name: 'face 0' };
  const failed: string[] = [];
  let last = '';
  const result = await encodeToArchive(
    faces,
    options('failed.cameos', {
      onFailed: (name, error) => failed.push(`${name}: ${(error as Error).message}`),
      onProgress: (progress) => {
        last = JSON.stringify(progress);
      },
    }),
  );
  assert.equal(failed, [
    'short: short: has 7 bytes; a face of 24×28 RGB has 2016',
    'missing: no such picture',
    'face 0: face 0: its name in the archive would be "face 0", which is also that of face 0',
  ]);
  assert.is(result.faces, 17);
  assert.match(last, /^\{"done":17,"failed":3,"bytes":\d+,"losses":0,"resumed":0\}$/);
});

test('what makes a run impossible is an error before any work', async () => {
  let opened = 0;
  const opening = () => {
    opened++;
    return openGpu();
  };
  const start = (more: Partial<EncodeManyOptions>) => () => encode(some(1), { openGpu: opening, ...more }).next();
  assert.match(
    (await rejection(start({ bytes: 5 }), ArgumentError)).message,
    /^a budget of 5 bytes; expected an integer/,
  );
  await rejection(start({ weights: weights.subarray(0, 900) }), CheckpointError);
  assert.is(opened, 0);
  const none = () => Promise.reject(new NoAdapterError('none'));
  await rejection(start({ openGpu: none }), NoAdapterError);
  assert.match((await rejection(() => encodeToArchive([], options('none.cameos')), ArgumentError)).message, 'no face');
  assert.not(existsSync(at('none.cameos.part')));
});

test('faces are read ahead, but only a limited number, and only while results are taken', async () => {
  for (const queue of [0, 40]) {
    let read = 0;
    let taken = 0;
    let most = 0;
    const faces = sourceOf(120, () => {
      read++;
      most = Math.max(most, read - taken);
    });
    for await (const one of encode(faces, { queue })) {
      assert.not('error' in one);
      taken++;
      if (taken % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.is(taken, 120);
    // The bound counts the two batches being encoded, the batches that wait, and a face that has just been read.
    const bound = 2 * 16 + Math.max(16, queue) + 1;
    assert.ok(most <= bound, `${most} faces were held; at most ${bound} are allowed`);
    assert.ok(most > Math.max(16, queue), `${most}: nothing was read ahead`);
  }
});

/** Opens devices and keeps them, so that a test can lose them. */
function devices(onOpen: (gpu: Gpu, n: number) => void = () => {}) {
  const all: Gpu[] = [];
  const open = async (): Promise<Gpu> => {
    const gpu = await openGpu();
    all.push(gpu);
    onOpen(gpu, all.length);
    return gpu;
  };
  return { all, open, lose: () => all.at(-1)!.device.destroy() };
}

test('after a loss of the device at any point, another one is opened and the archive is the same', async () => {
  const onceAt = (n: number, act: () => void) => {
    let count = 0;
    return () => {
      if (++count === n) act();
    };
  };
  const cases: Record<
    string,
    () => { losses: number; faces?: AsyncIterable<FaceInput>; more: Partial<EncodeToArchiveOptions> }
  > = {
    'while a face is read': () => {
      const { open, lose } = devices();
      return { losses: 1, faces: sourceOf(COUNT, (k) => k === 66 && lose()), more: { openGpu: open, queue: 16 } };
    },
    'between batches, twice': () => {
      const { open, lose } = devices();
      const onProgress = ({ done }: { done: number }) => (done === 16 || done === 48) && lose();
      return { losses: 2, more: { openGpu: open, onProgress } };
    },
    'while a result is read': () => {
      const { open, lose } = devices((gpu, n) => {
        const { read } = gpu;
        const act = onceAt(n === 1 ? 5 : 0, lose);
        gpu.read = (buffer) => {
          const result = read.call(gpu, buffer);
          act();
          return result;
        };
      });
      return { losses: 1, more: { openGpu: open } };
    },
    'among its dispatches, of three devices in a row': () => {
      const { open, lose } = devices((gpu, n) => {
        const { encode } = gpu;
        const act = onceAt(n < 4 ? 20 : 0, lose);
        gpu.encode = (command) => {
          act();
          encode.call(gpu, command);
        };
      });
      return { losses: 3, more: { openGpu: open } };
    },
    'by its driver, with the news coming late': () => {
      const { open } = devices((gpu, n) => {
        const { read } = gpu;
        const act = onceAt(n === 1 ? 4 : 0, () => {
          setTimeout(() => gpu.device.destroy(), 30);
          throw new GpuError('an error that comes before the loss is reported');
        });
        gpu.read = async (buffer) => {
          act();
          return read.call(gpu, buffer);
        };
      });
      return { losses: 1, more: { openGpu: open } };
    },
    'when it has just been opened': () => {
      const { open } = devices((gpu, n) => n === 1 && gpu.device.destroy());
      return { losses: 1, more: { openGpu: open } };
    },
    'and it takes a while until there is one again': () => {
      const { open, lose, all } = devices();
      let refusals = 0;
      const openGpu = () => {
        if (all.length === 1 && refusals++ < 3) return Promise.reject(new NoAdapterError('not yet'));
        return open();
      };
      const onProgress = ({ done }: { done: number }) => done === 32 && lose();
      return { losses: 1, more: { openGpu, onProgress } };
    },
  };
  for (const [name, make] of Object.entries(cases)) {
    const { losses, faces = sourceOf(COUNT), more } = make();
    let seen = 0;
    const told: Error[] = [];
    const result = await encodeToArchive(
      faces,
      options('lost.cameos', {
        ...more,
        onLost: (error) => told.push(error),
        onProgress: (progress) => {
          seen = progress.losses;
          more.onProgress?.(progress);
        },
      }),
    );
    assert.is(result.faces, COUNT, name);
    assert.equal(readFileSync(at('lost.cameos')), undisturbed, name);
    assert.is(seen, losses, name);
    assert.is(told.length, losses, name);
  }
});

test('a run whose device is lost again and again stops with an error, and finished faces are kept', async () => {
  const { open, all } = devices((gpu, n) => n > 1 && gpu.device.destroy());
  const lose = ({ done }: { done: number }) => done === 16 && all[0].device.destroy();
  const run = () =>
    encodeToArchive(some(COUNT), options('given-up.cameos', { openGpu: open, retries: 3, onProgress: lose }));
  const error = await rejection(run, DeviceLostError);
  assert.match(error.message, /^the GPU device was lost, and 3 attempts to go on with a new one failed: /);
  assert.is(all.length, 4);
  assert.ok(all.every(({ lost }) => lost));
  const part = await FaceJournal.open(bytesSource(readFileSync(at('given-up.cameos.part'))));
  // The next batch may have been done when the device was lost.
  assert.ok(part.count === 16 || part.count === 32, `${part.count} faces`);
});

test('an error of a device that is not lost ends the run at once', async () => {
  const { open, all } = devices((gpu) => {
    gpu.read = () => Promise.reject(new GpuError('invalid'));
  });
  const error = await rejection(() => encodeToArchive(some(20), options('well.cameos', { openGpu: open })), GpuError);
  assert.is(error.message, 'invalid');
  assert.is(all.length, 1);
  assert.ok(all[0].lost, 'its device is destroyed');
  const broken = async function* () {
    yield* some(5);
    throw new FormatError('the source');
  };
  const seen: unknown[] = [];
  await rejection(async () => {
    for await (const one of encode(broken())) seen.push(one);
  }, FormatError);
  assert.is(seen.length, 5, 'what was read before is given');
});

test('an abort stops the run with its reason, and finished faces are kept for the next run', async () => {
  const reason = new Error('enough');
  const { open, all } = devices();
  for (const when of [0, 16, 48]) {
    const abort = new AbortController();
    const run = () =>
      encodeToArchive(
        sourceOf(COUNT),
        options('aborted.cameos', {
          openGpu: open,
          signal: abort.signal,
          onProgress: ({ done, resumed }) => done + resumed >= when && abort.abort(reason),
        }),
      );
    if (when === 0) abort.abort(reason);
    assert.is(await rejection(run, Error), reason);
    assert.not(existsSync(at('aborted.cameos')));
    if (when === 0) continue;
    const journal = await FaceJournal.open(bytesSource(readFileSync(at('aborted.cameos.part'))));
    assert.is(journal.count, when);
    for (let k = 0; k < when; k++) assert.is(await journal.name(k), `face ${k}`);
  }
  const result = await encodeToArchive(sourceOf(COUNT), options('aborted.cameos'));
  assert.equal(result, { faces: COUNT, bytes: undisturbed.length, failed: 0, resumed: 48 });
  assert.equal(readFileSync(at('aborted.cameos')), undisturbed);
  assert.ok(all.every(({ lost }) => lost));
});

test('an abort also ends waiting for a source that never answers, and for a device to be opened again', async () => {
  const reason = new Error('enough');
  const silent = async function* () {
    yield* some(3);
    await new Promise(() => {});
  };
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), 50);
  assert.is(await rejection(() => encode(silent(), { signal: abort.signal }).next(), Error), reason);

  const away = new AbortController();
  const { open } = devices((gpu) => gpu.device.destroy());
  const run = encode(some(3), {
    openGpu: open,
    signal: away.signal,
    backoffMs: 3_600_000,
    onLost: () => setTimeout(() => away.abort(reason), 50),
  });
  assert.is(await rejection(() => run.next(), Error), reason);
});

test('the run ends when the consumer stops taking faces', async () => {
  const { open, all } = devices();
  let read = 0;
  for await (const one of encode(
    sourceOf(10_000, () => read++),
    { openGpu: open },
  )) {
    if (one.input.name === 'face 20') break;
  }
  assert.is(all.length, 1);
  assert.ok(all[0].lost, 'its device is destroyed');
  const soon = read;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(read === soon && read < 120, `${read} faces were read`);
});

test.run();

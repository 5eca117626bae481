// adapters: once
// process: own
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource } from '../../src/codec/container/face-archive.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { type EncodeToArchiveOptions, encodeToArchive } from '../../src/data/archives/encode-archive.js';
import { at, COUNT, face, options, otherWeights, some, sourceOf } from '../codec/encode-many-fixture.js';
import { rejection } from '../helpers/rejection.js';

/** The archive of a run that is not interrupted. */
await encodeToArchive(some(COUNT), options('undisturbed.cameos'));
const undisturbed = readFileSync(at('undisturbed.cameos'));

/** An unfinished archive of the first 40 faces. */
async function unfinished(name: string): Promise<string> {
  const abort = new AbortController();
  const faces = sourceOf(COUNT);
  const stop = ({ done }: { done: number }) => done >= 32 && abort.abort();
  await encodeToArchive(faces, options(name, { signal: abort.signal, onProgress: stop })).catch(() => {});
  return at(`${name}.part`);
}

test('an unfinished archive that is cut off anywhere is continued after its last whole face', async () => {
  const whole = readFileSync(await unfinished('cut.cameos'));
  const { count } = await FaceJournal.open(bytesSource(whole));
  assert.is(count, 32);
  const random = new CounterRandom(3);
  for (const length of [7, 21, whole.length - 1, random.int(whole.length)]) {
    writeFileSync(at('cut.cameos.part'), whole);
    truncateSync(at('cut.cameos.part'), length);
    const left = length < 20 ? 0 : (await FaceJournal.open(bytesSource(whole.subarray(0, length)))).count;
    const { resumed } = await encodeToArchive(sourceOf(COUNT), options('cut.cameos'));
    assert.is(resumed, left);
    assert.equal(readFileSync(at('cut.cameos')), undisturbed, `cut at ${length}`);
  }
  // One byte is wrong, and the faces after it are encoded again.
  const damaged = Buffer.from(whole);
  damaged[Math.floor(whole.length / 2)] ^= 8;
  writeFileSync(at('cut.cameos.part'), damaged);
  const { resumed } = await encodeToArchive(sourceOf(COUNT), options('cut.cameos'));
  assert.ok(resumed > 10 && resumed < 20, `${resumed}`);
  assert.equal(readFileSync(at('cut.cameos')), undisturbed);
  // The run was killed between the renaming of the archive and the removal of the unfinished one.
  const full = await unfinished('cut.cameos');
  await encodeToArchive(sourceOf(32), options('short.cameos'));
  mkdirSync(at('late'));
  writeFileSync(at('late/short.cameos'), undisturbed);
  writeFileSync(at('late/.short.cameos.0123456789ab.tmp'), 'half of it');
  writeFileSync(at('late/short.cameos.part'), readFileSync(full));
  assert.is((await encodeToArchive(sourceOf(32), options('late/short.cameos'))).resumed, 32);
  assert.equal(readFileSync(at('late/short.cameos')), readFileSync(at('short.cameos')));
  assert.not(existsSync(at('late/.short.cameos.0123456789ab.tmp')));
});

test('an archive that is replaced keeps its permissions, and the unfinished one has them as well', async () => {
  writeFileSync(at('private.cameos'), '', { mode: 0o600 });
  const part = await unfinished('private.cameos');
  const modes = [statSync(part).mode & 0o777];
  await encodeToArchive(some(COUNT), options('private.cameos'));
  modes.push(statSync(at('private.cameos')).mode & 0o777);
  assert.equal(modes, process.platform === 'win32' ? [0o666, 0o666] : [0o600, 0o600]);
});

test('an unfinished archive of other faces or settings is refused, and stays unchanged', async () => {
  const part = await unfinished('other.cameos');
  const before = readFileSync(part);
  const again = (more: Partial<EncodeToArchiveOptions>, faces = some(COUNT)) =>
    rejection(() => encodeToArchive(faces, options('other.cameos', more)), ArgumentError);
  assert.match(
    (await again({ bytes: 50 })).message,
    'other.cameos.part was begun with a byte budget of 40, this is 50: ',
  );
  assert.match((await again({ weights: otherWeights })).message, 'was begun with model');
  const changed = some(COUNT);
  changed[5] = { ...face(6), name: 'face 5' };
  const { message } = await again({}, changed);
  assert.match(
    message,
    'other.cameos.part was begun with another picture of "face 5": give it the same faces, or remove',
  );
  assert.equal(readFileSync(part), before);
  assert.match((await again({}, some(30))).message, 'holds 2 faces that this run does not, such as "face 30": ');
  writeFileSync(part, 'something else, which is longer than the header');
  assert.match((await rejection(() => encodeToArchive([], options('other.cameos')), FormatError)).message, part);
  assert.not(existsSync(at('other.cameos')));
  rmSync(part);
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const MIB = 2 ** 20;
const MANY = 2500;

test(`encoding ${MANY} faces takes no more memory than 500`, async () => {
  const used = (): { rss: number; heap: number } => {
    collect();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    return { rss, heap: heapUsed + arrayBuffers };
  };
  let warm: ReturnType<typeof used> | undefined;
  const result = await encodeToArchive(
    sourceOf(MANY),
    options('many.cameos', {
      onProgress: ({ done }) => {
        if (done >= 500) warm ??= used();
      },
    }),
  );
  assert.is(result.faces, MANY);
  let end = used();
  // Buffers are freed a moment after they are collected. What is kept stays.
  for (let k = 0; k < 20 && end.heap - warm!.heap > MIB; k++) {
    await sleep(50);
    end = used();
  }
  const heap = (end.heap - warm!.heap) / MIB;
  const rss = (end.rss - warm!.rss) / MIB;
  // The pixels and codes of the 2,000 faces in between have 4 MiB, which would show in the heap; their names have half a MiB.
  assert.ok(heap < 3, `the heap has grown by ${heap.toFixed(1)} MiB`);
  assert.ok(rss < 30, `the process has grown by ${rss.toFixed(1)} MiB`);
  console.log(`grown by ${heap.toFixed(2)} MiB of heap, ${rss.toFixed(1)} MiB in all`);
});

test.run();

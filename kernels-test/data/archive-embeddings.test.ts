import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource } from '../../src/codec/container/face-archive.js';
import { CounterRandom } from '../../src/common/random.js';
import {
  ArchiveEmbeddings,
  BLOCK_FACES,
  contentHash,
  type EmbeddingsOf,
  embeddingsPath,
} from '../../src/data/archives/archive-embeddings.js';
import { withWriterLock } from '../../src/data/files/writer-lock.js';
import { BestMatches, similarities } from '../../src/evaluation/metrics/gallery.js';
import { cpuMs } from '../helpers/cpu-time.js';

const test = suite('embeddings beside an archive');
const folder = mkdtempSync(join(tmpdir(), 'cameo-embeddings-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** Number of faces: two whole blocks and a short one. */
const FACES = 2 * BLOCK_FACES + 5;
const OF: EmbeddingsOf = {
  content: await contentHash(bytesSource(Uint8Array.of(1, 2, 3))),
  faces: FACES,
  codecId: '0123abcd',
  recognizerId: '0123456789abcdef',
  dimension: 3,
  flip: true,
};

const random = new CounterRandom(1);
const VALUES = [BLOCK_FACES, BLOCK_FACES, 5].map((count) =>
  Float32Array.from({ length: 3 * count }, () => random.normal()),
);
VALUES[1].fill(Number.NaN, 30, 33); // a face that could not be read

/** Does the work of a search: reads the kept embeddings and makes the others, up to block `end`. @returns the blocks that it made */
async function search(path: string | undefined, of = OF, end = 3): Promise<{ made: number[]; told: string[] }> {
  const told: string[] = [];
  const made: number[] = [];
  const embeddings = await ArchiveEmbeddings.open(path, of, (text) => told.push(text));
  assert.is(embeddings.blocks, 3);
  for (let block = 0; block < end; block++) {
    const found = await embeddings.read(block);
    if (found) assert.equal([...found].map(String), [...VALUES[block]].map(String), `block ${block}`);
    else {
      made.push(block);
      await embeddings.add(block, VALUES[block]);
    }
  }
  if (end === 3) await embeddings.finish();
  await embeddings.close();
  return { made, told };
}

const [path, part] = [join(folder, 'a.cameos.embeddings'), join(folder, 'a.cameos.embeddings.part')];
assert.is(embeddingsPath(join(folder, 'a.cameos')), path);
await search(path);
const whole = readFileSync(path);

test('embeddings that were made once are read again, and no temporary file is left', async () => {
  assert.equal(await search(path), { made: [], told: [] });
  assert.equal(readFileSync(path), whole);
  assert.equal(readdirSync(folder), ['a.cameos.embeddings']);
  assert.equal(await search(undefined), { made: [0, 1, 2], told: [] });
});

test('hashing the content in pieces gives the same as hashing all of it', async () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, k) => k * k);
  const hash = await contentHash(bytesSource(bytes));
  const { createHash } = await import('node:crypto');
  assert.equal(Buffer.from(hash), createHash('sha256').update(bytes).digest());
});

test('embeddings of another archive or recogniser are made again, and a message says so', async () => {
  const other = await contentHash(bytesSource(Uint8Array.of(1, 2, 4)));
  for (const [key, value] of Object.entries({
    content: other,
    codecId: '0123abce',
    recognizerId: '0123456789abcdee',
    flip: false,
  })) {
    const { made, told } = await search(path, { ...OF, [key]: value });
    assert.equal(made, [0, 1, 2], key);
    assert.match(
      told.join(),
      /a\.cameos\.embeddings: is of another archive, codec or recogniser, or damaged; it is made again/,
    );
    assert.equal((await search(path, { ...OF, [key]: value })).made, [], key);
  }
  // This archive has as many bytes, but other faces.
  assert.equal((await search(path, { ...OF, faces: FACES - 1 }, 0)).made, []);
  assert.equal((await search(path)).made, [0, 1, 2]);
  assert.equal(readFileSync(path), whole);
});

test('a run that is stopped anywhere continues after its last whole block', async () => {
  const block = (whole.length - 92 - 32 - 60) / 2;
  assert.is(block, 12 * BLOCK_FACES + 32);
  for (const [length, made] of [
    [0, [0, 1, 2]],
    [50, [0, 1, 2]],
    [92, [0, 1, 2]],
    [92 + block - 1, [0, 1, 2]],
    [92 + block, [1, 2]],
    [92 + 2 * block + 7, [2]],
    [whole.length, []],
  ] as const) {
    rmSync(path, { force: true });
    writeFileSync(part, whole.subarray(0, length));
    assert.equal(await search(path), { made, told: [] }, `${length} bytes`);
    assert.equal(readFileSync(path), whole);
    assert.not.ok(existsSync(part));
  }
  rmSync(path);
  assert.equal((await search(path, OF, 2)).made, [0, 1]);
  assert.not.ok(existsSync(path));
  // The unfinished embeddings of another archive are not used.
  assert.equal((await search(path, { ...OF, codecId: 'ffffffff' }, 1)).made, [0]);
  assert.equal((await search(path, OF, 1)).made, [0]);
  assert.equal((await search(path)).made, [1, 2]);
  assert.equal(readFileSync(path), whole);
});

test('any wrong byte is noticed: the blocks before it are used, and the others are made again', async () => {
  const block = 12 * BLOCK_FACES + 32;
  for (const at of [5, 60, 91, 92, 92 + block - 1, 92 + block, 92 + 2 * block, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] ^= 4;
    writeFileSync(path, damaged);
    const { made, told } = await search(path);
    const first = at < 92 ? 0 : Math.floor((at - 92) / block);
    assert.equal(made, [0, 1, 2].slice(first), `byte ${at}`);
    assert.match(
      told.join(),
      at < 92 ? /or damaged; it is made again/ : new RegExp(`damaged from face ${first * BLOCK_FACES} on`),
    );
    assert.equal(readFileSync(path), whole);
  }
  // These blocks are intact, but exchanged.
  const swapped = Buffer.concat([
    whole.subarray(0, 92),
    whole.subarray(92 + block, 92 + 2 * block),
    whole.subarray(92, 92 + block),
    whole.subarray(92 + 2 * block),
  ]);
  writeFileSync(path, swapped);
  assert.equal((await search(path)).made, [0, 1, 2]);
  writeFileSync(path, whole.subarray(0, -10));
  assert.equal((await search(path)).made, [2]);
  assert.equal(readFileSync(path), whole);
});

test('if embeddings cannot be kept, a message says so, and it is not an error', async () => {
  const told = async (where: string) => {
    const found = await search(where);
    assert.equal(found.made, [0, 1, 2]);
    return found.told.join('\n');
  };
  assert.match(await told(join(folder, 'none', 'a.embeddings')), /not kept for the next search: .*none.*no such file/);
  const strange = join(folder, 'strange.embeddings');
  writeFileSync(strange, 'the notes of somebody');
  assert.match(await told(strange), /strange\.embeddings: is not a file of embeddings, and is left unchanged/);
  assert.is(readFileSync(strange, 'utf8'), 'the notes of somebody');
  mkdirSync(join(folder, 'folder.embeddings'));
  assert.match(await told(join(folder, 'folder.embeddings')), /folder\.embeddings: is not a file of embeddings/);
  rmSync(path);
  await withWriterLock(`${path}.lock`, path, async () => {
    assert.match(await told(path), new RegExp(`process ${process.pid} is writing to it`));
  });
  assert.not.ok(existsSync(path));
  assert.is(await told(path), '');
});

const posix = process.platform === 'win32' ? test.skip : test;
if (process.platform === 'win32') console.log('SKIP permissions: Windows has others');
posix('whoever may not read an archive may not read its embeddings', async () => {
  const archive = join(folder, 'private.cameos');
  writeFileSync(archive, '', { mode: 0o640 });
  await search(embeddingsPath(archive));
  assert.is(statSync(embeddingsPath(archive)).mode & 0o777, 0o640);
});

test('7,701 faces are searched in under 0.2 s if their embeddings are kept', async () => {
  const of = { ...OF, faces: 7701, dimension: 256 };
  const large = join(folder, 'large.embeddings');
  const content = new Uint8Array(7701 * 320); // of an archive with 300 bytes a face
  of.content = await contentHash(bytesSource(content));
  const open = () => ArchiveEmbeddings.open(large, of, (text) => assert.unreachable(text));
  const writing = await open();
  const probe = Float32Array.from({ length: 256 }, () => random.normal() / 16);
  for (let block = 0; block < writing.blocks; block++) {
    const values = Float32Array.from(
      { length: 256 * writing.facesOf(block) },
      (_, i) => Math.sin(i * (block + 1)) / 11,
    );
    if (block === 29) values.set(probe, 256 * 50);
    await writing.add(block, values);
  }
  await writing.finish();
  await writing.close();
  const times = [];
  for (let round = 0; round < 5; round++) {
    const start = cpuMs();
    const hash = await contentHash(bytesSource(content));
    assert.equal(hash, of.content);
    const reading = await open();
    const best = new BestMatches(5);
    for (let block = 0; block < reading.blocks; block++) {
      const values = (await reading.read(block))!;
      best.add(similarities(probe, values, new Float32Array(values.length / 256)), block * BLOCK_FACES);
    }
    await reading.close();
    times.push(cpuMs() - start);
    assert.is(best.ranked[0].face, 29 * BLOCK_FACES + 50);
  }
  const ms = Math.min(...times);
  console.log(`least of 5: ${ms.toFixed(1)} ms of processor time`);
  assert.ok(ms < 200, `${ms} ms`);
});

test.run();

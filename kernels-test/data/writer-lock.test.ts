import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FileError } from '../../src/data/files/atomic-file.js';
import { WriterLock, withWriterLock } from '../../src/data/files/writer-lock.js';
import { rejection } from '../helpers/rejection.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-lock-'));
const PROGRAM = `import { WriterLock } from ${JSON.stringify(new URL('../../src/data/files/writer-lock.ts', import.meta.url).href)};
await WriterLock.take(process.argv[1], 'it'); console.log('taken'); setInterval(() => {}, 1000);`;

/** Starts a process that takes a lock and keeps it. */
function holding(path: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', PROGRAM, path]);
  const kill = (): Promise<void> =>
    new Promise((resolve) => {
      child.on('exit', () => resolve());
      child.kill('SIGKILL');
    });
  return new Promise((resolve, reject) => {
    child.stdout.on('data', () => resolve({ pid: child.pid!, kill }));
    child.stderr.on('data', (text) => reject(new Error(String(text))));
  });
}

test('a second writer is refused with process, host and file, and the lock of a killed process can be taken over', async () => {
  const path = join(folder, 'killed.lock');
  const other = await holding(path);
  const { message } = await rejection(() => WriterLock.take(path, 'people.cameos'), FileError);
  assert.match(
    message,
    new RegExp(`^people\\.cameos: process ${other.pid} is writing to it \\(lock .*killed\\.lock\\)`),
  );
  await other.kill();
  assert.ok(existsSync(path));
  await (await WriterLock.take(path, 'it')).release();
  assert.not(existsSync(path));
});

test('if many processes take over a lock at once, exactly one gets it', async () => {
  const path = join(folder, 'many.lock');
  // Late processes find the lock that another one has made meanwhile.
  const lateBy = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let round = 0; round < 20; round++) {
    writeFileSync(path, JSON.stringify({ pid: 2 ** 30, host: hostname(), began: '1' }));
    const take = (k: number) => lateBy(k % 4).then(() => WriterLock.take(path, 'it'));
    const all = await Promise.allSettled(Array.from({ length: 12 }, (_, k) => take(k)));
    const taken = all.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    assert.is(taken.length, 1, `round ${round}`);
    for (const result of all)
      if (result.status === 'rejected') assert.match(result.reason.message, /^it: process \d+ is writing to it/);
    assert.equal(readdirSync(folder), ['many.lock']);
    await taken[0].release();
  }
});

test('after the end of a process that was removing the lock of another, both locks are taken over', async () => {
  const path = join(folder, 'twice.lock');
  const gone = JSON.stringify({ pid: 2 ** 30, host: hostname(), began: '1' });
  for (const name of [path, `${path}.takeover`]) writeFileSync(name, gone);
  await (await WriterLock.take(path, 'it')).release();
  assert.equal(readdirSync(folder), []);
});

test('a lock whose process number was reused, and an empty lock, are taken over; a lock of another host is not', async () => {
  const path = join(folder, 'stale.lock');
  for (const content of [JSON.stringify({ pid: 1, host: hostname(), began: '-1' }), '', '{"pid"']) {
    writeFileSync(path, content);
    await (await WriterLock.take(path, 'it')).release();
  }
  writeFileSync(path, JSON.stringify({ pid: 7, host: 'elsewhere', began: '1' }));
  const { message } = await rejection(() => WriterLock.take(path, 'it'), FileError);
  assert.match(
    message,
    /process 7 on elsewhere is writing to it; if that process has ended, remove the lock .*stale\.lock/,
  );
});

test('a lock of another container of the same host name is not taken over', async () => {
  const path = join(folder, 'container.lock');
  const lock = await WriterLock.take(path, 'it');
  const own = JSON.parse(readFileSync(path, 'utf8'));
  await lock.release();
  if (own.within === '') return; // this system does not tell
  // No process of this number runs here, but one may run there.
  writeFileSync(path, JSON.stringify({ ...own, pid: 2 ** 22 + 1, within: `${own.within}0` }));
  const { message } = await rejection(() => WriterLock.take(path, 'it'), FileError);
  assert.match(message, /^it: process 4194305 in another container or another start of .* is writing to it; if that/);
  writeFileSync(path, JSON.stringify({ ...own, pid: 2 ** 22 + 1 }));
  await (await WriterLock.take(path, 'it')).release();
});

test('a folder in place of a lock is an error, and stays unchanged', async () => {
  const path = join(folder, 'folder.lock');
  mkdirSync(path);
  const { message } = await rejection(() => WriterLock.take(path, 'it'), FileError);
  assert.is(message, `cannot read the lock ${path}: it is a folder (EISDIR)`);
  assert.ok(existsSync(path));
});

test('a lock is released, whether the work succeeds or fails', async () => {
  const path = join(folder, 'work.lock');
  const failing = withWriterLock(path, 'it', () => Promise.reject(new FileError('no')));
  await rejection(() => failing, FileError);
  assert.not(existsSync(path));
});

test.run();

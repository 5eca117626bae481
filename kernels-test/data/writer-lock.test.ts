import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
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

/** A process that takes a lock and keeps it. */
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

test('a second writer is refused with process, host and file; kill -9 leaves nothing in the way', async () => {
  const path = join(folder, 'killed.lock');
  const other = await holding(path);
  const { message } = await rejection(() => WriterLock.take(path, 'people.cameos'), FileError);
  assert.match(message, new RegExp(`^people\\.cameos: process ${other.pid} writes to it \\(lock .*killed\\.lock\\)`));
  await other.kill();
  assert.ok(existsSync(path));
  await (await WriterLock.take(path, 'it')).release();
  assert.not(existsSync(path));
});

test('of many that take over a lock at once, one has it', async () => {
  const path = join(folder, 'many.lock');
  writeFileSync(path, JSON.stringify({ pid: 2 ** 30, host: hostname(), began: '1' }));
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => WriterLock.take(path, 'it')));
  assert.is(all.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(readdirSync(folder), ['many.lock']);
});

test('a number that another process has got since, and an empty lock, are taken over; another host is not', async () => {
  const path = join(folder, 'stale.lock');
  for (const content of [JSON.stringify({ pid: 1, host: hostname(), began: '-1' }), '', '{"pid"']) {
    writeFileSync(path, content);
    await (await WriterLock.take(path, 'it')).release();
  }
  writeFileSync(path, JSON.stringify({ pid: 7, host: 'elsewhere', began: '1' }));
  const { message } = await rejection(() => WriterLock.take(path, 'it'), FileError);
  assert.match(message, /process 7 on elsewhere writes to it; if that is no more, remove the lock .*stale\.lock/);
});

test('a lock is released whatever comes of the work', async () => {
  const path = join(folder, 'work.lock');
  const failing = withWriterLock(path, 'it', () => Promise.reject(new FileError('no')));
  await rejection(() => failing, FileError);
  assert.not(existsSync(path));
});

test.run();

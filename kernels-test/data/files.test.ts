import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FileSource } from '../../src/data/archives/file-source.js';
import { EmbeddingFile } from '../../src/data/faces/embedding-file.js';
import { readFace } from '../../src/data/faces/face-pack.js';
import {
  checkTarget,
  FileError,
  removeTemporaries,
  replaceFile,
  writeFileAtomic,
} from '../../src/data/files/atomic-file.js';
import { externalDataIn } from '../../src/data/files/external-data.js';
import { readText } from '../../src/data/files/read-file.js';
import { readPictureFile } from '../../src/data/pictures/image.js';
import { isOwnPicture } from '../../src/data/pictures/own-files.js';
import { EncodingLog } from '../../src/evaluation/codecs/encoding-log.js';
import { EmbeddingCache } from '../../src/evaluation/verification/embedding-cache.js';
import { readCheckpoint } from '../../src/training/training-run.js';
import { rejection } from '../helpers/rejection.js';

const test = suite('files');
const folder = mkdtempSync(join(tmpdir(), 'cameo-files-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const posix = process.platform === 'win32' ? test.skip : test;
if (process.platform === 'win32') console.log('SKIP pipes, links and permissions: Windows has others');

posix('a named pipe, which may never have a writer, is refused at once', async () => {
  const pipe = join(folder, 'pipe.png');
  execFileSync('mkfifo', [pipe]);
  const reads: [string, () => unknown][] = [
    ['text', () => readText(pipe)],
    ['archive', () => FileSource.open(pipe)],
    ['picture', () => readPictureFile(pipe, pipe)],
    ['checkpoint', () => readCheckpoint(pipe)],
    ['embeddings', () => EmbeddingFile.open(pipe, 'cafe', 3)],
    ['packed face', () => readFace(pipe, 0)],
    ['encodings', () => EncodingLog.open(pipe)],
    ['external data', () => externalDataIn(folder)('pipe.png')],
  ];
  // A writer comes after a second, so that a read that waits for one fails this test instead of blocking all.
  const writer = setTimeout(() => void open(pipe, 'r+').then((file) => setTimeout(() => file.close(), 500)), 1000);
  const begun = performance.now();
  for (const [what, read] of reads) {
    const message = await Promise.resolve()
      .then(read)
      .then(
        () => 'read it',
        (error: Error) => error.message,
      );
    assert.match(message, /pipe\.png: it is not a regular file$/, what);
  }
  assert.is(await isOwnPicture(pipe), false);
  await EmbeddingCache.open(pipe);
  assert.ok(performance.now() - begun < 1000, 'no read waits');
  clearTimeout(writer);
});

posix('a file that is replaced keeps its permissions, and links to it stay links', async () => {
  const [file, link, chain] = ['real/file', 'link', 'chain'].map((name) => join(folder, name));
  mkdirSync(join(folder, 'real'));
  symlinkSync('real/file', link);
  symlinkSync('link', chain);
  await checkTarget(chain);
  await writeFileAtomic(chain, 'made through links');
  assert.is(readFileSync(file, 'utf8'), 'made through links');
  for (const mode of [0o600, 0o666, 0o755, 0o444]) {
    chmodSync(file, mode);
    await writeFileAtomic(chain, `with ${mode}`, { durable: true });
    assert.equal([readFileSync(file, 'utf8'), statSync(file).mode & 0o777], [`with ${mode}`, mode]);
  }
  assert.equal([lstatSync(link).isSymbolicLink(), lstatSync(chain).isSymbolicLink()], [true, true]);
  writeFileSync(join(folder, 'real', '.file.0123456789ab.tmp'), 'half of it');
  await removeTemporaries(chain);
  assert.equal(readdirSync(join(folder, 'real')), ['file']);
  symlinkSync('loop', join(folder, 'loop'));
  const { message } = await rejection(() => writeFileAtomic(join(folder, 'loop'), ''), FileError);
  assert.match(message, /loop: its symbolic links form a loop/);
});

test('any name that the disk accepts can be written, and what a killed program left is found', async () => {
  for (const letter of ['n', 'é', '名', '😀']) {
    const name = letter.repeat(Math.floor(255 / Buffer.byteLength(letter)));
    const place = join(folder, `long ${letter}`);
    mkdirSync(place);
    let temporary = '';
    await replaceFile(join(place, name), async (file) => {
      [temporary] = readdirSync(place);
      await file.writeFile('whole');
    });
    writeFileSync(join(place, temporary), 'half of it');
    await removeTemporaries(join(place, name));
    assert.equal(readdirSync(place), [name]);
  }
});

test.run();

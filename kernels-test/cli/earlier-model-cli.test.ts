// adapters: once
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readableIdsOf } from '../../src/codec/autoencoder-codec.js';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { latentsFromSymbols } from '../../src/codec/latents.js';
import { packLatentsPng } from '../../src/codec/png/container.js';
import { quantizedFrom } from '../../src/codec/quantized-from.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { readEarlierVectors, readShippedVectors, shippedModel } from '../codec/shipped-vectors.js';
import { ROOT, temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

/*
 * Files that were written with the weights of 32 and 16 bits, before these were quantised, are read by the command with the weights
 * that are shipped now.
 */
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const { file, model } = await shippedModel();
const trained = new LatentModel(model.fields, quantizedFrom(file.metadata)[0]);
const [face] = (await readEarlierVectors()).faces.slice(2);
const [sameFace] = (await readShippedVectors()).faces.slice(2);
writeFileSync(at('old.cameo'), face.file);
writeFileSync(at('old.cameo.bare'), face.bare);
writeFileSync(at('new.cameo'), sameFace.file);
writeFileSync(at('old.cameos'), packArchive([{ ...face, name: 'ann' }], trained));
const autoencoder = readAutoencoder(readFileSync(join(ROOT, 'models', 'codec.safetensors')));
const [, earlierId] = readableIdsOf(autoencoder);
/** A PNG of a model whose map has so many channels. */
function writeMap(name: string, channels: number, modelId: string): void {
  const symbols = Float32Array.from({ length: 7 * 6 * channels }, (_, k) => (k % 5) - 2);
  writeFileSync(at(name), packLatentsPng(latentsFromSymbols(symbols, 7, 6, channels), { modelId, rate: 1 }));
}
writeMap('old.cameo.png', autoencoder.config.latentChannels, earlierId);
// The autoencoder that shipped before, without linear layers.
writeMap('first.cameo.png', 32, '224db50c');

const run = async (...words: string[]): Promise<string> => {
  const { code, stdout, stderr } = await cameoHere(words, { CAMEO_MODEL: '' }, folder);
  assert.is(code, 0, `${words.join(' ')}: ${stderr}`);
  return stdout;
};

test('info says that the weights match, and checks the faces', async () => {
  const { files } = JSON.parse(
    await run('info', 'old.cameo', 'old.cameo.bare', 'old.cameos', 'old.cameo.png', '--json'),
  );
  for (const file of files) assert.equal([file.matches, file.checked], [true, true], JSON.stringify(file));
  assert.equal(
    files.map((file: { model: string }) => file.model),
    ['ff7b0a36', '0a36', 'ff7b0a36', earlierId],
  );
});

test('decode restores the same pixels as from the face that the shipped model wrote', async () => {
  await run('decode', 'old.cameo', 'new.cameo', 'old.cameos', '-o', 'restored');
  const names = readdirSync(at('restored')).sort();
  assert.is(names.length, 3, `${names}`);
  const [first, ...others] = names.map((name) => readFileSync(join(at('restored'), name)));
  for (const other of others) assert.equal(other, first);
  await run('decode', 'old.cameo.png', '-o', 'png');
  assert.is(readdirSync(at('png')).length, 1);
});

test('a PNG of the autoencoder that shipped before is refused, and its model named', async () => {
  const { code, stderr } = await cameoHere(['decode', 'first.cameo.png', '-o', 'none'], { CAMEO_MODEL: '' }, folder);
  assert.is(code, 1);
  assert.match(stderr, /first\.cameo\.png.*224db50c/);
  assert.not(existsSync(at('none')));
});

test.run();

import type { Command } from 'commander';
import { MAX_FILE_BYTES, unpackLatentsPng } from '../codec/png-container.js';
import { readWeights, type Weights } from './codec-session.js';
import { orComplain } from './complain.js';
import { sizeText } from './numbers.js';
import { readRegularFile } from './read-file.js';

/** Adds `cameo info` to the program. */
export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('tell what is in small files, and check them; needs no GPU')
    .argument('<file...>', 'files that `cameo encode` made')
    .option('--model <file>', 'weights to compare with (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText('after', '\nExample:\n  cameo info small/face.cameo.png')
    .action(async (files: string[], { model }: { model?: string }) => {
      const weights = await readWeights(model);
      for (const file of files) {
        await orComplain(file, async () => {
          console.log(`${file}: ${describeFile(await readRegularFile(file, MAX_FILE_BYTES), weights)}`);
        });
      }
    });
}

function describeFile(bytes: Uint8Array, weights: Weights): string {
  const { version, rate, modelId, latents } = unpackLatentsPng(bytes);
  const { height, width, channels } = latents;
  const match =
    modelId === weights.modelId
      ? `matches ${weights.path}`
      : `does not match ${weights.path}, which is ${weights.modelId}`;
  return [
    `${sizeText(bytes.length)}, checksum ok`,
    `  format version ${version}, rate ${rate}, latents ${height}×${width}×${channels} (height×width×channels)`,
    `  model ${modelId}: ${match}`,
  ].join('\n');
}

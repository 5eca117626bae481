import type { Command } from 'commander';
import { MAX_FILE_BYTES } from '../codec/png-container.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../data/align.js';
import { writePng } from '../data/image.js';
import { BATCH, CodecSession, readWeights } from './codec-session.js';
import { orComplain } from './complain.js';
import { COMPACT_SUFFIX } from './encode.js';
import { Outputs, stemOf } from './outputs.js';
import { readRegularFile } from './read-file.js';

/** Not just ".png": decoding beside the original must not overwrite it. */
const DECODED_SUFFIX = '.decoded.png';

interface DecodeOptions {
  out: string;
  model?: string;
}

/** Adds `cameo decode` to the program. */
export function addDecodeCommand(program: Command): void {
  program
    .command('decode')
    .description('restore faces from small files')
    .argument('<file...>', 'files that `cameo encode` made')
    .requiredOption('-o, --out <dir>', `folder for the pictures NAME${DECODED_SUFFIX}; made where it is missing`)
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText(
      'after',
      `
Example:
  cameo decode small/*${COMPACT_SUFFIX} -o restored

A file can be decoded only with the weights that encoded it; \`cameo info\` shows which they are.
What is damaged or foreign is named on standard error; the rest goes on, and the exit code is 1.`,
    )
    .action(decodeFiles);
}

async function decodeFiles(files: string[], { out, model }: DecodeOptions): Promise<void> {
  const session = new CodecSession(await readWeights(model));
  const outputs = await Outputs.in(out);
  const waiting: { input: string; bytes: Uint8Array }[] = [];
  const decodeBatch = async (): Promise<void> => {
    const codec = await session.codec();
    const batch: { input: string; output: string; bytes: Uint8Array }[] = [];
    for (const { input, bytes } of waiting.splice(0, BATCH)) {
      await orComplain(input, () => {
        codec.unpack(bytes);
        const output = outputs.claim(`${stemOf(input, COMPACT_SUFFIX)}${DECODED_SUFFIX}`, input);
        batch.push({ input, output, bytes });
      });
    }
    const faces = await codec.decode(batch.map(({ bytes }) => bytes));
    for (const [k, { input, output }] of batch.entries()) {
      await orComplain(input, async () => {
        await writePng(output, { width: FACE_WIDTH, height: FACE_HEIGHT, data: faces[k] });
        console.log(`${input} -> ${output}`);
      });
    }
  };

  try {
    for (const input of files) {
      await orComplain(input, async () => {
        waiting.push({ input, bytes: await readRegularFile(input, MAX_FILE_BYTES) });
      });
      if (waiting.length >= BATCH) await decodeBatch();
    }
    if (waiting.length > 0) await decodeBatch();
  } finally {
    await session.close();
  }
}

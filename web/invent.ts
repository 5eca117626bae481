import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { DeviceKeeper } from '../src/gpu/device-keeper.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { inventSymbols } from './invented-symbols.js';
import { SMALL_HEIGHT, SMALL_WIDTH, smallFace } from './training-faces.js';
import { TrainingRun } from './training-run.js';

/*
 * npx tsx web/invent.ts: writes the faces that the page opens with. The codec invents persons: it restores symbols that are drawn
 * at random from the distributions in its own tables. One person is the first face of the page (invented-face.png, and the symbols
 * of its 300 bytes in invented-face.json). The second tab trains on all of them (invented-people.jpg), and starts from weights
 * that were trained on them (training-start.safetensors).
 */

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
/** Number of persons, and how many are side by side in their picture. */
const [PEOPLE, ACROSS] = [48, 12];
/** Seed of the face that the page opens with. */
const FIRST = 27;
const BYTES = 300;
const TRAINING = { steps: 4000, targetBytes: 200 };

/** Invents the persons of seeds 1 to PEOPLE, and writes the files of the first face. @returns their faces */
async function inventPeople(gpu: Gpu): Promise<Uint8Array[]> {
  const { file } = expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec');
  const codec = FaceCodec.fromKlt(gpu, file);
  const seeds = Array.from({ length: PEOPLE }, (_, k) => k + 1);
  const people = await codec.restore(inventSymbols(codec, file.tensors, seeds));
  const first = people[FIRST - 1];
  const { width, height } = codec.faceSize;
  await sharp(first, { raw: { width, height, channels: 3 } })
    .png({ effort: 10 })
    .toFile(here('invented-face.png'));
  const [{ symbols, qIndex, grey }] = await codec.symbolsOf([first], { maxBytes: BYTES });
  const nonZero = [...symbols.entries()].filter(([, symbol]) => symbol !== 0);
  await writeFileAtomic(here('invented-face.json'), `${JSON.stringify({ qIndex, grey, symbols: nonZero })}\n`);
  codec.dispose();
  return people;
}

async function writePeople(small: readonly Uint8Array[]): Promise<void> {
  const raw = { width: SMALL_WIDTH, height: SMALL_HEIGHT, channels: 3 as const };
  await sharp({
    create: {
      width: ACROSS * SMALL_WIDTH,
      height: Math.ceil(PEOPLE / ACROSS) * SMALL_HEIGHT,
      channels: 3,
      background: '#000',
    },
  })
    .composite(
      small.map((face, k) => ({
        input: Buffer.from(face),
        raw,
        left: (k % ACROSS) * SMALL_WIDTH,
        top: Math.floor(k / ACROSS) * SMALL_HEIGHT,
      })),
    )
    .jpeg({ quality: 92 })
    .toFile(here('invented-people.jpg'));
}

const device = new DeviceKeeper(() => openGpu());
const small = (await device.run(inventPeople)).map(smallFace);
await writePeople(small);
const run = new TrainingRun(device, small, { ...TRAINING, start: null }, { onStep() {}, onLook() {} });
await run.run();
await writeFileAtomic(here('training-start.safetensors'), run.weights()!);
const { loss, psnr, bytes } = run.steps.at(-1)!;
console.log(
  `after ${run.steps.length} steps: loss ${loss.toFixed(2)}, ${psnr.toFixed(1)} dB, ${bytes.toFixed(0)} bytes`,
);
device.close();

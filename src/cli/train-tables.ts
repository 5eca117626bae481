import type { Command } from 'commander';
import { readKlt, writeKlt } from '../codec/codec-weights.js';
import { crc32 } from '../codec/crc32.js';
import { LatentModel } from '../codec/entropy/latent-model.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { openFaceFolder } from '../data/faces/face-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { KltAutoencoder } from '../models/klt-autoencoder.js';
import { loadKlt } from '../models/klt-file.js';
import { checkTensors } from '../nn/host-tensor.js';
import { writeSafetensors } from '../nn/safetensors.js';
import { fitTables } from '../training/fit-tables.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { noteOwn } from './note-own.js';
import { integer } from './numbers.js';
import { claimFile } from './outputs.js';
import { dataFolder } from './places.js';
import { startProgress } from './progress.js';
import { say } from './terminal.js';

interface TrainTablesCommand {
  detector?: string;
  data?: string;
  model: string;
  out: string;
  faces: number;
}

/** From some 100 to 1200 bytes a face. */
const STEPS = [17, 21, 25, 29, 33, 39];

/** Adds `tables` to `cameo train`. */
export function addTrainTables(train: Command): void {
  train
    .command('tables')
    .description('fit the integer tables of the entropy coder to training faces, for a trained model')
    .option('--data <dir>', 'folder of aligned faces (default: CAMEO_DATA)')
    .option('--detector <file>', DETECTOR_HELP)
    .requiredOption('--model <file>', 'weights that `cameo train codec` made')
    .requiredOption('-o, --out <file>', 'the same weights with tables, which `cameo encode --bytes` needs')
    .option('--faces <n>', 'number of training faces', integer(1), 4000)
    .addHelpText(
      'after',
      '\nExample: cameo train tables --model out/codec/model.safetensors -o models/face.safetensors',
    )
    .action(run);
}

async function run({ data, model: path, out, faces: limit, detector }: TrainTablesCommand): Promise<void> {
  const finder = await FaceFinder.forFolder(detector);
  const { file } = await readWeightsFile(path, readKlt);
  const faces = await openFaceFolder(dataFolder(data), { split: 'train', limit, align: finder.aligner() });
  noteOwn(faces);
  await faces.batch([0]); // throws where no face is readable
  checkTensors(file.tensors, new KltAutoencoder(file.config).entries(), `the network of ${path}`);
  await claimFile(out, [path]);
  const gpu = await openDevice();
  let bar: ReturnType<typeof startProgress> | null = null;
  let stage = '';
  try {
    const model = loadKlt(gpu, file);
    const fitted = await fitTables(gpu, model, faces, {
      steps: STEPS.filter((step) => step < file.config.steps),
      onProgress: (what, done, total) => {
        if (what !== stage && total > 10) {
          bar?.stop();
          bar = startProgress(total, what);
        } else if (what !== stage) say(what);
        stage = what;
        if (total > 10) bar?.update(done);
      },
    }).finally(() => bar?.stop());
    model.dispose();
    const plain = writeKlt(file.config, file.tensors, Object.fromEntries(file.metadata));
    // Bound to the weights as they are read back: the large matrices are halves.
    const weights = crc32(writeSafetensors(readKlt(plain).tensors));
    const tables = { model: new LatentModel(fitted.model.fields, weights), order: fitted.order };
    const result = writeKlt(file.config, file.tensors, Object.fromEntries(file.metadata), tables);
    await writeFileAtomic(out, result);
    say(`${out}: model ${readKlt(result).tables!.model.idText}, ${result.length} bytes`);
  } finally {
    finder.close();
    gpu.destroy();
  }
}

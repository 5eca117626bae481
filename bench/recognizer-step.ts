import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { centredUniform } from '../src/common/random.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Command, Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { cpuSeconds } from '../src/training/compare-networks.js';
import { NO_GENERATED } from '../src/training/generated-faces.js';
import {
  DEFAULT_RECOGNITION_TRAINING,
  facesInStep,
  type RecognitionTrainingConfig,
  withNewLossNames,
} from '../src/training/recognition-config.js';
import { RecognitionTrainer } from '../src/training/recognition-trainer.js';

/*
 * tsx bench/recognizer-step.ts [CONFIG [BATCH]]: measures how much processor time, over all threads, each kernel of a training step
 * takes. On a CPU adapter this is the cost of the step, whatever else the machine does. Kernels run one by one in the order of the
 * step, and the least of several times counts. It writes results/recognizer-step.md.
 */

const ROUNDS = 5;
/** Number of kernels that the table shows by name. */
const SHOWN = 16;
const CLASSES = 2000;

const [path = 'models/recognizer-more-training.json', batch = '32'] = process.argv.slice(2);
const file = withNewLossNames(
  JSON.parse(readFileSync(join(PACKAGE_ROOT, path), 'utf8')) as Partial<RecognitionTrainingConfig>,
);
const config: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  ...file,
  model: { ...DEFAULT_RECOGNITION_TRAINING.model, ...file.model },
  unlabelledBatch: 0,
  generatedBatch: 0,
  generated: NO_GENERATED,
  sourceWeights: {},
  batchSize: Number(batch),
  // The teacher is not measured.
  hints: 0,
  teacherForcingSteps: 0,
};

/** Between `start` and `stop`, keeps the dispatches of recorded steps instead of running them. */
function captureCommands(gpu: Gpu): { start(): void; stop(): Command[]; label(command: Command): string } {
  const labels = new Map<Command, string>();
  const commands: Command[] = [];
  const { prepare, encode } = gpu;
  let capturing = false;
  gpu.prepare = (kernel, buffers, uniform) => {
    const command = prepare.call(gpu, kernel, buffers, uniform);
    labels.set(command, kernel.label);
    return command;
  };
  gpu.encode = (command) => {
    if (capturing && labels.has(command)) commands.push(command);
    else encode.call(gpu, command);
  };
  return {
    start() {
      capturing = true;
    },
    stop() {
      capturing = false;
      return commands;
    },
    label: (command) => labels.get(command)!,
  };
}

const gpu = await openGpu();
const capture = captureCommands(gpu);
const trainer = new RecognitionTrainer(
  gpu,
  config,
  Array.from({ length: CLASSES }, (_, k) => `person ${k}`),
);
const faces = facesInStep(config);
const { width, height, dimension } = config.model;
const images = centredUniform(faces * width * height * 3, 1).map((value) => value + 0.5);
const step = {
  images,
  labels: Array.from({ length: faces }, (_, k) => k),
  teacher: new Float32Array(faces * dimension).fill(dimension ** -0.5),
};
await trainer.train(step); // compiles
capture.start();
await trainer.train(step);
const commands = capture.stop();

const min = new Float64Array(commands.length).fill(Infinity);
for (let round = 0; round < ROUNDS; round++) {
  for (const [k, command] of commands.entries()) {
    const before = cpuSeconds();
    gpu.encode(command);
    gpu.flush();
    await gpu.sync();
    min[k] = Math.min(min[k], 1000 * (cpuSeconds() - before));
  }
}
const kinds = new Map<string, { ms: number; count: number }>();
for (const [k, command] of commands.entries()) {
  const kind = kinds.get(capture.label(command)) ?? { ms: 0, count: 0 };
  kinds.set(capture.label(command), { ms: kind.ms + min[k], count: kind.count + 1 });
}
const total = min.reduce((sum, ms) => sum + ms, 0);
const sorted = [...kinds].sort(([, a], [, b]) => b.ms - a.ms);
const rest = sorted.slice(SHOWN).reduce((sum, [, { ms }]) => sum + ms, 0);
const row = (name: string, count: number | string, ms: number) => [
  name,
  count,
  (ms / faces).toFixed(2),
  `${((100 * ms) / total).toFixed(1)} %`,
];
const table = {
  title: 'Kernels',
  columns: ['Kernel', 'Dispatches', 'CPU ms per face', 'Share'],
  rows: [
    ...sorted.slice(0, SHOWN).map(([name, { ms, count }]) => row(name, count, ms)),
    row('all others', '', rest),
    row('together', commands.length, total),
  ],
};
const { channels, units } = config.model;
const sizes = config.architecture === 'cameo-face' ? `, channels ${channels.join('-')}, units ${units.join('-')}` : '';
const metadata = [
  `A step of ${faces} faces, ${config.architecture}${sizes}, ${CLASSES} classes, without the teacher's own work`,
  ...metadataTexts({ ...runMetadata(gpu.description), command: `tsx bench/recognizer-step.ts ${path} ${batch}` }),
];
await writeFileAtomic(
  join(PACKAGE_ROOT, 'results', 'recognizer-step.md'),
  `# Where a training step of the recogniser goes\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`,
);
console.log(
  sorted
    .slice(0, SHOWN)
    .map(([name, { ms }]) => `${(ms / faces).toFixed(2)} ms ${name}`)
    .join('\n'),
);
trainer.dispose();
gpu.destroy();

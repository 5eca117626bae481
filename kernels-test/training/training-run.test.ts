// adapters: once
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { inTrainingFolder, runTraining, type Training, type TrainingOptions } from '../../src/training/training-run.js';
import { rejection } from '../helpers/rejection.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-run-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

interface Start {
  firstStep: number;
  what: string;
}
type Step = { step: number; loss: number };
type Options = Partial<TrainingOptions<Start, Step, number>> & { steps?: number; scores?: readonly number[] };

/** A trainer without a network, which adds up the step numbers. It records its calls in `asked`. */
class Sum implements Training<Start, Step, number, number> {
  readonly columns = ['step', 'loss', 'sum'];
  readonly checkpointEvery = 2;
  readonly start = { what: 'sums' };
  readonly asked: string[] = [];
  readonly trainer = {
    step: 0,
    sum: 0,
    checkpoint: async () => new TextEncoder().encode(JSON.stringify([this.trainer.step, this.trainer.sum])),
    restore: (bytes: Uint8Array) => {
      [this.trainer.step, this.trainer.sum] = JSON.parse(new TextDecoder().decode(bytes));
    },
    dispose: () => this.asked.push('freed'),
  };

  constructor(
    readonly steps: number,
    private readonly scores: readonly number[] = [],
  ) {}

  async begin(): Promise<void> {
    this.trainer.sum = 100;
  }

  async prepare(step: number): Promise<void> {
    this.asked.push(`prepare ${step}`);
  }

  async load(step: number): Promise<number> {
    return step;
  }

  async train(batch: number): Promise<Step> {
    const { trainer } = this;
    trainer.sum += batch;
    return { step: trainer.step++, loss: batch / 2 };
  }

  rowOf = (step: Step) => ({ ...step });
  validate = async () => this.trainer.sum;
  validationRow = (sum: number) => ({ sum });
  score = ({ sum }: Readonly<Record<string, number>>) => (Number.isNaN(sum) ? Number.NaN : (this.scores[sum] ?? sum));
  endedPart = () => (this.trainer.step === 3 ? 'third' : null);
  model = async (validation: number | null) => new TextEncoder().encode(`${this.trainer.step}: ${validation}`);
}

const run = async (name: string, { steps = 6, scores, ...options }: Options = {}) => {
  const training = new Sum(steps, scores);
  const all = { gpu: null as never, out: join(folder, name), ...options };
  const result = await inTrainingFolder(all, (checkpoint) => runTraining(training, all, checkpoint));
  return { training, result };
};
const written = (name: string, file: string): string => readFileSync(join(folder, name, file), 'utf8');

test('a run writes a log, checkpoints, the model after each part, the best model and the last', async () => {
  const starts: Start[] = [];
  const checkpoints: number[] = [];
  const { training, result } = await run('whole', {
    onStart: (start) => starts.push(start),
    onCheckpoint: (log, validation) => {
      checkpoints.push(log.rows.length, validation);
    },
    // Of the sums 101, 103, 106 and 115, the validation figure of the second is the best.
    scores: Object.assign([], { 101: 1, 103: 9, 106: 2, 115: 3 }),
  });
  assert.equal(starts, [{ what: 'sums', firstStep: 0 }]);
  assert.equal(checkpoints, [2, 101, 3, 103, 4, 106, 6, 115]);
  assert.equal(result, { finished: true, steps: 6, lastLoss: 2.5, validation: 115 });
  assert.is(written('whole', 'log.csv'), 'step,loss,sum\n0,0,\n1,0.5,101\n2,1,103\n3,1.5,106\n4,2,\n5,2.5,115\n');
  assert.is(written('whole', 'checkpoint.safetensors'), '[6,115]');
  assert.is(written('whole', 'model-third.safetensors'), '3: 103');
  assert.is(written('whole', 'best.safetensors'), '3: 103');
  assert.is(written('whole', 'model.safetensors'), '6: 115');
  assert.equal(training.asked, [...[0, 1, 2, 3, 4, 5].map((step) => `prepare ${step}`), 'freed']);
});

test('a run that is stopped keeps a checkpoint, and writes the same files when it is resumed', async () => {
  const stop = new AbortController();
  const first = await run('halves', { signal: stop.signal, onStep: ({ step }) => step === 4 && stop.abort() });
  assert.equal(first.result, { finished: false, steps: 5, lastLoss: 2, validation: 106 });
  assert.not(existsSync(join(folder, 'halves', 'model.safetensors')));
  const starts: Start[] = [];
  const second = await run('halves', { resume: true, onStart: (start) => starts.push(start) });
  assert.is(starts[0].firstStep, 5);
  assert.equal(second.result, { finished: true, steps: 6, lastLoss: 2.5, validation: 115 });
  assert.is(written('halves', 'log.csv'), 'step,loss,sum\n0,0,\n1,0.5,101\n2,1,103\n3,1.5,106\n4,2,\n5,2.5,115\n');
  await run('whole', {});
  for (const file of ['checkpoint.safetensors', 'model-third.safetensors', 'best.safetensors', 'model.safetensors']) {
    assert.is(written('halves', file), written('whole', file), file);
  }
});

test('wherever a run is stopped, it ends with the files of one that is not, also if its network was best there', async () => {
  // After the first, third and fifth step the validation figure would be the best of all.
  const scores = Object.assign([], { 100: 20, 101: 1, 103: 9, 106: 2, 110: 30, 115: 3 });
  await run('straight', { scores });
  for (const last of [0, 1, 2, 3, 4]) {
    const name = `stopped-${last}`;
    const stop = new AbortController();
    await run(name, { scores, signal: stop.signal, onStep: ({ step }) => step === last && stop.abort() });
    await run(name, { scores, resume: true });
    for (const file of readdirSync(join(folder, 'straight'))) {
      assert.is(written(name, file), written('straight', file), `${file}, stopped after step ${last}`);
    }
  }
});

test('resuming a finished run only writes its model', async () => {
  await run('again', {});
  rmSync(join(folder, 'again', 'model.safetensors'));
  const { result } = await run('again', { resume: true });
  assert.equal(result, { finished: true, steps: 6, lastLoss: Number.NaN, validation: 115 });
  assert.is(written('again', 'model.safetensors'), '6: 115');
});

test('checkpoints after no step, or after a part of one, are refused', async () => {
  for (const checkpointEvery of [0, -3, 1.5, Number.NaN]) {
    const { message } = await rejection(() => run('never', { checkpointEvery }), ArgumentError);
    assert.match(message, /checkpointEvery is .*; expected an integer from 1/);
  }
});

test('a new run saves its initial state before its first step', async () => {
  const stop = new AbortController();
  stop.abort();
  const { result } = await run('begun', { signal: stop.signal });
  assert.equal([result.steps, result.validation], [0, null]);
  assert.is(written('begun', 'checkpoint.safetensors'), '[0,100]');
});

test('a run that ends while it writes a checkpoint loses no row of its log, and keeps its best model', async () => {
  const scores = Object.assign([], { 101: 1, 103: 9, 106: 2, 115: 3 });
  const log = join(folder, 'full', 'log.csv');
  const aside = join(folder, 'full', 'log-aside.csv');
  const onStep = ({ step }: Step): void => {
    if (step !== 3) return;
    renameSync(log, aside);
    mkdirSync(log); // cannot be written now
  };
  await rejection(() => run('full', { scores, onStep }), FileError);
  rmSync(log, { recursive: true });
  renameSync(aside, log);
  await run('full', { resume: true, scores });
  await run('not-full', { scores });
  for (const file of ['log.csv', 'checkpoint.safetensors', 'best.safetensors', 'model.safetensors']) {
    assert.is(written('full', file), written('not-full', file), file);
  }
});

test('a log with other columns is refused, and left as it is', async () => {
  const stop = new AbortController();
  await run('columns', { signal: stop.signal, onStep: ({ step }) => step === 3 && stop.abort() });
  const log = written('columns', 'log.csv').replace('sum', 'total');
  writeFileSync(join(folder, 'columns', 'log.csv'), log);
  const { message } = await rejection(() => run('columns', { resume: true }), CheckpointError);
  assert.match(message, /log\.csv: its columns are "step,loss,total"; expected "step,loss,sum": move it away/);
  assert.is(written('columns', 'log.csv'), log);
  rmSync(join(folder, 'columns', 'log.csv'));
  assert.is((await run('columns', { resume: true })).result.finished, true);
});

test('resuming without a checkpoint is an error, and a failing step frees the trainer', async () => {
  const { message } = await rejection(() => run('none', { resume: true }), CheckpointError);
  assert.match(message, /no checkpoint to resume from: .*none/);
  const training = new Sum(6);
  training.train = () => Promise.reject(new CheckpointError('broken'));
  const options = { gpu: null as never, out: join(folder, 'broken') };
  await rejection(() => inTrainingFolder(options, (from) => runTraining(training, options, from)), CheckpointError);
  assert.is(training.asked.at(-1), 'freed');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plotTraining, type TrainingPlot } from '../../src/cli/training-plots.js';
import { TrainingLog } from '../../src/training/training-log.js';

const PLOTS: readonly TrainingPlot[] = [
  { title: 'Loss', yLabel: 'nats', lines: { loss: 'loss' } },
  { title: 'Held out', yLabel: 'share', lines: { recall: 'val_recall', error: 'val_error' } },
  { title: 'Both', yLabel: '1 − cos', lines: { training: 'loss', 'held out': 'val_error' } },
];

function drawn(...rows: Record<string, number>[]): string {
  const log = new TrainingLog('log.csv', ['step', 'loss', 'val_recall', 'val_error']);
  for (const row of rows) log.add(row);
  return plotTraining(log, PLOTS);
}
const titlesOf = (svg: string): string[] =>
  PLOTS.map(({ title }) => title).filter((title) => svg.includes(`>${title}<`));

test('a plot of held-out data appears with its first figures, with a line for each column that has values', () => {
  const before = drawn({ step: 0, loss: 3 }, { step: 1, loss: 2 });
  assert.equal(titlesOf(before), ['Loss']);
  assert.match(before, /^<svg [^>]*width="640" height="400"/);
  const first = drawn({ step: 0, loss: 3 }, { step: 1, loss: 2, val_recall: 0.5 });
  assert.equal(titlesOf(first), ['Loss', 'Held out']);
  assert.match(first, '>recall<');
  assert.not.match(first, '>error<');
  const all = drawn({ step: 0, loss: 3, val_recall: 0.4, val_error: 1 }, { step: 1, loss: 2, val_error: 0.5 });
  assert.equal(titlesOf(all), ['Loss', 'Held out', 'Both']);
  assert.match(all, /^<svg [^>]*height="1200"[\s\S]*<svg y="400" [\s\S]*<svg y="800" /);
});

test('lines of held-out data have markers, and lines of training have none', () => {
  const markers = (svg: string): number => svg.match(/<circle /g)?.length ?? 0;
  assert.is(markers(drawn({ step: 0, loss: 3 }, { step: 1, loss: 2 })), 0);
  assert.is(markers(drawn({ step: 0, loss: 3, val_recall: 0.4 }, { step: 1, loss: 2, val_recall: 0.5 })), 2);
});

test.run();

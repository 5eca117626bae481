// adapters: once
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('evaluate codecs');
const out = join(temporaryFolder(), 'out');

test('impossible codecs, budgets and weights are refused by name before any work', async () => {
  const cases: [args: string[], complaint: RegExp][] = [
    [['--budgets', '300,none'], /--budgets: "none"; expected a positive number of bytes/],
    [['--codecs', 'gif'], /--codecs: "gif"; expected some of cameo, .*webp2/],
    [['--codecs', 'gif:300'], /--codecs: "gif"; expected some of/],
    [['--codecs', 'jpeg:300+x'], /--codecs: "x"; expected a positive number of bytes/],
    [['--codecs', 'jpeg:300+400'], /--codecs jpeg:300\+400: 400 bytes are not among --budgets 300/],
    [['--extra-models', 'mse:500=file'], /--extra-models mse:500: 500 bytes are not among --budgets 300/],
    [['--extra-models', 'a=x', 'a=y'], /--extra-models: two weights have the same name/],
    [['--extra-models', 'a=x', '--besides', 'a=y'], /--extra-models: two weights have the same name/],
    [['--reference', 'gif'], /--reference: "gif"; expected one of cameo, .*autoencoder-png/],
    [['--extra-models', 'mine=x', '--reference', 'other'], /--reference: "other"; expected one of cameo, .*, mine/],
    [['--besides', 'file'], /--extra-models file: expected NAME=FILE or NAME:BUDGETS=FILE/],
  ];
  for (const [args, complaint] of cases) {
    const run = await cameoHere(['evaluate', 'codecs', '--budgets', '300', ...args, '-o', out]);
    assert.is(run.code, 1, args.join(' '));
    assert.match(run.complaints.join('\n'), complaint);
  }
  assert.not(existsSync(out));
});

test.run();

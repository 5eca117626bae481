import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ImageError } from '../common/errors.js';
import type { Split } from '../data/faces/face-listing.js';
import { openFaceFolder } from '../data/faces/face-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { tryBaselines } from '../evaluation/codecs/try-codecs.js';
import { evaluateAutoencoder } from '../evaluation/quality/autoencoder-evaluation.js';
import { type AutoencoderReport, autoencoderReportMarkdown } from '../evaluation/reports/autoencoder-report.js';
import { meansTable, rateDistortionPlot } from '../evaluation/reports/codec-tables.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { textTable } from '../evaluation/reports/tables.js';
import { CodecSession } from './codec-session.js';
import { complain } from './complain.js';
import { addEvaluateCodecs } from './evaluate-codecs.js';
import { addEvaluateDetection } from './evaluate-detection.js';
import { addEvaluateIdentification } from './evaluate-identification.js';
import { addEvaluateIdentities } from './evaluate-identities.js';
import { addEvaluatePairs } from './evaluate-pairs.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { noteOwn } from './note-own.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { dataFolder } from './places.js';
import { startProgress } from './progress.js';
import { note, print, say } from './terminal.js';

interface EvaluateOptions {
  data?: string;
  split: Split;
  limit: number | 'all';
  detector?: string;
  model?: string;
  out: string;
}

/** Adds `cameo evaluate` to the program. */
export function addEvaluateCommand(program: Command): void {
  const evaluate = program.command('evaluate').description('measure a network on held-out pictures');
  withOptions(evaluate.command('autoencoder'), 'autoencoder').action((options) =>
    evaluateFaces(options, 'autoencoder'),
  );
  withOptions(evaluate.command('codec', { hidden: true }), 'codec').action((options) => {
    note('evaluate codec is now called evaluate autoencoder');
    return evaluateFaces(options, 'codec');
  });
  addEvaluatePairs(evaluate);
  addEvaluateCodecs(evaluate);
  addEvaluateIdentities(evaluate);
  addEvaluateIdentification(evaluate);
  addEvaluateDetection(evaluate);
}

/** @param name what its files begin with */
function withOptions(command: Command, name: string): Command {
  return command
    .description('PSNR and SSIM of restored faces at every rate, beside JPEG and JPEG2000 with at most as many bytes')
    .option('--data <dir>', 'folder of aligned 96×112 faces (default: CAMEO_DATA, else ../shared/data)')
    .addOption(new Option('--split <name>', 'part of the set').choices(['train', 'val', 'test']).default('test'))
    .option('--limit <n>', "number of faces, spread evenly over the split, or 'all'", limit, 200)
    .option('--detector <file>', DETECTOR_HELP)
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else the shipped weights)')
    .option('-o, --out <dir>', `folder for ${name}-SPLIT.json, .md and .svg`, 'results')
    .addHelpText(
      'after',
      '\nExample:\n  cameo evaluate autoencoder --data faces --split val --limit 50 -o out/results',
    );
}

function limit(text: string): number | 'all' {
  if (text === 'all') return text;
  try {
    return integer(1)(text);
  } catch {
    throw new InvalidArgumentError("Expected an integer of at least 1, or 'all'.");
  }
}

/** @param name what the files that it writes begin with */
async function evaluateFaces(options: EvaluateOptions, name: string): Promise<void> {
  const { split, out } = options;
  const session = await CodecSession.open(options.model);
  const weights = await session.weights('autoencoder');
  const data = dataFolder(options.data);
  const finder = await FaceFinder.forFolder(options.detector);
  const { count: facesInSplit } = await openFaceFolder(data, { split });
  const set = await openFaceFolder(data, {
    split,
    limit: options.limit === 'all' ? undefined : options.limit,
    align: finder.aligner(),
  });
  noteOwn(set);
  await set.batch([0]); // throws where no face is readable
  await tryBaselines();
  const outputs = await Outputs.in(out);
  await outputs.reserve(
    ['json', 'md', 'svg'].map((extension) => `${name}-${split}.${extension}`),
    [options.model],
  );

  try {
    const codec = await session.autoencoderCodec();
    const { description } = await session.gpu();
    say(`${set.count} of ${facesInSplit} faces of split ${split}, on ${description.description}`);
    const bar = startProgress(set.count * codec.rates, 'faces × rates');
    const rates = await evaluateAutoencoder(codec, set, (done) => bar.update(done)).finally(bar.stop);
    for (const { path, reason } of set.unreadable) complain(new ImageError(reason), path);

    const { faces } = rates[0].all;
    const report: AutoencoderReport = {
      ...runMetadata(description),
      model: { id: weights.modelId, config: weights.file.config },
      data: { split, facesInSplit, faces, unreadable: [...set.unreadable] },
      rates,
    };
    const base = `${name}-${split}`;
    const plot = rateDistortionPlot(rates, `Restored faces, split ${split} (${faces} faces)`);
    await writeFileAtomic(join(out, `${base}.svg`), plot);
    await writeFileAtomic(join(out, `${base}.md`), autoencoderReportMarkdown(report, `${base}.svg`));
    await writeFileAtomic(join(out, `${base}.json`), `${JSON.stringify(report, null, 2)}\n`);
    print(`\n${textTable(meansTable(rates, `${faces} faces`))}\n`);
    for (const extension of ['md', 'json', 'svg']) say(join(out, `${base}.${extension}`));
  } finally {
    finder.close();
    await session.close();
  }
}

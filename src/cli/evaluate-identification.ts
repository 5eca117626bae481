import { join } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import {
  compareIdentification,
  FPIR,
  type IdentificationSplit,
  identificationSplit,
} from '../evaluation/comparison/compare-identification.js';
import {
  againstTable,
  type IdentificationReport,
  identificationLine,
  identificationMarkdown,
  identificationTable,
} from '../evaluation/comparison/identification-report.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { textTable } from '../evaluation/reports/tables.js';
import { type CodecsInputs, type CodecsOptions, parseCodecsOptions, readCodecsInputs } from './codecs-request.js';
import { runCodecs } from './codecs-run.js';
import { addJson, beginJson, isJson, JSON_HELP } from './json-output.js';
import { lfwPerson } from './lfw-faces.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { cacheFile } from './places.js';
import { print, say } from './terminal.js';
import { RECOGNIZER_HELP } from './with-recognizer.js';

interface IdentificationCommand extends Pick<CodecsOptions, 'lfw' | 'codecs' | 'budgets' | 'model' | 'single'> {
  recognizer: string;
  limit?: number;
  out?: string;
  json?: boolean;
}

const FILES = ['identification.json', 'identification.md'];

/** Adds `identification` to `cameo evaluate`. */
export function addEvaluateIdentification(evaluate: Command): void {
  evaluate
    .command('identification')
    .description(
      'one-to-many search: photographs searched in a gallery with one restored face of each person; rank 1, and FNIR at a FPIR of 1 %',
    )
    .option('--lfw <dir>', 'folder with images/, pairs.txt and landmarks.txt (default: CAMEO_DATA/lfw)')
    .option(
      '--codecs <names>',
      'comma-separated, as for `cameo evaluate codecs`; NAME:300+500 for these budgets only',
      'cameo,jpeg2000:300,webp:300',
    )
    .option('--budgets <bytes>', 'comma-separated', '200,300,500')
    .option('--recognizer <name>', RECOGNIZER_HELP, 'cameo')
    .option('--model <file>', 'weights of the Cameo codec (default: CAMEO_MODEL, else the shipped weights)')
    .option('--single', 'embed the picture alone, without its mirror image; takes half the time')
    .option('--limit <n>', 'use only this many persons, spread evenly, for a quick run', integer(2))
    .option('-o, --out <dir>', 'folder for identification.json and .md; without it, nothing is written')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      `
The gallery has the first picture of every person; every other picture is searched for in it. identification.md describes the protocol.
Encodings and embeddings are kept in the cache, so a run that was stopped goes on where it was.

Example:
  cameo evaluate identification --limit 200
Keys of --json: those of identification.json (recognizer, codec, data, fpir, rows, and the run's metadata; its command is commandLine), errors`,
    )
    .action(async (options: IdentificationCommand) => {
      if (options.json) beginJson('evaluate identification');
      await run(options);
    });
}

async function run(options: IdentificationCommand): Promise<void> {
  const { recognizer, out, limit, ...rest } = options;
  const asked: CodecsOptions = { ...rest, recognizers: recognizer, mixes: 'reference', out: '' };
  const request = parseCodecsOptions(asked);
  const inputs = await readCodecsInputs(asked, request);
  if (out !== undefined) await (await Outputs.in(out)).reserve(FILES, [options.model, recognizer]);
  const commit = gitCommit(); // at the start, because files may change while the program runs
  await runCodecs(inputs, 'stopped; encodings and embeddings are kept', async ({ onProgress, endStage, open }) => {
    const { faces, split, personsLeftOut } = await readFaces(inputs, limit, onProgress);
    const { gpu, codecs } = await open();
    const [opened] = inputs.recognizers;
    const rows = await compareIdentification({
      ...{ gpu, faces, split, personOf: lfwPerson, budgets: request.budgets, recognizer: opened, onProgress },
      encoders: await codecs.asked(request),
      single: request.single,
      cacheOf: (row) => cacheFile('embeddings', opened.modelId, `${row}.safetensors`),
      onRow: (row) => {
        endStage();
        say(identificationLine(row));
      },
    });
    const watched = inputs.weights.file.metadata.get('cameo.recognizers') ?? '';
    const embedding = request.single ? 'single' : 'flip';
    const seen = watched.includes(opened.modelId);
    await report(out, {
      ...runMetadata(gpu.description, commit),
      recognizer: { name: opened.name, id: opened.modelId, embedding, seen },
      codec: codecs.cameo.modelId,
      data: { ...countsOf(split), personsLeftOut },
      fpir: FPIR,
      rows,
    });
  });
}

/** The faces of all persons, or of so many. */
async function readFaces(
  { lfw }: CodecsInputs,
  limit: number | undefined,
  onProgress: (what: string, done: number, total: number) => void,
) {
  let split: IdentificationSplit | undefined;
  let personsLeftOut = 0;
  const faces = await lfw.crops(
    (done, total) => onProgress('aligning faces', done, total),
    (names) => {
      const persons = [...new Set(names.map(lfwPerson))].sort();
      const count = Math.min(limit ?? persons.length, persons.length);
      const taken = new Set(Array.from({ length: count }, (_, k) => persons[Math.floor((k * persons.length) / count)]));
      personsLeftOut = persons.length - count;
      const wanted = names.filter((name) => taken.has(lfwPerson(name)));
      split = identificationSplit(wanted, lfwPerson);
      return wanted;
    },
  );
  return { faces, split: split!, personsLeftOut };
}

const countsOf = ({ gallery, mated, unmated }: IdentificationSplit) => ({
  persons: gallery.length,
  mated: mated.length,
  matedPersons: gallery.length - unmated.length,
  unmated: unmated.length,
});

/** Prints the tables, and writes the report where it is to be written. */
async function report(folder: string | undefined, content: IdentificationReport): Promise<void> {
  if (folder !== undefined) {
    await writeFileAtomic(join(folder, 'identification.json'), `${JSON.stringify(content, null, 2)}\n`);
    await writeFileAtomic(join(folder, 'identification.md'), identificationMarkdown(content));
  }
  const { command: commandLine, ...known } = content; // the document has a `command` of its own
  addJson({ ...known, commandLine });
  if (!isJson()) {
    print(`\n${textTable(identificationTable(content))}`);
    const against = againstTable(content.rows);
    if (against) print(`\n${textTable(against)}`);
  }
  if (folder !== undefined) for (const name of FILES) say(join(folder, name));
}

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { alignFace } from '../../src/detection/align.js';
import { cameoInShell, ROOT } from '../cli/cli-fixture.js';
import { cameoHere } from '../cli/cli-here.js';
import { INVENTED_LANDMARKS, INVENTED_PHOTO } from '../web/invented-faces.js';

/** A block of code in a page. */
export interface Snippet {
  page: string;
  line: number;
  language: string;
  code: string;
  /** The reason why it is not run, from the line above it. */
  notRun?: string;
  /** Whether it needs the weights of a face detector. */
  detector: boolean;
}

/** The blocks of code in a page, except those in the language "text". */
export function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(({ 1: language, 2: code, index }) => {
    if (language === 'text') return [];
    const before = text.slice(0, index).trimEnd().split('\n').at(-1) ?? '';
    const [, notRun] = /^(?:\*|<!-- )Not run by the tests[^:]*: (.+?)(?:\*| -->)$/.exec(before) ?? [];
    const line = text.slice(0, index).split('\n').length;
    return [
      {
        page,
        line,
        language,
        code,
        notRun,
        detector: /^(?:\*|<!-- )Needs the weights of a face detector\b/.test(before),
      },
    ];
  });
}

/** Writes the files that the pages call `face.png`, `people/`, `holiday.jpg` and `holiday.json`, with invented faces. */
export async function writePictures(folder: string): Promise<void> {
  const { data, info } = await sharp(INVENTED_PHOTO).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const photo = { width: info.width, height: info.height, data: new Uint8Array(data) };
  mkdirSync(join(folder, 'people'), { recursive: true });
  for (const [k, landmarks] of INVENTED_LANDMARKS.entries()) {
    const { width, height, data: pixels } = alignFace(photo, landmarks);
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    writeFileSync(join(folder, 'people', `${k + 1}.png`), png);
    if (k === 0) writeFileSync(join(folder, 'face.png'), png);
  }
  await sharp(INVENTED_PHOTO).jpeg({ quality: 92 }).toFile(join(folder, 'holiday.jpg'));
  writeFileSync(join(folder, 'holiday.json'), JSON.stringify({ 'holiday.jpg': INVENTED_LANDMARKS }));
}

const source = (path: string): string => pathToFileURL(join(ROOT, path)).href;
const MODULES: Record<string, string> = {
  cameo: source('src/index.ts'),
  'cameo/engine': source('src/engine.ts'),
  'cameo/methods': source('src/methods.ts'),
  'cameo/detection': source('src/detection/index.ts'),
  'cameo/onnx': source('src/onnx/index.ts'),
  'cameo/node': source('kernels-test/docs/kept-node.ts'),
};

/** Runs a program of a page in this process, in a folder. @returns what it printed */
async function runProgram({ page, line, code }: Snippet, folder: string, detector = ''): Promise<string> {
  const imports = code.replace(/from '(cameo[^']*)'/g, (_, name: string) => `from ${JSON.stringify(MODULES[name])}`);
  const program = imports.replace(/import\.meta\.resolve\('cameo\/(models\/[^']+)'\)/g, (_, path: string) =>
    JSON.stringify(path.includes('detector') && detector ? pathToFileURL(detector).href : source(path)),
  );
  const path = join(folder, `${page.replace(/\W/g, '-')}-${line}.mjs`);
  // Node 20 does not know `using`.
  writeFileSync(path, (await transform(program, { target: 'node20' })).code);
  const [before, log] = [process.cwd(), console.log];
  let printed = '';
  console.log = (...values: unknown[]) => {
    printed += `${values.join(' ')}\n`;
  };
  process.chdir(folder);
  try {
    await import(pathToFileURL(path).href);
  } finally {
    process.chdir(before);
    console.log = log;
  }
  return printed;
}

/** Replaces a word with a star by the names of the files that match, like a shell. */
function namesOf(word: string, folder: string): string[] {
  const [, place, start, end] = /^(.*\/)?([^/*]*)\*([^/*]*)$/.exec(word) ?? [];
  if (end === undefined) return [word];
  const names = readdirSync(join(folder, place ?? '')).sort();
  return names.filter((name) => name.startsWith(start) && name.endsWith(end)).map((name) => `${place ?? ''}${name}`);
}

/** Exit codes of a command that succeeded; `verify` also has 1, if the faces are not of one person. */
const good = (words: readonly string[]): number[] => (words[0] === 'verify' ? [0, 1] : [0]);

async function runShell({ page, line, code }: Snippet, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const lines = code
    .split('\n')
    .map((text) => text.replace(/\s+#.*$/, '').trim())
    .filter((text) => text && !text.startsWith('#'));
  const where = `${page}:${line}`;
  if (lines.some((text) => /[|<>]/.test(text))) {
    const { code: status, stderr } = await cameoInShell(`set -o pipefail\n${code}`, env, folder);
    assert.is(status, 0, `${where}: ${stderr}`);
    return;
  }
  for (const text of lines) {
    const [program, ...words] = text.replace(/^npx cameo /, 'cameo ').split(/\s+/);
    assert.is(program, 'cameo', `${where}: ${text}: only the command is run here`);
    const run = await cameoHere(
      words.flatMap((word) => namesOf(word, folder)),
      env,
      folder,
    );
    assert.ok(good(words).includes(run.code ?? -1), `${where}: ${text}: ${run.stdout}${run.stderr}`);
    assert.equal(run.complaints, [], `${where}: ${text}`);
  }
}

/** Runs a snippet in a folder with the pictures. @returns what a program printed */
export async function runSnippet(snippet: Snippet, folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (snippet.language === 'sh') await runShell(snippet, folder, env);
  else if (snippet.language === 'js') return runProgram(snippet, folder, env.CAMEO_DETECTOR);
  else throw new Error(`${snippet.page}:${snippet.line}: a block of ${snippet.language || 'no language'} is not run`);
  return '';
}

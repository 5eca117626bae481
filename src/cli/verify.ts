import type { Command } from 'commander';
import { ArgumentError, NotFiniteError } from '../common/errors.js';
import type { ReadRecognizer } from '../data/checkpoints/recognizer-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder } from '../models/embedder.js';
import { faceSimilarity } from '../models/face-similarity.js';
import { CodecSession } from './codec-session.js';
import type { FaceToCompare } from './face-to-compare.js';
import {
  addCompareOptions,
  type CompareOptions,
  type FacesToCompare,
  NO_THRESHOLD,
  qualityText,
  readFacesToCompare,
} from './faces-to-compare.js';
import type { CodecSource } from './given-face.js';
import { addJson, beginJson } from './json-output.js';
import { print } from './terminal.js';
import { withRecognizer } from './with-recognizer.js';

/** Exit code of a verification that failed or has no threshold. */
export const COULD_NOT_TELL = 2;

/** Exit codes; an error must not look like a decision. */
const EXIT_CODES = { same: 0, notSame: 1, unknown: COULD_NOT_TELL };

/** Adds `cameo verify` to the program. */
export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify <a> <b>')
    .description('tell how similar two faces are, and whether they are the same person at a chosen false accept rate');
  addCompareOptions(command)
    .addHelpText(
      'after',
      `
Each of the two is a photograph (its largest face counts), an aligned face, a compact file, a picture of a face's QR code, or ARCHIVE:NAME for a face of an archive.
Compact faces are restored with the weights of CAMEO_MODEL, else with the shipped ones. One of the two, or the landmarks, may be "-": standard input.

Examples:
  cameo verify ann.jpg bob.jpg
  cameo verify face.png people.cameos:ann && echo the same person
  cameo verify face.png code.png

Exit codes: ${EXIT_CODES.same} the same person; ${EXIT_CODES.notSame} not the same person; ${EXIT_CODES.unknown} could not tell: no threshold is known, or something failed, as standard error says.
Keys of --json: a, b, recognizer { name, model, lfw { pairs, accuracy, standardError, tar, far, command } or null }, similarity, far, threshold
and same (null if no threshold is known), warnings [{ input, kind, message }] if there are any, errors; ok is true if there is a decision`,
    )
    .action(async (a: string, b: string, options: CompareOptions) => {
      if (options.json) beginJson('verify');
      await verify(a, b, options);
    });
}

/** The weights of codecs, which are read if there is a compact face. */
function codecsWhenNeeded(): CodecSource {
  let session: Promise<CodecSession> | undefined;
  return {
    async weights(kind) {
      session ??= CodecSession.open();
      return (await session).weights(kind);
    },
  };
}

async function verify(a: string, b: string, options: CompareOptions): Promise<void> {
  const { far } = options;
  const { opened, flip, threshold, recognizer, faces } = await readFacesToCompare([a, b], options, codecsWhenNeeded());
  const [first, second = first] = faces;
  await withRecognizer(opened, async (gpu) => {
    const similarity = await similarityOf(gpu, opened, [first, second], flip);
    const same = threshold === null ? null : similarity >= threshold;
    tell({ a: first.name, b: second.name, recognizer, similarity, far, threshold, same });
  });
}

/** @throws ArgumentError for an embedding that is not finite */
async function similarityOf(
  gpu: Gpu,
  { name, recognizer }: ReadRecognizer,
  faces: readonly FaceToCompare[],
  flip: boolean,
): Promise<number> {
  const crops: Uint8Array[] = [];
  for (const face of faces) crops.push(await face.crop(gpu));
  const embedder = new Embedder(gpu, recognizer, flip ? 2 : 1);
  try {
    return await faceSimilarity(embedder, crops[0], crops[1], flip);
  } catch (cause) {
    if (!(cause instanceof NotFiniteError)) throw cause;
    const names = [...new Set(faces.map((face) => face.name))].join(' or ');
    throw new ArgumentError(`${names}: ${name} gives an embedding that is not finite`, { cause });
  } finally {
    embedder.dispose();
  }
}

interface Verdict {
  a: string;
  b: string;
  recognizer: FacesToCompare['recognizer'];
  similarity: number;
  far: number;
  threshold: number | null;
  same: boolean | null;
}

function tell(verdict: Verdict): void {
  const { similarity, recognizer, threshold, same, far } = verdict;
  process.exitCode = same === null ? EXIT_CODES.unknown : same ? EXIT_CODES.same : EXIT_CODES.notSame;
  if (addJson({ ok: same !== null, ...verdict })) return;
  print(`similarity ${similarity.toFixed(4)} (cosine; ${recognizer.name}, weights ${recognizer.model})`);
  if (threshold === null) print(`could not tell: ${NO_THRESHOLD}`);
  else {
    const decision = same ? 'the same person' : 'not the same person';
    print(`${decision}: threshold ${threshold.toFixed(4)} at a false accept rate of ${far}`);
  }
  print(qualityText(recognizer.lfw));
}

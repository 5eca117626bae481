import type { Command } from 'commander';
import type { ByteSource, FaceCollection } from '../codec/container/face-archive.js';
import { FaceJournal } from '../codec/container/face-journal.js';
import { FormatError, ModelMismatchError } from '../common/errors.js';
import { shownName } from '../common/text.js';
import { ArchiveEmbeddings, contentHash, embeddingsPath } from '../data/archives/archive-embeddings.js';
import { BestMatches, similarities } from '../evaluation/metrics/gallery.js';
import { textTable } from '../evaluation/reports/tables.js';
import { embedArchive } from '../evaluation/verification/archive-embedder.js';
import { CropEmbedder } from '../evaluation/verification/crop-embedder.js';
import type { Gpu } from '../gpu/gpu.js';
import { damageError, damageOf, nameOfFace, withArchive } from './archive-faces.js';
import { CodecSession } from './codec-session.js';
import { complain, orComplain } from './complain.js';
import {
  addCompareOptions,
  type CompareOptions,
  type FacesToCompare,
  NO_THRESHOLD,
  qualityText,
  readFacesToCompare,
} from './faces-to-compare.js';
import { GIVEN_FACE_HELP } from './given-face.js';
import { stopOnInterrupt } from './interrupt.js';
import { addJson, beginJson } from './json-output.js';
import { integer } from './numbers.js';
import { type Progress, startProgress } from './progress.js';
import { DASH, inputName } from './stdin.js';
import { note, print, warn } from './terminal.js';
import { canRead } from './weights.js';

interface SearchOptions extends CompareOptions {
  top: number;
}

/** Adds `cameo search` to the program. */
export function addSearchCommand(program: Command): void {
  const command = program
    .command('search')
    .description('find the faces of an archive that are most similar to a given face')
    .argument('<photo>', GIVEN_FACE_HELP)
    .argument('<archive>', 'file of `cameo encode --archive`; "-": standard input')
    .option('--top <n>', 'number of faces to list', integer(1, 10_000), 5);
  addCompareOptions(command)
    .addHelpText(
      'after',
      `
Example:
  cameo search ann.jpg people.cameos --top 3

The first search restores and embeds all faces of the archive, and keeps the embeddings beside it, as people.cameos.embeddings.
They are made again if the archive, the codec or the recogniser changes. Ctrl-C loses only some seconds of work. A damaged face is named
on standard error; the others are still searched, and the exit code is 1. Finding nobody is not an error.

Keys of --json: photo, archive, faces (those compared), recognizer { name, model, lfw } as verify has it, far, threshold (null if none is known),
matches [{ rank, face (its number in the archive, from 0), name, similarity, above (null without a threshold) }], embeddings { path
(null if they are not kept), made (number of faces embedded in this run) }, seconds (from the probe's embedding on), errors`,
    )
    .action(async (photo: string, archive: string, options: SearchOptions) => {
      if (options.json) beginJson('search');
      await search(photo, archive, options);
    });
}

/** Reads and checks the archive, then the probe; then embeds the probe and compares it with every face. */
async function search(photo: string, path: string, options: SearchOptions): Promise<void> {
  const session = await CodecSession.open();
  const stop = stopOnInterrupt('stopping in a few seconds …');
  let isOpen = false;
  try {
    await withArchive(path, async (archive, size, source) => {
      isOpen = true;
      await checkArchive(archive, size, inputName(path), session);
      const compared = await readFacesToCompare([photo], options, session);
      const searched = { path, archive, source, session, compared, signal: stop.signal };
      const found = await searchArchive(searched, options.top).finally(() => compared.opened.dispose());
      const { faces, threshold, recognizer } = compared;
      tell({ photo: faces[0].name, archive: inputName(path), recognizer, far: options.far, threshold, ...found });
    });
  } catch (error) {
    if (!stop.signal.aborted) {
      complain(error, isOpen ? undefined : inputName(path));
      return;
    }
    warn('stopped; the next search goes on from the embeddings made so far');
    process.exitCode = 130;
  } finally {
    stop.release();
    await session.close();
  }
}

/** @throws FormatError for an archive without faces, ModelMismatchError for one that another model wrote */
async function checkArchive(archive: FaceCollection, size: number, shown: string, session: CodecSession) {
  const weights = await session.weights('codec');
  if (!canRead(weights, archive.modelId)) {
    throw new ModelMismatchError(
      `${shown}: written by model ${archive.modelId}; the model loaded is ${weights.modelId}`,
    );
  }
  if (archive instanceof FaceJournal) {
    for (const damage of damageOf(archive, size).damaged) complain(damageError(damage), shown);
  }
  if (archive.count === 0) throw new FormatError(`${shown}: the archive has no faces to search`);
}

async function embedProbe(gpu: Gpu, { faces: [probe], opened, flip }: FacesToCompare): Promise<Float32Array> {
  const crop = await probe.crop(gpu);
  const embedder = new CropEmbedder(gpu, opened, 1, flip);
  try {
    const [embedding] = await embedder.embed([crop], () => probe.name);
    return embedding;
  } finally {
    embedder.dispose();
  }
}

/** The result of a search. */
interface Found {
  /** Faces that were compared. */
  faces: number;
  matches: { rank: number; face: number; name: string; similarity: number }[];
  embeddings: { path: string | null; made: number };
  /** Time from the end of the probe's embedding. */
  seconds: number;
}

/** An archive, and the parts that embed the probe and its faces. */
interface SearchedArchive {
  path: string;
  archive: FaceCollection;
  source: ByteSource;
  session: CodecSession;
  compared: FacesToCompare;
  signal: AbortSignal;
}

/** Embeds the probe, and compares it with all faces of the archive, block by block. */
async function searchArchive(searched: SearchedArchive, top: number): Promise<Found> {
  const { path, archive, source, session, compared, signal } = searched;
  const { opened, flip } = compared;
  const gpu = await session.gpu();
  opened.load(gpu);
  const probe = await embedProbe(gpu, compared);
  const begun = performance.now();
  const { model } = (await session.weights('codec')).file.tables;
  const madeFor = {
    content: await contentHash(source),
    faces: archive.count,
    codecId: model.idText,
    recognizerId: opened.modelId,
    dimension: probe.length,
    flip,
  };
  const embeddings = await ArchiveEmbeddings.open(path === DASH ? undefined : embeddingsPath(path), madeFor, note);
  let bar: Progress | undefined;
  const blocks = embedArchive({
    archive,
    latents: model,
    embeddings,
    open: async () => {
      bar = startProgress(archive.count, 'faces');
      return { codec: await session.faceCodec(), recognizer: opened };
    },
    onUnreadable: (face, error) => complain(error, `${inputName(path)}, face ${face}`),
    onProgress: (done) => {
      signal.throwIfAborted();
      bar?.update(done);
    },
  });
  const best = new BestMatches(top);
  let [faces, made] = [0, 0];
  try {
    for await (const { first, values, isNew } of blocks) {
      const scores = similarities(probe, values, new Float32Array(values.length / probe.length));
      const scored = scores.filter((score) => !Number.isNaN(score)).length;
      faces += scored;
      if (isNew) made += scored;
      best.add(scores, first);
    }
  } finally {
    bar?.stop();
    await embeddings.close();
  }
  const matches: Found['matches'] = [];
  for (const { face, similarity } of best.ranked) {
    const number = `face ${face}`;
    const name = await orComplain(`${inputName(path)}, ${number}`, () => nameOfFace(archive, face));
    matches.push({ rank: matches.length + 1, face, name: name ?? number, similarity });
  }
  const keptAt = embeddings.isWhole ? embeddings.path! : null;
  return { faces, matches, embeddings: { path: keptAt, made }, seconds: (performance.now() - begun) / 1000 };
}

interface SearchResult extends Found {
  photo: string;
  archive: string;
  recognizer: FacesToCompare['recognizer'];
  far: number;
  threshold: number | null;
}

function tell({ matches: found, ...result }: SearchResult): void {
  const { threshold, far, faces, recognizer, archive } = result;
  const matches = found.map((match) => ({
    ...match,
    above: threshold === null ? null : match.similarity >= threshold,
  }));
  if (addJson({ ...result, matches })) return;
  const verdict = { true: 'above', false: 'below', null: '' };
  print(
    textTable({
      columns: ['Rank', 'Similarity', 'Threshold', 'Name'],
      rows: matches.map(({ rank, similarity, above, name }) => [
        rank,
        similarity.toFixed(4),
        verdict[`${above}`],
        shownName(name),
      ]),
    }),
  );
  print(`of ${faces} faces in ${archive} (cosine; ${recognizer.name}, weights ${recognizer.model})`);
  print(qualityText(recognizer.lfw));
  if (threshold === null) {
    print(NO_THRESHOLD);
    return;
  }
  const expected = Number((far * faces).toPrecision(2));
  print(
    `threshold ${threshold.toFixed(4)} at a false accept rate of ${far} for one comparison: of ${faces} faces of other people, about ${expected} are above it`,
  );
}

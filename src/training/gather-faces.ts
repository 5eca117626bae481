import { join } from 'node:path';
import type { OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { EmbeddingFile } from '../data/faces/embedding-file.js';
import type { Unreadable } from '../data/faces/face-listing.js';
import { type PackedFace, writeFacePack } from '../data/faces/face-pack.js';
import { type FaceSet, openFaceFolder } from '../data/faces/face-set.js';
import { firstFaces } from '../data/faces/identity-set.js';
import { listPhotos, photoCrops } from '../data/faces/photo-crops.js';
import type { Gpu } from '../gpu/gpu.js';
import { closestMatches, type IdentityMatch, type People, peopleOf } from './identity-overlap.js';
import { embedWithCache } from './teacher-targets.js';

export type GatherProgress = (what: string, done: number, total: number) => void;

/** Sets of whole photographs with identities, by the folder below the data sets' and by the source of their faces. */
export const PHOTO_SETS = ['photos', 'profiles'] as const;

/**
 * Puts aligned faces and the main faces of photographs into one pack.
 * @param data folder of aligned faces, as `openFaceFolder` takes it
 * @param photos folder that the sets of photographs lie in
 * @returns what was left out, and why
 * @throws FileError, FormatError
 */
export async function packOriginals(
  data: string,
  out: string,
  leastScore: number,
  onProgress: GatherProgress,
  photos = data,
): Promise<Unreadable[]> {
  const leftOut: Unreadable[] = [];
  const aligned = await openFaceFolder(data);
  await aligned.load((done, total) => onProgress('aligned faces', done, total));
  const readable = await aligned.readable();
  async function* all(): AsyncGenerator<PackedFace> {
    for (const index of readable) yield { entry: aligned.entries[index], pixels: await aligned.face(index) };
    for (const set of PHOTO_SETS) {
      const folder = join(photos, set);
      const listed = await listPhotos(folder, set);
      let done = 0;
      for await (const face of photoCrops(folder, listed, leastScore, (photo) => leftOut.push(photo))) {
        yield face;
        onProgress(set, ++done, listed.length);
      }
    }
  }
  await writeFacePack(out, all());
  return [...aligned.unreadable, ...leftOut];
}

/** Persons whom the teacher takes for other persons, by set. */
export interface Overlap {
  /** Names of the two sets that were compared. */
  title: string;
  people: number;
  others: number;
  matches: IdentityMatch[];
}

/** Faces of persons who must not be in the training data. */
export interface Excluded {
  title: string;
  names: string[];
  pixels: Uint8Array[];
}

/**
 * Compares the persons of some sources with those excluded, and those of photographs with those of the sources before
 * them, by the mean of their faces' embeddings.
 * @param facesEach number of faces of a person that are compared
 */
export async function findOverlaps(
  gpu: Gpu,
  teacher: OpenRecognizer,
  cachePath: string,
  faces: FaceSet,
  { sources, facesEach, excluded }: { sources: readonly string[]; facesEach: number; excluded: Excluded },
  onProgress: GatherProgress,
): Promise<Overlap[]> {
  const cache = await EmbeddingFile.open(cachePath, teacher.modelId, teacher.recognizer.dimension);
  const named = firstFaces(faces.entries, facesEach).filter((index) => sources.includes(faces.entries[index].source));
  const excludedEmbeddings = await embedWithCache(
    gpu,
    teacher,
    cache,
    {
      count: excluded.names.length,
      pixels: async (k) => excluded.pixels[k],
      name: (k) => excluded.names[k],
    },
    (done, total) => onProgress(`embeddings of ${excluded.title}`, done, total),
  );
  const excludedPeople = peopleOf(excludedEmbeddings, excluded.names);
  const embeddings = await embedWithCache(
    gpu,
    teacher,
    cache,
    {
      count: named.length,
      pixels: (k) => faces.face(named[k]),
      name: (k) => faces.entries[named[k]].path,
    },
    (done, total) => onProgress('embeddings of faces', done, total),
  );
  const peopleIn = (source: string): People => {
    const ofSource = [...named.keys()].filter((k) => faces.entries[named[k]].source === source);
    return peopleOf(
      ofSource.map((k) => embeddings[k]),
      ofSource.map((k) => faces.entries[named[k]].identity),
    );
  };
  const compare = (title: string, people: People, others: People): Overlap => ({
    title,
    people: people.names.length,
    others: others.names.length,
    matches: closestMatches(people, others),
  });
  return sources.flatMap((source, k) => {
    const people = peopleIn(source);
    const overlaps = [compare(`${source} and ${excluded.title}`, people, excludedPeople)];
    if ((PHOTO_SETS as readonly string[]).includes(source)) {
      for (const earlier of sources.slice(0, k)) {
        overlaps.push(compare(`${source} and ${earlier}`, people, peopleIn(earlier)));
      }
    }
    return overlaps;
  });
}

/** The persons to leave out: those whose match has a cosine of at least `doubtful`. */
export function doubtfulPeople(overlaps: readonly Overlap[], doubtful: number): Map<string, string> {
  const reasons = new Map<string, string>();
  for (const { title, matches } of overlaps) {
    for (const { identity, other, cosine } of matches) {
      if (cosine >= doubtful && !reasons.has(identity)) {
        reasons.set(identity, `${title}: ${other}, cosine ${cosine.toFixed(3)}`);
      }
    }
  }
  return reasons;
}

/**
 * A set without some persons, as a pack.
 * @returns the number of faces in the pack, and of those left out
 */
export async function packWithout(
  faces: FaceSet,
  people: ReadonlySet<string>,
  out: string,
): Promise<{ kept: number; leftOut: number }> {
  async function* kept(): AsyncGenerator<PackedFace> {
    for (const [index, entry] of faces.entries.entries()) {
      if (!people.has(entry.identity)) yield { entry, pixels: await faces.face(index) };
    }
  }
  const count = await writeFacePack(out, kept());
  return { kept: count, leftOut: faces.count - count };
}

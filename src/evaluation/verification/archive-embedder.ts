import type { FaceCollection } from '../../codec/container/face-archive.js';
import type { FaceSymbols } from '../../codec/container/face-code.js';
import type { LatentModel } from '../../codec/entropy/latent-model.js';
import type { FaceCodec } from '../../codec/face-codec.js';
import { CameoError } from '../../common/errors.js';
import type { ArchiveEmbeddings } from '../../data/archives/archive-embeddings.js';
import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import { CropEmbedder } from './crop-embedder.js';
import { alignedFaceCrop, cropSize } from './face-crops.js';

/** Crops in a pass. */
const BATCH = 16;

/** Embeddings of some faces of an archive. */
export interface EmbeddedFaces {
  /** Number of the first of them. */
  first: number;
  /** One after the other; all NaN for a face that cannot be read. */
  values: Float32Array;
  /** Whether they were made now. */
  isNew: boolean;
}

export interface EmbedArchiveOptions {
  archive: FaceCollection;
  /** Of the codec that wrote the archive. */
  latents: LatentModel;
  embeddings: ArchiveEmbeddings;
  /** Restores and embeds faces, both on one GPU; asked for once, if some faces have no embedding yet. */
  open: () => Promise<{ codec: FaceCodec; recognizer: OpenRecognizer }>;
  /** Called for each face that cannot be read. */
  onUnreadable: (face: number, error: CameoError) => void;
  /** Called after each block with the number of faces whose embeddings were made or found. */
  onProgress?: (done: number) => void;
}

/**
 * The embeddings of an archive's faces, block by block: those in the file beside it, and the others, which are computed and
 * kept there. At most one block is in memory.
 * @throws what restoring and embedding throw. Damaged faces, and embeddings that cannot be kept, are only reported
 */
export async function* embedArchive(options: EmbedArchiveOptions): AsyncGenerator<EmbeddedFaces, void, undefined> {
  const { embeddings, open, onProgress } = options;
  const { dimension, flip } = embeddings.of;
  let opened: Opened | undefined;
  try {
    for (let block = 0, first = 0; block < embeddings.blocks; block++) {
      const numbers = Array.from({ length: embeddings.facesOf(block) }, (_, k) => first + k);
      let values: Float32Array | undefined = await embeddings.read(block);
      const isNew = values === undefined;
      if (values) {
        // Damaged faces are read again, to report what is wrong with them.
        await readFaces(
          options,
          numbers.filter((k) => Number.isNaN(values![(k - first) * dimension])),
        );
      } else {
        opened ??= await openEmbedder(open, flip);
        values = await embeddingsOf(await readFaces(options, numbers), numbers, dimension, opened);
        await embeddings.add(block, values);
      }
      yield { first, values, isNew };
      first += numbers.length;
      onProgress?.(first);
    }
    await embeddings.finish();
  } finally {
    opened?.embedder.dispose();
  }
}

interface Opened {
  codec: FaceCodec;
  recognizer: OpenRecognizer;
  embedder: CropEmbedder;
}

async function openEmbedder(open: EmbedArchiveOptions['open'], flip: boolean): Promise<Opened> {
  const { codec, recognizer } = await open();
  return { codec, recognizer, embedder: new CropEmbedder(codec.gpu, recognizer, BATCH, flip) };
}

/** Those of the faces that can be read, by number. */
async function readFaces(
  { archive, latents, onUnreadable }: EmbedArchiveOptions,
  numbers: readonly number[],
): Promise<Map<number, FaceSymbols>> {
  const faces = new Map<number, FaceSymbols>();
  for (const k of numbers) {
    try {
      faces.set(k, await archive.face(k, latents));
    } catch (error) {
      if (!(error instanceof CameoError)) throw error;
      onUnreadable(k, error);
    }
  }
  return faces;
}

/** Restores faces and embeds them. @param numbers of all rows that are wanted */
async function embeddingsOf(
  faces: ReadonlyMap<number, FaceSymbols>,
  numbers: readonly number[],
  dimension: number,
  { codec, recognizer, embedder }: Opened,
): Promise<Float32Array> {
  const size = cropSize(recognizer.recognizer);
  const restored = await codec.restore([...faces.values()]);
  const known = [...faces.keys()];
  const embeddings = await embedder.embed(
    restored.map((face) => alignedFaceCrop(face, size)),
    (k) => `face ${known[k]}`,
  );
  const values = new Float32Array(numbers.length * dimension).fill(Number.NaN);
  embeddings.forEach((one, k) => {
    values.set(one, (known[k] - numbers[0]) * dimension);
  });
  return values;
}

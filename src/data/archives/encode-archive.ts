import { readKlt, tablesOf } from '../../codec/codec-weights.js';
import {
  ENCODE_OPTIONS,
  type EncodeManyOptions,
  type EncodeProgress,
  encodeMany,
  type FaceInput,
} from '../../codec/encode-many.js';
import { checkOptions } from '../../common/arguments.js';
import { ArchiveWriter } from './archive-writer.js';

export interface ArchiveProgress extends EncodeProgress {
  /** Faces of an earlier run in the unfinished archive; they are not counted in `done`. */
  resumed: number;
}

export interface EncodeToArchiveOptions extends Omit<EncodeManyOptions, 'container' | 'holder' | 'onProgress'> {
  /** Path of the archive; until it is complete, its faces are in a file of this name with ".part" added. */
  archive: string;
  onProgress?: (progress: ArchiveProgress) => void;
  /** Called for each face that could not be put into the archive; the run continues. */
  onFailed?: (name: string, error: unknown) => void;
}

export interface EncodeToArchiveResult {
  /** Faces in the archive. */
  faces: number;
  /** Of the archive. */
  bytes: number;
  failed: number;
  resumed: number;
}

/**
 * Encodes any number of faces into one archive, as `encodeMany` does, in little memory. At any moment, each encoded face can be
 * read from ARCHIVE.part with `openFaces`, even if the program is killed. The same call then goes on: it does not encode faces
 * of the same name and pixels again, and the archive is byte for byte the same as without the stop. `bytes` counts the face and
 * its entry in the index, but not its name.
 *
 * @param faces each with a name of its own, UTF-8, of at most 4096 bytes; if a name comes twice, only the first counts
 * @throws as `encodeMany`; ArgumentError if ARCHIVE.part was begun with another model, number of bytes, or another picture
 * of the same name, or holds faces that are not given; where there is no face at all; FileError. In every case ARCHIVE.part
 * keeps what is finished.
 */
export async function encodeToArchive(
  faces: AsyncIterable<FaceInput> | Iterable<FaceInput>,
  options: EncodeToArchiveOptions,
): Promise<EncodeToArchiveResult> {
  const known = ENCODE_OPTIONS.filter((name) => name !== 'container' && name !== 'holder');
  checkOptions('encodeToArchive', options, ['archive', 'onFailed', ...known]);
  const { archive, onFailed, ...encoding } = options;
  const { weights, bytes: maxBytes, onProgress } = encoding;
  const file = weights instanceof Uint8Array ? readKlt(weights) : weights;
  const settings = { model: tablesOf(file).model, maxBytes, container: 'archive' } as const;
  const writer = await ArchiveWriter.open(archive, settings);
  let failed = 0;
  let resumed = 0;
  async function* fresh(): AsyncGenerator<FaceInput> {
    for await (const face of faces) {
      if ('error' in face) yield face;
      else {
        try {
          writer.claim(face.name);
        } catch (error) {
          yield { name: face.name, error };
          continue;
        }
        if (writer.holds(face.name, face.rgb)) resumed++;
        else yield face;
      }
    }
  }
  try {
    const encoded = encodeMany(fresh(), {
      ...encoding,
      weights: file,
      container: 'archive',
      onProgress: onProgress && ((progress) => onProgress({ ...progress, resumed })),
    });
    for await (const face of encoded) {
      if ('error' in face) {
        failed++;
        onFailed?.(face.input.name, face.error);
      } else if ('rgb' in face.input) {
        await writer.add(face.input.name, face.input.rgb, face.symbols, face.code);
      }
    }
    return { faces: writer.count, bytes: await writer.finish(), failed, resumed };
  } finally {
    await writer.close();
  }
}

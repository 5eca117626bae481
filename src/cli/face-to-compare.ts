import { AutoencoderCodec } from '../codec/autoencoder-codec.js';
import { FaceCodec } from '../codec/face-codec.js';
import { ArgumentError, ImageError } from '../common/errors.js';
import type { LandmarkIndex } from '../data/pictures/landmarks.js';
import type { FaceSize } from '../detection/align.js';
import { alignedFaceCrop, photoCrop } from '../evaluation/verification/face-crops.js';
import type { Gpu } from '../gpu/gpu.js';
import { faceInQrPicture } from './compact-kind.js';
import type { FaceFinder } from './face-finder.js';
import { type CodecSource, compactFace, type GivenCompactFace, givenFace } from './given-face.js';
import { nameInPhoto, readPhoto, takenFaces, warnOfFace } from './photo-faces.js';
import { note } from './terminal.js';

/** A face to compare; all errors in it are reported before a GPU is opened. */
export interface FaceToCompare {
  name: string;
  /** The crop that the recogniser takes, RGB bytes; a compact face is restored for it. */
  crop(gpu: Gpu): Promise<Uint8Array>;
}

/** Milliseconds to look for a QR code in a picture that may be a photograph of a person instead. */
const QR_PATIENCE = 300;

/** How the faces of photographs are found, and the weights for compact faces. */
export interface FaceSources {
  landmarks?: LandmarkIndex;
  finder: FaceFinder;
  codecs: CodecSource;
}

/**
 * The face that an argument of `cameo verify` names: of a photograph, an aligned one, a compact file, a picture of the QR code of
 * a face, or a face of an archive.
 * @param size of the crops that the recogniser takes
 * @throws as `givenFace`, `readPhoto` and `takenFaces`; ArgumentError for a face that cannot be aligned, or several
 */
export async function readFaceToCompare(path: string, size: FaceSize, sources: FaceSources): Promise<FaceToCompare> {
  const { codecs, landmarks } = sources;
  const given = await givenFace(path, codecs);
  if (given.kind !== 'picture') return restoredFace(given, size, codecs);
  const inQr = landmarks?.of(path) ? undefined : await faceInQrPicture(path, QR_PATIENCE);
  if (inQr) return restoredFace(await compactFace(given.name, inQr, codecs), size, codecs);
  return pictureFace(path, size, sources);
}

async function pictureFace(path: string, size: FaceSize, sources: FaceSources): Promise<FaceToCompare> {
  const photo = await readPhoto(path, sources);
  const { input: name, image, faces } = photo;
  const { options } = sources.finder;
  const taken = takenFaces(photo, options, 'largest');
  if (!faces) {
    const crop = alignedFaceCrop(image.data, size);
    return { name, crop: async () => crop };
  }
  const [face] = taken;
  if (taken.length !== 1) {
    throw new ArgumentError(`${name}: it has ${taken.length} faces; choose one with --face N or --faces largest`);
  }
  const { input } = nameInPhoto(photo, face, name);
  if (face.problem) throw new ImageError(`${input}: ${face.problem}`);
  if (faces.length > 1 && options.face === undefined) {
    note(
      `${name}: it has ${faces.length} faces; the largest, face ${face.number}, is compared (choose another with --face N)`,
    );
  }
  warnOfFace(face, input);
  const crop = photoCrop(image, size, face.landmarks);
  return { name: input, crop: async () => crop };
}

async function restoredFace(given: GivenCompactFace, size: FaceSize, codecs: CodecSource): Promise<FaceToCompare> {
  const restore = await restorerOf(given, codecs);
  return { name: given.name, crop: async (gpu) => alignedFaceCrop(await restore(gpu), size) };
}

/** Restores a compact face on a given GPU; the weights are read before. */
async function restorerOf(given: GivenCompactFace, codecs: CodecSource): Promise<(gpu: Gpu) => Promise<Uint8Array>> {
  if (given.kind === 'symbols') {
    const { file } = await codecs.weights('codec');
    return async (gpu) => {
      const codec = FaceCodec.fromKlt(gpu, file);
      const [face] = await codec.restore([given.face]).finally(() => codec.dispose());
      return face;
    };
  }
  const { bytes } = await codecs.weights('autoencoder');
  return async (gpu) => {
    const codec = AutoencoderCodec.fromWeights(gpu, bytes);
    const [face] = await codec.decode([given.bytes]).finally(() => codec.dispose());
    return face;
  };
}

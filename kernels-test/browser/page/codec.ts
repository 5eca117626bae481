import { packFaceBare } from '../../../src/codec/container/face-bare.js';
import { packFaceFile } from '../../../src/codec/container/face-file.js';
import {
  bytesSource,
  type DecodedFace,
  FaceArchive,
  FaceCodec,
  type FaceContainer,
  openBrowserGpu,
  packArchive,
} from '../../../src/index.js';
import { readFixture } from './read-fixture.js';

/*
 * The face codec in a page, for browser-codec.test.ts. The test calls it through `globalThis.codecPage`, so bytes are passed as
 * arrays of numbers.
 */

/** A decoded face: its symbols, the bytes that they are packed to again, and its pixels. */
export interface PageFace {
  symbols: number[];
  qIndex: number;
  grey: boolean;
  file: number[];
  bare: number[];
  pixels: number[];
}

export interface CodecPage {
  modelId: string;
  adapter: string;
  encode(faces: number[][], maxBytes: number, container: FaceContainer): Promise<number[][]>;
  decode(files: number[][]): Promise<PageFace[]>;
  /** The faces of an archive with their names, and the archive that they are packed to again. */
  openArchive(archive: number[]): Promise<{ names: (string | undefined)[]; faces: PageFace[]; archive: number[] }>;
}

declare global {
  var codecPage: Promise<CodecPage>;
}

const bytes = (values: readonly number[]): Uint8Array => Uint8Array.from(values);

async function openCodec(): Promise<CodecPage> {
  const gpu = await openBrowserGpu({ tuning: false });
  const codec = FaceCodec.fromWeights(gpu, await readFixture('face.safetensors'));
  const { latents } = codec;
  const everyForm = async (faces: DecodedFace[]): Promise<PageFace[]> => {
    const pixels = await codec.restore(faces);
    await gpu.sync(); // throws errors that the device has reported
    return faces.map((face, k) => ({
      ...face,
      symbols: [...face.symbols],
      file: [...packFaceFile(face, latents)],
      bare: [...packFaceBare(face, latents)],
      pixels: [...pixels[k]],
    }));
  };
  return {
    modelId: codec.modelId,
    adapter: gpu.description.kind,
    async encode(faces, maxBytes, container) {
      const files = await codec.encode(faces.map(bytes), { maxBytes }, container);
      await gpu.sync();
      return files.map((file) => [...file]);
    },
    decode: (files) => everyForm(files.map((file) => codec.unpack(bytes(file)))),
    async openArchive(archive) {
      const opened = await FaceArchive.open(bytesSource(bytes(archive)));
      const faces: DecodedFace[] = [];
      const names: (string | undefined)[] = [];
      for (let k = 0; k < opened.count; k++) {
        faces.push(await opened.face(k, latents));
        names.push(await opened.name(k));
      }
      const again = packArchive(
        faces.map((face, k) => ({ ...face, name: names[k] })),
        latents,
      );
      return { names, faces: await everyForm(faces), archive: [...again] };
    },
  };
}

globalThis.codecPage = openCodec();

import { readFileSync } from 'node:fs';
import { ARCHIVE_ENTRY_BYTES, archivedCode } from '../src/codec/archive-layout.js';
import { LatentModel } from '../src/codec/entropy/latent-model.js';
import { concatenate, type FaceSymbols } from '../src/codec/face-code.js';
import { journalHeader, journalRecord } from '../src/codec/face-journal.js';
import { readSafetensors } from '../src/nn/safetensors.js';

/** One face, and what it is in every form; bytes in hexadecimal digits. */
interface VectorFace {
  t: number;
  grey: boolean;
  symbols: number[];
  code: string;
  bare: string;
  file: string;
}

export interface BitstreamVectors {
  model: string;
  faces: VectorFace[];
  archive: string;
}

const read = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));

/** What bitstream-vectors.ts has written. */
export function readVectors(): { model: LatentModel; vectors: BitstreamVectors } {
  const model = LatentModel.fromTensors(readSafetensors(read('bitstream-vectors.safetensors')).tensors);
  return { model, vectors: JSON.parse(read('bitstream-vectors.json').toString()) };
}

export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** The unfinished archive of faces, as a run that was stopped after them leaves it. */
export function packJournal(faces: readonly (FaceSymbols & { name: string })[], model: LatentModel): Uint8Array {
  const records = faces.map((face, number) => {
    const { name, ...archived } = archivedCode(face, number, model);
    return journalRecord({ ...archived, name: name!, number, picture: number });
  });
  return concatenate([journalHeader(model, 500, ARCHIVE_ENTRY_BYTES), ...records]);
}

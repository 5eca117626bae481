import { ARCHIVE_ENTRY_BYTES, archivedCode } from '../../src/codec/container/archive-layout.js';
import { concatenate, type FaceSymbols } from '../../src/codec/container/face-code.js';
import { journalHeader, journalRecord } from '../../src/codec/container/face-journal.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { readFixture } from './read-fixture.js';

/** One face, and its bytes in every container, in hexadecimal digits. */
interface VectorFace {
  qIndex: number;
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
  /** Codes of the same faces by a model with these dead zones. */
  dead: { model: string; deadZone: number[]; codes: string[] };
  /** Codes of the same faces by a model with dependent quantization. */
  dependent: { model: string; deadZone: number[]; magnitudeExpected: number[]; codes: string[] };
}

/** The content of bitstream-vectors.json, which bitstream-vectors.ts writes. */
export async function readVectors(): Promise<{ model: LatentModel; vectors: BitstreamVectors }> {
  const model = LatentModel.fromTensors(readSafetensors(await readFixture('bitstream-vectors.safetensors')).tensors);
  const vectors = JSON.parse(new TextDecoder().decode(await readFixture('bitstream-vectors.json')));
  return { model, vectors };
}

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The unfinished archive that a run leaves when it is stopped after these faces. */
export function packJournal(faces: readonly (FaceSymbols & { name: string })[], model: LatentModel): Uint8Array {
  const records = faces.map((face, number) => {
    const { name, ...archived } = archivedCode(face, number, model);
    return journalRecord({ ...archived, name: name!, number, picture: number });
  });
  return concatenate([journalHeader(model, 500, ARCHIVE_ENTRY_BYTES), ...records]);
}

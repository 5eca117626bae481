import { checkList, checkOptions, refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { ARCHIVE_ENTRY_BYTES } from './container/archive-layout.js';
import { BARE_HEADER_BYTES, packFaceBare } from './container/face-bare.js';
import { FILE_HEADER_BYTES, packFaceFile } from './container/face-file.js';
import type { LatentModel } from './entropy/latent-model.js';
import { encodeLatents } from './entropy/latent-stream.js';

/** 'file' says by itself what it is; 'bare' takes 8 bytes less, for readers that know what it is. */
export type FaceContainer = 'file' | 'bare';

/** How large a face may get: the maximum bytes of its file; or its quality, as a quantization index. */
export type FaceTarget =
  | {
      maxBytes: number;
      /** Whether faces may have a detail layer, which earlier programs do not read; default true. */
      detail?: boolean;
    }
  | { qIndex: number }
  | {
      /** @deprecated Use `qIndex`. */
      step: number;
    };

/** The container of a face: its own, or an archive. In an archive, the face's index entry counts for its bytes; its name does not. */
export type AnyContainer = FaceContainer | 'archive';

/** Bytes of a face in addition to its code. */
export const HEADER_BYTES: Readonly<Record<AnyContainer, number>> = {
  file: FILE_HEADER_BYTES,
  bare: BARE_HEADER_BYTES,
  archive: ARCHIVE_ENTRY_BYTES,
};

/** The smallest budget that works for every face: the bytes of a face whose symbols are all 0. */
export function minFaceBytes(latents: LatentModel, container: AnyContainer): number {
  return HEADER_BYTES[container] + encodeLatents(new Int16Array(latents.latents), 0, latents).length;
}

/** @throws ArgumentError for a budget below what a face takes */
export function checkBudget(latents: LatentModel, bytes: number, container: AnyContainer): void {
  const min = minFaceBytes(latents, container);
  if (Number.isInteger(bytes) && bytes >= min) return;
  throw new ArgumentError(`a budget of ${bytes} bytes; expected an integer of at least ${min}`);
}

/** @throws ArgumentError for a value that is not a list of bytes */
export function checkBytes(where: string, name: string, list: readonly Uint8Array[]): void {
  checkList(where, `${name}s`, list, 'an array');
  list.forEach((entry, k) => {
    if (!ArrayBuffer.isView(entry)) refuse(where, `${name} ${k}`, entry, 'bytes');
  });
}

/** @throws ArgumentError for an unknown target or container */
export function checkFaceTarget(target: FaceTarget, container: AnyContainer): void {
  const options = checkOptions('encode', target, ['maxBytes', 'detail', 'qIndex', 'step']);
  const keys = Object.keys(options).filter((key) => !('maxBytes' in target && key === 'detail'));
  if (keys.length !== 1) refuse('encode', 'the target', target, '{ maxBytes } or { qIndex }');
  if (!(container in HEADER_BYTES)) refuse('encode', 'the container', container, Object.keys(HEADER_BYTES).join(', '));
}

/** Packs a face into a container of its own. */
export const packInto = (container: FaceContainer) => (container === 'file' ? packFaceFile : packFaceBare);

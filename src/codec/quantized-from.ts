import { CheckpointError } from '../common/errors.js';

/**
 * Metadata of weights that were quantised to take fewer bytes: the CRC-32 of the network's tensors before, as eight hexadecimal
 * digits. Symbols mean the same to both networks, so faces that the first wrote are read with the second.
 */
export const QUANTIZED_FROM = 'cameo.quantized-from';

/** That CRC-32; none where the weights are whole. @throws CheckpointError for a text that is none */
export function quantizedFrom(metadata: ReadonlyMap<string, string>): number[] {
  const text = metadata.get(QUANTIZED_FROM);
  if (text === undefined) return [];
  if (/^[0-9a-f]{8}$/.test(text)) return [Number.parseInt(text, 16)];
  throw new CheckpointError(`metadata "${QUANTIZED_FROM}" is ${text}; expected eight hexadecimal digits`);
}

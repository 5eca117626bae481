import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CheckpointError } from '../../common/errors.js';
import { installHint } from '../../common/optional-packages.js';
import { DlibResNet } from '../../models/dlib-resnet.js';
import type { HostTensor, HostTensors } from '../../nn/host-tensor.js';
import { readJson, readRegularFile } from '../files/read-file.js';

const PACKAGE = '@vladmandic/face-api';
const MODEL = 'face_recognition_model';
const MAX_WEIGHTS_BYTES = 2 ** 28;

/** A tensor of a weights manifest of TensorFlow.js: bytes, of which v = byte·scale + min, or little-endian floats. */
interface ManifestWeight {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { dtype: string; scale: number; min: number };
}

/** The tensors of a manifest, dequantised. @throws CheckpointError for an unknown form, or too few bytes */
export function dequantize(weights: readonly ManifestWeight[], bytes: Uint8Array): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (const { name, shape, dtype, quantization } of weights) {
    if (dtype !== 'float32' || (quantization && quantization.dtype !== 'uint8')) {
      throw new CheckpointError(
        `${name}: ${dtype} stored as ${quantization?.dtype ?? dtype}; expected float32 or uint8`,
      );
    }
    const size = shape.reduce((product, extent) => product * extent, 1);
    const length = quantization ? size : 4 * size;
    if (at + length > bytes.length) {
      throw new CheckpointError(`${name}: needs bytes ${at} to ${at + length}, the file has ${bytes.length}`);
    }
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      data[i] = quantization
        ? bytes[at + i] * quantization.scale + quantization.min
        : view.getFloat32(at + 4 * i, true);
    }
    tensors.set(name, { shape, data });
    at += length;
  }
  if (at !== bytes.length) throw new CheckpointError(`the manifest names ${at} bytes, the file has ${bytes.length}`);
  return tensors;
}

/** (conv + bias)·scale + shift as one conv. */
function foldConv(tensors: ReadonlyMap<string, HostTensor>, prefix: string): { weight: HostTensor; bias: HostTensor } {
  const get = (name: string): HostTensor => {
    const tensor = tensors.get(`${prefix}/${name}`);
    if (!tensor) throw new CheckpointError(`the weights have no ${prefix}/${name}`);
    return tensor;
  };
  const [filters, bias, scale, shift] = ['conv/filters', 'conv/bias', 'scale/weights', 'scale/biases'].map(get);
  const channels = bias.data.length;
  return {
    weight: { shape: filters.shape, data: filters.data.map((value, i) => value * scale.data[i % channels]) },
    bias: { shape: [channels], data: bias.data.map((value, c) => value * scale.data[c] + shift.data[c]) },
  };
}

/** The tensors of a DlibResNet from those of the manifest. @throws CheckpointError for tensors that are missing */
export function dlibTensors(tensors: ReadonlyMap<string, HostTensor>): HostTensors {
  const result: HostTensors = new Map();
  for (const name of new DlibResNet().entries().keys()) {
    if (!name.endsWith('.weight') || name === 'fc.weight') continue;
    const part = name.slice(0, -'.weight'.length);
    const { weight, bias } = foldConv(tensors, part.replace('.', '/'));
    result.set(`${part}.weight`, weight).set(`${part}.bias`, bias);
  }
  const fc = tensors.get('fc');
  if (!fc) throw new CheckpointError('the weights have no fc');
  return result.set('fc.weight', fc);
}

/**
 * The weights of dlib's face recogniser from npm `@vladmandic/face-api`, which has them with 8 bits for each value.
 * @throws CheckpointError if the package is not installed or its files are not as expected
 */
export async function readDlibWeights(): Promise<{ tensors: HostTensors; bytes: Uint8Array }> {
  try {
    const root = dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json'));
    const manifest = (await readJson(join(root, 'model', `${MODEL}-weights_manifest.json`))) as {
      weights: ManifestWeight[];
    }[];
    const bytes = await readRegularFile(join(root, 'model', `${MODEL}.bin`), MAX_WEIGHTS_BYTES);
    return { tensors: dlibTensors(dequantize(manifest[0].weights, bytes)), bytes };
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    const why = (cause as Error).message.split('\n')[0];
    throw new CheckpointError(`dlib's recogniser in npm ${PACKAGE} cannot be read (${installHint(PACKAGE)}): ${why}`, {
      cause,
    });
  }
}

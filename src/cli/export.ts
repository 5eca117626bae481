import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import { readKlt } from '../codec/codec-weights.js';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { checkTarget, writeFileAtomic } from '../data/files/atomic-file.js';
import type { Gpu } from '../gpu/gpu.js';
import { isKltFile, loadKlt } from '../models/klt-file.js';
import { loadRefiner } from '../models/landmark-refiner.js';
import { isAutoencoderFile, loadAutoencoder, readAutoencoder } from '../models/model-file.js';
import {
  autoencoderToOnnx,
  detectorToOnnx,
  landmarksToOnnx,
  type OnnxNetworkOptions,
  recognizerToOnnx,
  synthesisToOnnx,
} from '../models/onnx-networks.js';
import { loadRecognizer, RECOGNIZER_KEY, readRecognizer } from '../models/recognizer-file.js';
import { isSingleShot, loadSingleShot, SINGLE_SHOT_MULTIPLE } from '../models/single-shot.js';
import type { Module } from '../nn/module.js';
import { readSafetensorsMetadata } from '../nn/safetensors.js';
import { detectorPath, weightsId } from './detector-file.js';
import { openDevice } from './device.js';
import { integer } from './numbers.js';
import { refuseInput, stemOf } from './outputs.js';
import { recognizerPlaces } from './places.js';
import { DASH } from './stdin.js';
import { STDIN_NAME, STDOUT_NAME, say, takeStdoutForData, writeData } from './terminal.js';
import { weightsPath } from './weights.js';

interface ExportOptions {
  output?: string;
  size?: [height: number, width: number];
  rate?: number;
  layout: 'nhwc' | 'nchw';
  opset: number;
}

/** Networks of the shipped weights, and where these are. */
const SHIPPED: Record<string, () => string | undefined> = {
  recognizer: () => recognizerPlaces().own,
  detector: () => detectorPath(),
  landmarks: () => detectorPath(),
  synthesis: () => weightsPath(undefined, 'codec'),
};

/** Adds `cameo export` to the program. */
export function addExportCommand(program: Command): void {
  program
    .command('export')
    .description('write a network as an ONNX file, for onnxruntime and other programs')
    .argument('<network>', `${Object.keys(SHIPPED).join(', ')}, or a safetensors file with one of these networks`)
    .option(
      '-o, --output <file>',
      `file to write (default: the network's name with .onnx, here); "-": to ${STDOUT_NAME}`,
    )
    .option('--size <width>x<height>', 'size of the pictures of a detector, multiples of 32 (default: 640x640)', sizeOf)
    .option('--rate <n>', 'rate of a file of the autoencoder (default: 0)', integer(0, 15))
    .addOption(
      new Option('--layout <order>', 'axes of pictures: nhwc [batch,height,width,3], or nchw [batch,3,height,width]')
        .choices(['nhwc', 'nchw'])
        .default('nhwc'),
    )
    .option('--opset <n>', "version of ONNX's operators, 17 to 21", integer(17, 21), 17)
    .addHelpText(
      'after',
      `
Examples:
  cameo export recognizer -o recognizer.onnx
  cameo export detector --size 1280x960 -o detector.onnx

The file's metadata_props have what a program must know of pictures: width, height, channels (their order), layout, mean and scale
(numbers of the graph are (byte − mean) · scale), and weights, which names the file of the weights.`,
    )
    .action(exportNetwork);
}

function sizeOf(text: string): [height: number, width: number] {
  const [width, height] = /^\d{1,5}x\d{1,5}$/.test(text) ? text.split('x').map(Number) : [0, 0];
  if (width > 0 && height > 0 && (width | height) % SINGLE_SHOT_MULTIPLE === 0) return [height, width];
  throw new ArgumentError(`--size is ${text}; expected WIDTHxHEIGHT, multiples of ${SINGLE_SHOT_MULTIPLE}`);
}

async function exportNetwork(network: string, options: ExportOptions): Promise<void> {
  if (network === DASH) throw new ArgumentError(`weights are read from a file, not from ${STDIN_NAME}`);
  const shipped = Object.hasOwn(SHIPPED, network);
  if (!shipped && extname(network) !== '.safetensors') {
    throw new ArgumentError(`network ${network}: expected ${Object.keys(SHIPPED).join(', ')}, or a file .safetensors`);
  }
  const path = shipped ? SHIPPED[network]() : network;
  if (path === undefined) throw new ArgumentError('there is no face detector: give its file, or CAMEO_DETECTOR');
  const target = options.output ?? `${shipped ? network : stemOf(network)}.onnx`;
  if (target === DASH) takeStdoutForData();
  else {
    await checkTarget(target);
    await refuseInput(target, [path]);
  }
  const { bytes, file: open } = await readWeightsFile(path, (bytes) => openerOf(bytes, network));
  const gpu = await openDevice();
  try {
    const { module, toOnnx } = open(gpu);
    const metadata = { producer: 'cameo', weights: weightsId(bytes) };
    const onnx = await toOnnx(options, { layout: options.layout, opset: options.opset, metadata });
    if (target === DASH) await writeData(onnx);
    else await writeFileAtomic(target, onnx);
    say(`${path} → ${target === DASH ? STDOUT_NAME : target} (${onnx.length} bytes)`);
    module.dispose();
  } finally {
    gpu.destroy();
  }
}

/** A network on a GPU, and how it is exported. */
interface OpenNetwork {
  module: Module;
  toOnnx(options: ExportOptions, onnx: OnnxNetworkOptions): Promise<Uint8Array>;
}

/** What puts the network of a file on a GPU. @throws CheckpointError for a file of none that is known */
function openerOf(bytes: Uint8Array, network: string): (gpu: Gpu) => OpenNetwork {
  const metadata = readSafetensorsMetadata(bytes);
  if (isSingleShot(bytes)) {
    if (network === 'landmarks') return (gpu) => landmarksOf(gpu, bytes);
    return (gpu) => {
      const module = loadSingleShot(gpu, bytes);
      return { module, toOnnx: ({ size = [640, 640] }, onnx) => detectorToOnnx(module, size, onnx) };
    };
  }
  if (isKltFile(metadata)) {
    const file = readKlt(bytes);
    return (gpu) => {
      const module = loadKlt(gpu, file);
      return { module, toOnnx: (_, onnx) => synthesisToOnnx(module, onnx) };
    };
  }
  if (isAutoencoderFile(metadata)) {
    const file = readAutoencoder(bytes);
    return (gpu) => {
      const module = loadAutoencoder(gpu, file);
      return { module, toOnnx: ({ rate = 0 }, onnx) => autoencoderToOnnx(module, rate, onnx) };
    };
  }
  const file = readRecognizer(bytes);
  const about = { [RECOGNIZER_KEY]: JSON.stringify(file.description) };
  return (gpu) => {
    const module = loadRecognizer(gpu, file);
    const toOnnx: OpenNetwork['toOnnx'] = (_, onnx) =>
      recognizerToOnnx(module, { ...onnx, metadata: { ...onnx.metadata, ...about } });
    return { module, toOnnx };
  };
}

function landmarksOf(gpu: Gpu, bytes: Uint8Array): OpenNetwork {
  const module = loadRefiner(gpu, bytes);
  if (!module) throw new CheckpointError('the detector has no refiner of landmarks');
  return { module, toOnnx: (_, onnx) => landmarksToOnnx(module, onnx) };
}

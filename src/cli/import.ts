import { type Command, Option } from 'commander';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { decodeText } from '../common/text.js';
import { readOnnxFile, splitOnnxName } from '../data/checkpoints/onnx-source.js';
import { readPyTorchCheckpoint } from '../data/checkpoints/pytorch-checkpoint.js';
import { checkTarget, writeFileAtomic } from '../data/files/atomic-file.js';
import {
  ARCHITECTURES,
  type Architecture,
  buildRecognizer,
  type RecognizerDescription,
} from '../models/architectures.js';
import { DEFAULT_CAMEO_FACE } from '../models/cameo-face.js';
import { isRecognizerFile, readRecognizer, writeRecognizer } from '../models/recognizer-file.js';
import { fromStateDict, misfits, recognizeStateDict, withoutWrappers } from '../models/state-dict.js';
import { checkFiniteTensors, type HostTensors } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { complain } from './complain.js';
import { type OnnxWeights, readOnnxWeights } from './import-onnx.js';
import { refuseInput, stemOf } from './outputs.js';
import { DASH, inputName, readInput } from './stdin.js';
import { note, STDIN_NAME, STDOUT_NAME, say, takeStdoutForData, writeData } from './terminal.js';

/** Recognisers have some megabytes; the largest in wide use have 250. */
const MAX_CHECKPOINT_BYTES = 2 ** 30;

interface ImportOptions {
  output?: string;
  architecture?: Architecture;
}

/** Adds `cameo import` to the program. */
export function addImportCommand(program: Command): void {
  program
    .command('import')
    .description(
      "convert a recogniser's published checkpoint to a weights file for --model, and arrays of another ONNX file to safetensors; needs no GPU",
    )
    .argument(
      '<checkpoint>',
      'a file of torch.save (.pt, .pth, .ckpt), safetensors, or ONNX (.onnx); nothing in it is executed; "-": standard input',
    )
    .option(
      '-o, --output <file>',
      `weights file to write (default: the checkpoint's name with .safetensors, here); "-": to ${STDOUT_NAME}`,
    )
    .addOption(
      new Option('--architecture <name>', 'network of the checkpoint (default: recognised by its tensors)').choices(
        ARCHITECTURES,
      ),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  cameo import mobilefacenet.pth -o mobilefacenet.safetensors\n  cameo import - -o mobilefacenet.safetensors < mobilefacenet.pth',
    )
    .action(importCheckpoint);
}

async function importCheckpoint(path: string, { output, architecture }: ImportOptions): Promise<void> {
  if (path === DASH && output === undefined) {
    throw new ArgumentError(`${STDIN_NAME} has no name; name the weights file with -o`);
  }
  const target = output ?? `${stemOf(path)}.safetensors`;
  if (target === DASH) takeStdoutForData();
  else {
    await checkTarget(target);
    await refuseInput(target, [path]);
  }
  try {
    await convertFile(path, target, architecture);
  } catch (error) {
    complain(error, inputName(path));
  }
}

async function convertFile(input: string, output: string, architecture?: Architecture): Promise<void> {
  const path = inputName(input);
  const { description, tensors, leftOut } = await weightsOf(input, architecture);
  const file = description ? writeRecognizer(description, tensors) : writeSafetensors(tensors);
  const target = output === DASH ? STDOUT_NAME : output;
  if (output === DASH) await writeData(file);
  else await writeFileAtomic(output, file);
  say(`${path} → ${target} (${file.length} bytes)`);
  if (!description) {
    const others = leftOut ? `, without ${leftOut} arrays of integers` : '';
    say(`  ${tensors.size} tensors by their names in the file${others}`);
    note(`${path} is no network that is known: give ${path} itself as a recogniser or detector`);
    return;
  }
  const { width, height, dimension, parameterCount } = buildRecognizer(description);
  say(`  ${description.architecture}, faces of ${width}×${height}, embeddings of ${dimension} values`);
  say(`  ${parameterCount} parameters in ${tensors.size} tensors`);
}

async function weightsOf(input: string, architecture?: Architecture): Promise<OnnxWeights> {
  if (splitOnnxName(input)) return readOnnxWeights(await readOnnxFile(input), architecture);
  const bytes = await readInput(input, MAX_CHECKPOINT_BYTES);
  return { ...convert(bytes, inputName(input), architecture), leftOut: 0 };
}

/** A checkpoint's network and tensors, as this engine orders them. @throws FormatError, CheckpointError */
function convert(
  bytes: Uint8Array,
  path: string,
  architecture: Architecture | undefined,
): { description: RecognizerDescription; tensors: HostTensors } {
  if (bytes[0] === 0x7b) throw new CheckpointError(jsonHint(bytes, path));
  const isSafetensors = bytes[8] === 0x7b; // the brace after the header's length; a checkpoint of PyTorch has none there
  const stored = isSafetensors ? readSafetensors(bytes) : undefined;
  if (stored && isRecognizerFile(stored)) {
    const file = readRecognizer(bytes);
    checkOwn(file.description, file.tensors, architecture);
    return file;
  }
  const tensors = checkFiniteTensors(withoutWrappers(stored?.tensors ?? readPyTorchCheckpoint(bytes, path)));
  const found = recognizeStateDict(tensors);
  const description = architecture && found?.architecture !== architecture ? defaultOf(architecture) : found;
  if (!description) {
    const some = [...tensors.keys()].slice(0, 3).join(', ');
    throw new CheckpointError(
      `its ${tensors.size} tensors (${some}, …) are not those of a known network; --architecture takes ${ARCHITECTURES.join(', ')}`,
    );
  }
  return { description, tensors: fromStateDict(description, tensors) };
}

/** What to say about a JSON file, such as the index of a checkpoint in several files. */
function jsonHint(bytes: Uint8Array, path: string): string {
  const { weight_map: map } = parseJson(decodeText(bytes, path), path) as { weight_map?: Record<string, string> };
  if (typeof map !== 'object' || map === null) return 'a JSON file, not a checkpoint';
  const files = new Set(Object.values(map)).size;
  return `the index of a checkpoint in ${files} files; first save the checkpoint as one file (in Python: safetensors.torch.save_file of all tensors)`;
}

/** The network of a name, in its usual sizes. */
function defaultOf(architecture: Architecture): RecognizerDescription {
  switch (architecture) {
    case 'mobilefacenet-relu6':
      return { architecture };
    case 'mobilefacenet':
      return { architecture, width: 96, height: 112 };
    case 'sphere20':
      return { architecture, dimension: 512, width: 96, height: 112 };
    case 'cameo-face':
      return { architecture, ...DEFAULT_CAMEO_FACE };
  }
}

/** @throws CheckpointError for a Cameo file that is damaged, or of another network than the wanted one */
function checkOwn(description: RecognizerDescription, tensors: HostTensors, architecture?: Architecture): void {
  if (architecture && architecture !== description.architecture) {
    throw new CheckpointError(
      `it says that it holds a ${description.architecture}, but --architecture ${architecture} was given`,
    );
  }
  const entries = [...buildRecognizer(description).entries()];
  const problems = misfits(tensors, new Map(entries.map(([name, { shape }]) => [name, shape])));
  if (problems.length > 0) {
    throw new CheckpointError(`the tensors do not fit ${description.architecture}: ${problems.join('; ')}`);
  }
}

import { ArgumentError, CheckpointError } from '../common/errors.js';
import type { ModelProto, ValueProto } from '../onnx/model.js';
import { add, mul } from '../ops/binary.js';
import { flip } from '../ops/strided.js';
import { affine } from '../ops/unary.js';
import { Tensor } from '../tensor/tensor.js';

/** What is known of the pictures that a graph takes, and of its outputs. */
export interface PictureWords {
  width?: number;
  height?: number;
  channels?: 'rgb' | 'bgr';
  layout?: 'nhwc' | 'nchw';
  /** One number for all channels, or three in the order of the graph. */
  mean?: readonly number[];
  scale?: readonly number[];
  /** Name of the output to use. */
  output?: string;
}

/** How a graph takes pictures: its numbers are (byte − mean) · scale. */
export interface OnnxPictures extends Required<Omit<PictureWords, 'width' | 'height' | 'output'>> {
  /** Name of its input. */
  input: string;
  /** Null for any. */
  width: number | null;
  height: number | null;
  /** The number of pictures that the file says a call has; null for any. */
  batch: number | null;
  /** Whether channels, mean and scale are the usual ones because nothing says what they are. */
  assumed: boolean;
}

/** The forms of the words after a file's name, for messages. */
export const PICTURE_WORDS =
  'WIDTHxHEIGHT, rgb, bgr, nhwc, nchw, mean=X, scale=X (X+X+X for three channels), output=NAME';

const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i;

/** One number, or three. Null for anything else. */
function numbersOf(text: string, separators: RegExp): number[] | null {
  const parts = text.trim().split(separators);
  const valid = (parts.length === 1 || parts.length === 3) && parts.every((part) => NUMBER.test(part));
  return valid ? parts.map(Number) : null;
}

/**
 * Words such as `112x112:bgr:mean=127.5:scale=0.0078125`.
 * @throws ArgumentError for one that is none of {@link PICTURE_WORDS}
 */
export function parsePictureWords(text: string): PictureWords {
  const words: PictureWords = {};
  // The name of an output may have colons.
  const [, before, output] = /^(.*?)(?:(?:^|:)output=(.+))?$/s.exec(text)!;
  if (output) words.output = output;
  for (const word of before ? before.split(':') : []) {
    const size = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(word);
    const list = /^(mean|scale)=(.*)$/s.exec(word);
    const numbers = list && numbersOf(list[2], /\+/);
    if (size) [words.width, words.height] = [Number(size[1]), Number(size[2])];
    else if (word === 'rgb' || word === 'bgr') words.channels = word;
    else if (word === 'nhwc' || word === 'nchw') words.layout = word;
    else if (numbers) words[list[1] as 'mean'] = numbers;
    else throw new ArgumentError(`"${word}" says nothing about pictures; expected ${PICTURE_WORDS}`);
  }
  return words;
}

/** What the metadata of a file says of pictures, as `cameo export` writes it. @throws CheckpointError for a value of another form */
function wordsOfMetadata(metadata: ReadonlyMap<string, string>): PictureWords {
  const words: PictureWords = {};
  const fail = (key: string, expected: string): never => {
    throw new CheckpointError(`metadata "${key}" is ${JSON.stringify(metadata.get(key))}; expected ${expected}`);
  };
  for (const key of ['width', 'height'] as const) {
    const text = metadata.get(key);
    if (text !== undefined) words[key] = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : fail(key, 'a number of pixels');
  }
  for (const key of ['mean', 'scale'] as const) {
    const text = metadata.get(key);
    if (text !== undefined) words[key] = numbersOf(text, /[\s,;+]+/) ?? fail(key, 'a number, or one for each channel');
  }
  const oneOf = <T extends string>(key: string, values: readonly T[]): T | undefined => {
    const text = metadata.get(key)?.toLowerCase();
    return text === undefined ? undefined : (values.find((value) => value === text) ?? fail(key, values.join(' or ')));
  };
  words.channels = oneOf('channels', ['rgb', 'bgr']);
  words.layout = oneOf('layout', ['nhwc', 'nchw']);
  return words;
}

/** Inputs of the graph that are no weights. */
export const inputsOf = ({ graph }: ModelProto): ValueProto[] => {
  const initial = new Set(graph.initializers.map(({ name }) => name));
  return graph.inputs.filter(({ name }) => !initial.has(name));
};

/** Name, type and sizes of values, for messages. */
export const listValues = (values: readonly ValueProto[]): string =>
  values.map(({ name, shape }) => `${name} [${shape?.map((size) => size ?? '?').join() ?? '?'}]`).join(', ');

/**
 * How a graph takes pictures: as words say, else as its metadata, else as its shape and the usual numbers.
 * @param usual what is taken where neither says it
 * @throws CheckpointError for a graph that takes no pictures; ArgumentError for words that do not fit it
 */
export function onnxPicturesOf(
  model: ModelProto,
  words: PictureWords,
  usual: Required<Pick<PictureWords, 'channels' | 'mean' | 'scale'>>,
): OnnxPictures {
  const inputs = inputsOf(model);
  const [input] = inputs;
  const shape = input?.shape;
  if (inputs.length !== 1 || input.type !== 1 || shape?.length !== 4) {
    throw new CheckpointError(
      `its inputs are ${listValues(inputs) || 'none'}; expected one of float32, [batch,3,height,width] or [batch,height,width,3]`,
    );
  }
  const said = wordsOfMetadata(model.metadata);
  const fixed = (axis: number): number | null => (typeof shape[axis] === 'number' ? shape[axis] : null);
  const layout = words.layout ?? said.layout ?? (fixed(1) !== 3 && fixed(3) === 3 ? 'nhwc' : 'nchw');
  const [rows, columns, channel] = layout === 'nhwc' ? [1, 2, 3] : [2, 3, 1];
  if ((fixed(channel) ?? 3) !== 3) {
    throw new CheckpointError(`its input is ${listValues(inputs)}; expected 3 channels (layout ${layout})`);
  }
  const sizeOf = (name: 'width' | 'height', axis: number): number | null => {
    const wanted = words[name] ?? said[name] ?? null;
    const own = fixed(axis);
    if (wanted === null || own === null || own === wanted) return wanted ?? own;
    const text = `pictures of ${name} ${wanted} are asked for, but its input is ${listValues(inputs)}`;
    throw words[name] === undefined ? new CheckpointError(text) : new ArgumentError(text);
  };
  const keys = ['channels', 'mean', 'scale'] as const;
  return {
    input: input.name,
    width: sizeOf('width', columns),
    height: sizeOf('height', rows),
    batch: fixed(0),
    layout,
    channels: words.channels ?? said.channels ?? usual.channels,
    mean: words.mean ?? said.mean ?? usual.mean,
    scale: words.scale ?? said.scale ?? usual.scale,
    assumed: keys.every((key) => words[key] === undefined && said[key] === undefined),
  };
}

/**
 * Pictures as a graph takes them, except for the order of the axes.
 * @param x [N,H,W,3], RGB
 * @param bytes a byte is `factor` · value + `offset`
 */
export function graphPictures(
  x: Tensor,
  { channels, mean, scale }: Pick<OnnxPictures, 'channels' | 'mean' | 'scale'>,
  { factor, offset }: { factor: number; offset: number },
): Tensor {
  const ordered = channels === 'bgr' ? flip(x, [3]) : x;
  const same = (list: readonly number[]): boolean => list.every((value) => value === list[0]);
  if (same(mean) && same(scale)) return affine(ordered, factor * scale[0], (offset - mean[0]) * scale[0]);
  const three = [0, 1, 2];
  const of = (list: readonly number[], k: number): number => list[k % list.length];
  const row = (value: (k: number) => number): Tensor => Tensor.from(x.gpu, three.map(value), [3]);
  const factors = row((k) => factor * of(scale, k));
  return add(
    mul(ordered, factors),
    row((k) => (offset - of(mean, k)) * of(scale, k)),
  );
}

import { CheckpointError, ShapeError } from '../common/errors.js';
import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import type { Gpu } from '../gpu/gpu.js';
import { graphPictures, inputsOf, listValues, onnxPicturesOf, type PictureWords } from '../models/onnx-pictures.js';
import { CELL_STRIDES, CELL_VALUES, SINGLE_SHOT_MULTIPLE } from '../models/single-shot.js';
import { importOnnx, readSupportedModel } from '../onnx/import.js';
import type { ModelProto } from '../onnx/model.js';
import type { ExternalData } from '../onnx/tensor-values.js';
import { type AnyTensor, scope } from '../tensor/tensor.js';
import { cellMaps, countCells, type FoundFace, facesOfCells, MAX_LOG_SIZE } from './cells.js';
import { FaceDetector } from './face-detector.js';
import { findFacesAtOnce, type Size, squareSizes } from './single-shot-faces.js';

/** The values of an output for a picture, in rows of so many columns. */
interface Output {
  readonly name: string;
  readonly data: Float32Array;
  readonly columns: number;
}

/** A kind of detector whose outputs are understood. */
interface Kind {
  /** Names and sizes of the outputs, for messages. */
  readonly outputs: string;
  /** How pixels go in if the file does not say it. */
  readonly usual: Required<Pick<PictureWords, 'channels' | 'mean' | 'scale'>>;
  /** Score that a face needs where nobody says. */
  readonly threshold: number;
  /** The names of the outputs that it reads, in its order; undefined for another kind. */
  names(model: ModelProto): string[] | undefined;
  /** Values in a row of each of these outputs. */
  readonly columns: readonly number[];
  faces(values: readonly Output[], size: Size, threshold: number): FoundFace[];
}

/** For each stride, the names `PART_STRIDE` of some parts, the strides of a part side by side. */
const named = (...parts: string[]): string[] =>
  parts.flatMap((part) => CELL_STRIDES.map((stride) => `${part}_${stride}`));

const ifThere = ({ graph }: ModelProto, names: string[]): string[] | undefined =>
  names.every((name) => graph.outputs.some((output) => output.name === name)) ? names : undefined;

/** The same number for each stride. */
const each = (...columns: number[]): number[] => columns.flatMap((count) => CELL_STRIDES.map(() => count));

/** The detector of `cameo export`; see `CELL_VALUES`. */
const OWN: Kind = {
  outputs: `cells [batch,cells,${CELL_VALUES}]`,
  usual: { channels: 'rgb', mean: [0], scale: [1 / 255] },
  threshold: 0.75,
  names: (model) => ifThere(model, ['cells']),
  columns: [CELL_VALUES],
  faces([output], { width, height }, threshold) {
    rowsOf(output, countCells(width, height));
    return facesOfCells(output.data, width, height, threshold);
  },
};

/**
 * YuNet: Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20(5), decoded as OpenCV's
 * FaceDetectorYN does: the score is √(cls · obj), the box a shift from the cell's corner and logarithms of sizes, in strides.
 */
const YUNET: Kind = {
  outputs: 'cls_S, obj_S, bbox_S and kps_S for the strides S 8, 16 and 32 (YuNet)',
  usual: { channels: 'bgr', mean: [0], scale: [1] },
  threshold: 0.9,
  names: (model) => ifThere(model, named('cls', 'obj', 'bbox', 'kps')),
  columns: each(1, 1, 4, 10),
  faces: (values, size, threshold) =>
    facesOfMaps(values, size, threshold, {
      score: (row, cls, obj) => Math.sqrt(share(cls.data[row]) * share(obj.data[row])),
      box: ([dx, dy, w, h]) => {
        const [halfWidth, halfHeight] = [w, h].map((log) => Math.exp(Math.min(MAX_LOG_SIZE, log)) / 2);
        return [dx - halfWidth, dy - halfHeight, dx + halfWidth, dy + halfHeight];
      },
    }),
};

/**
 * SCRFD: Guo et al. 2021, "Sample and Computation Redistribution for Efficient Face Detection", arXiv 2105.04714. Each cell has one or
 * more anchors at its corner, and a box is the distances of its sides from it, in strides.
 */
const SCRFD: Kind = {
  outputs:
    'score_S, bbox_S and kps_S for the strides S 8, 16 and 32, or nine outputs of 1, 4 and 10 columns in this order (SCRFD)',
  usual: { channels: 'rgb', mean: [127.5], scale: [1 / 128] },
  threshold: 0.5,
  names(model) {
    const { outputs } = model.graph;
    const columns = `${outputs.map(({ shape }) => shape?.at(-1))}`;
    const unnamed = columns === `${SCRFD.columns}` ? outputs.map(({ name }) => name) : undefined;
    return ifThere(model, named('score', 'bbox', 'kps')) ?? unnamed;
  },
  columns: each(1, 4, 10),
  faces: (values, size, threshold) =>
    facesOfMaps(values, size, threshold, {
      score: (row, { data }) => data[row],
      box: ([left, top, right, bottom]) => [-left, -top, right, bottom],
    }),
};

const KINDS: readonly Kind[] = [OWN, YUNET, SCRFD];

const share = (value: number): number => Math.min(1, Math.max(0, value));

/** Decodes a row of a map. */
interface Decoder {
  /** @param parts the map's outputs */
  score(row: number, ...parts: Output[]): number;
  /** Sides from the corner of the cell, in strides. */
  box(row: Float32Array): number[];
}

/** The faces of three maps, each of which has scores, boxes, and last landmarks as shifts from the corner of the cell in strides. */
function facesOfMaps(
  values: readonly Output[],
  { width, height }: Size,
  threshold: number,
  { score, box }: Decoder,
): FoundFace[] {
  return cellMaps(width, height).flatMap(({ stride, columns, rows }, k) => {
    const parts = values.filter((_, part) => part % CELL_STRIDES.length === k);
    const [boxes, points] = parts.slice(-2);
    const count = boxes.data.length / boxes.columns;
    const anchors = Math.max(1, Math.round(count / (columns * rows)));
    for (const part of parts) rowsOf(part, columns * rows * anchors);
    const faces: FoundFace[] = [];
    for (let row = 0; row < count; row++) {
      const sure = score(row, ...parts);
      if (!(sure >= threshold)) continue;
      const cell = Math.floor(row / anchors);
      const corner = [(cell % columns) * stride, Math.floor(cell / columns) * stride];
      const place = (value: number, axis: number): number => corner[axis % 2] + stride * value;
      const [left, top, right, bottom] = box(boxes.data.subarray(4 * row, 4 * row + 4)).map(place);
      const marks = Array.from(points.data.subarray(10 * row, 10 * row + 10), place);
      const landmarks = [0, 2, 4, 6, 8].map((at): Point => [marks[at], marks[at + 1]]);
      if (!Number.isFinite(left + top + right + bottom)) continue;
      faces.push({ score: sure, left, top, right, bottom, landmarks: landmarks as unknown as FaceLandmarks });
    }
    return faces;
  });
}

/** @throws ShapeError for an output of another number of rows */
function rowsOf({ name, data, columns }: Output, expected: number): void {
  const rows = data.length / columns;
  if (rows !== expected)
    throw new ShapeError(`the output ${name} has ${rows} rows; expected ${expected}, one a cell and anchor`);
}

/** @throws CheckpointError that says what was found and what is known */
function kindOf(model: ModelProto): { kind: Kind; names: string[] } {
  for (const kind of KINDS) {
    const names = kind.names(model);
    if (names) return { kind, names };
  }
  throw new CheckpointError(
    `not a face detector that is known: its inputs are ${listValues(inputsOf(model))}, and its outputs ${listValues(model.graph.outputs)}; expected the outputs ${KINDS.map(({ outputs }) => outputs).join('; or ')}`,
  );
}

/**
 * A face detector of an ONNX file: our own as `cameo export` writes it, YuNet, or SCRFD with landmarks.
 * @param words how pixels go in, where neither the file says it nor it is as usual for the kind
 * @param external reads files with weights beside it
 * @throws CheckpointError for a graph of another kind; FormatError, UnsupportedModelError as `importOnnx`; ArgumentError
 */
export function onnxFaceDetector(
  gpu: Gpu,
  bytes: Uint8Array,
  words: PictureWords = {},
  external?: ExternalData,
): FaceDetector {
  const model = readSupportedModel(bytes);
  const { kind, names } = kindOf(model);
  const pictures = onnxPicturesOf(model, words, kind.usual);
  const { width, height, layout, batch, input } = pictures;
  if ((batch ?? 1) !== 1 || ((width ?? 0) | (height ?? 0)) % SINGLE_SHOT_MULTIPLE !== 0) {
    throw new CheckpointError(
      `its input is ${listValues(inputsOf(model))}; expected a batch of 1 or any, and sides that are multiples of ${SINGLE_SHOT_MULTIPLE}`,
    );
  }
  const sizes = width !== null && height !== null ? [{ width, height }] : squareSizes();
  const module = importOnnx(gpu, bytes, { layout: layout === 'nhwc' ? 'file' : 'nhwc', external });
  const tiles: Parameters<typeof findFacesAtOnce>[0] = {
    sizes,
    async see(picture, tile, threshold) {
      const outputs = scope(gpu, () => {
        const x = graphPictures(picture.crops([tile], tile), pictures, { factor: 128, offset: 127.5 });
        const found = module.run({ [input]: x });
        return names.map((name) => found[name]);
      });
      try {
        const values = await Promise.all(outputs.map((output, k) => valuesOf(names[k], output, kind.columns[k])));
        return kind.faces(values, tile, threshold);
      } finally {
        for (const output of new Set(outputs)) output.dispose();
      }
    },
  };
  return FaceDetector.of(gpu, {
    threshold: kind.threshold,
    find: (picture, seen, options) => findFacesAtOnce(tiles, picture, seen, options),
    dispose: () => module.dispose(),
  });
}

/** @throws ShapeError for an output of another number of columns */
async function valuesOf(name: string, output: AnyTensor, columns: number): Promise<Output> {
  if (output.dtype === 'float32' && output.shape.length <= 3 && output.shape.at(-1) === columns) {
    return { name, data: (await output.read()) as Float32Array, columns };
  }
  throw new ShapeError(`the output ${name} is [${output.shape}]; expected rows of ${columns} numbers`);
}

import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import type { DetectOptions } from '../detection/face-detector.js';
import { integer } from './numbers.js';

/** Options of how faces are found in photographs, and which of them are taken. */
export interface FaceOptions {
  detector?: string;
  faces?: 'all' | 'largest';
  /** Number of the face from left to right, from 1. */
  face?: number;
  minFace?: number;
  maxFaces?: number;
}

/** Default maximum of faces in one photograph; beyond it, the least certain ones are left out. */
const DEFAULT_MAX_FACES = 1000;

export const DETECTOR_HELP =
  'weights of the face detector, for photographs: safetensors, or FILE.onnx, see docs/onnx.md (default: CAMEO_DETECTOR, else the shipped detector)';

/** Adds the options of how faces are found. */
export const addDetectorOptions = (command: Command): Command =>
  command
    .option('--detector <file>', DETECTOR_HELP)
    .option('--min-face <pixels>', 'side of the smallest face to find (default: 20)', integer(12, 100_000))
    .option(
      '--max-faces <n>',
      `maximum number of faces in a photograph; the best are kept (default: ${DEFAULT_MAX_FACES})`,
      integer(1),
    );

/** Adds them, and the options of which faces are taken. @param choice the default */
export const addFaceOptions = (command: Command, choice: 'all' | 'largest'): Command =>
  addDetectorOptions(command)
    .addOption(
      new Option('--faces <which>', `which faces of a photograph (default: ${choice})`).choices(['all', 'largest']),
    )
    .option(
      '--face <n>',
      'the n-th face of each photograph from left to right, as `cameo detect` numbers them',
      integer(1),
    );

/** @throws ArgumentError if --faces and --face contradict each other */
export function checkFaceOptions({ faces, face }: FaceOptions): void {
  if (faces === undefined || face === undefined) return;
  throw new ArgumentError(
    `--faces ${faces} and --face ${face}: give only one of them, as each says which faces are taken`,
  );
}

/** Boxes and points are given in hundredths of a pixel, which is exact enough. */
export const hundredths = (value: number): number => Math.round(value * 100) / 100;

/** What the detector is asked for. */
export const detectOptions = ({ minFace, maxFaces = DEFAULT_MAX_FACES }: FaceOptions): DetectOptions => ({
  minFace,
  maxFaces,
});

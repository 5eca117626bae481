import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { writePng } from '../data/pictures/image.js';
import { LandmarkIndex } from '../data/pictures/landmarks.js';
import { PICTURE_FORMATS } from '../data/pictures/picture-format.js';
import type { ListedPicture } from '../data/pictures/picture-listing.js';
import { FACE_HEIGHT, FACE_WIDTH, type FaceLandmarks } from '../detection/align.js';
import { complain, orComplain } from './complain.js';
import { picturesOf } from './encode-run.js';
import { FaceFinder } from './face-finder.js';
import { addFaceOptions, type FaceOptions } from './face-options.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { Outputs } from './outputs.js';
import { readLandmarkInput, readPhotoFaces } from './photo-faces.js';
import { startProgress } from './progress.js';
import { DASH, inputName } from './stdin.js';
import { say } from './terminal.js';

const LANDMARK_FILE = 'landmarks.json';

interface CropOptions extends FaceOptions {
  out: string;
  landmarks?: string;
  json?: boolean;
}

/** Adds `cameo crop` to the program. */
export function addCropCommand(program: Command): void {
  const command = program
    .command('crop')
    .description('cut the faces out of photographs, aligned, as `cameo encode` compresses them')
    .argument('<photo...>', `photographs; ${PICTURE_FORMATS}, or folders of them; "-": standard input`)
    .requiredOption(
      '-o, --out <dir>',
      `folder for the crops of ${FACE_WIDTH}×${FACE_HEIGHT}, NAME.png each, and ${LANDMARK_FILE}, made if it is missing`,
    )
    .option('--landmarks <file>', 'JSON file with five landmarks a face; then no face is looked for')
    .option('--json', `the summary as ${JSON_HELP}`);
  addFaceOptions(command, 'all')
    .addHelpText(
      'after',
      `
Examples:
  cameo crop holiday.jpg -o faces
  cameo crop holiday.jpg -o corrected --landmarks faces/${LANDMARK_FILE}

A photograph with several faces becomes NAME-1.png, NAME-2.png, … from left to right; with --faces largest NAME.png. The landmarks
that were found are in DIR/${LANDMARK_FILE}, as --landmarks of this command and of \`cameo encode\` takes them: correct them there. A
file of that name that is there already is not written over. A photograph without a face is an error, and the rest goes on.
Keys of --json: pictures, out, landmarks (the file's path, or null), files [{ input, output, landmarks (null for a picture that is
an aligned face) }], warnings [{ input, kind, message }] where there are any, errors.`,
    )
    .action(crop);
}

/** @returns the path of the landmark file to write; none where the landmarks are given */
function landmarkFile({ out, landmarks }: CropOptions): string | null {
  if (landmarks !== undefined) return null;
  const path = join(out, LANDMARK_FILE);
  if (!existsSync(path)) return path;
  throw new ArgumentError(
    `${path} exists: give it with --landmarks to crop by it, remove it, or choose another folder`,
  );
}

/** A crop that has been written. */
interface CropFile {
  input: string;
  output: string;
  landmarks: FaceLandmarks | null;
}

async function crop(photos: string[], options: CropOptions): Promise<void> {
  if (options.json) beginJson('crop');
  const finder = new FaceFinder(options);
  const path = landmarkFile(options);
  const landmarks = options.landmarks === undefined ? undefined : await readLandmarkInput(options.landmarks);
  const outputs = await Outputs.in(options.out);
  const { all } = await picturesOf(photos);
  const named = all.filter((picture): picture is ListedPicture => !('error' in picture));
  const index = landmarks && new LandmarkIndex(landmarks, named);
  const reading = { landmarks: index, finder, onBadFace: complain };
  outputs.protect([...named.map((picture) => picture.path), options.landmarks]);
  const bar = startProgress(all.length, 'pictures');
  const files: CropFile[] = [];
  const found = new Map<string, FaceLandmarks[]>();
  try {
    for (const [k, picture] of all.entries()) {
      const input = inputName(picture.path);
      const faces = await orComplain(input, () => {
        if ('error' in picture) throw picture.error;
        return readPhotoFaces(picture.path, reading, picture.name);
      });
      for (const face of faces ?? []) {
        await orComplain(face.input, async () => {
          const output = outputs.claim(`${face.name}.png`, face.input);
          await outputs.ready(output);
          await writePng(output, { width: FACE_WIDTH, height: FACE_HEIGHT, data: face.pixels });
          files.push({ input: face.input, output, landmarks: face.landmarks ?? null });
          if (face.landmarks && picture.path !== DASH)
            found.set(picture.path, [...(found.get(picture.path) ?? []), face.landmarks]);
          if (!options.json) say(`${face.input} -> ${output}`);
        });
      }
      bar.update(k + 1);
    }
    const points = found.size > 0 ? path : null;
    if (points !== null) {
      await writeFileAtomic(points, landmarkText(found));
      say(`landmarks of these faces -> ${points}`);
    }
    addJson({ pictures: all.length, out: options.out, landmarks: points, files });
  } finally {
    bar.stop();
    finder.close();
  }
}

/** A landmark file, a face a line. */
function landmarkText(found: ReadonlyMap<string, readonly FaceLandmarks[]>): string {
  const photos = [...found].map(([photo, faces]) => {
    const lines = faces.map((points) => `    ${JSON.stringify(points)}`);
    return `  ${JSON.stringify(photo)}: [\n${lines.join(',\n')}\n  ]`;
  });
  return `{\n${photos.join(',\n')}\n}\n`;
}

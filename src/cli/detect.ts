import { join } from 'node:path';
import type { Command } from 'commander';
import { MAX_PICTURE_BYTES, readImage, writePng } from '../data/pictures/image.js';
import { PICTURE_FORMATS } from '../data/pictures/picture-format.js';
import type { CroppedFace } from '../detection/crop-faces.js';
import { drawFaces } from '../evaluation/reports/draw-faces.js';
import { orComplain } from './complain.js';
import { picturesOf } from './encode-run.js';
import { FaceFinder } from './face-finder.js';
import { addDetectorOptions, type FaceOptions, hundredths } from './face-options.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { Outputs } from './outputs.js';
import { startProgress } from './progress.js';
import { DASH, inputName, readStdin } from './stdin.js';
import { print, say } from './terminal.js';

interface DetectCommandOptions extends FaceOptions {
  draw?: string;
  json?: boolean;
}

/** Adds `cameo detect` to the program. */
export function addDetectCommand(program: Command): void {
  const command = program
    .command('detect')
    .description('find the faces of photographs: boxes, landmarks, and what makes them poor')
    .argument('<photo...>', `photographs; ${PICTURE_FORMATS}, or folders of them; "-": standard input`)
    .option('--draw <dir>', 'folder for copies with boxes and points, NAME.faces.png, made if it is missing')
    .option('--json', JSON_HELP);
  addDetectorOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  cameo detect holiday.jpg
  cameo detect holiday --draw marked --json > faces.json

A photograph without a face is a result as well: it has 0. Boxes and points are in pixels of the upright picture; faces are
counted from left to right, as --face of \`cameo encode\` takes them.
Keys of --json: photos [{ input, width, height, drawn (null without --draw), faces [{ face, score, box { x, y, width, height },
landmarks [[x, y]: left eye, right eye, nose, left, right corner of the mouth], notes [{ kind: small, blurred, turned or cut, text }] }] }], errors`,
    )
    .action(detect);
}

async function detect(photos: string[], options: DetectCommandOptions): Promise<void> {
  if (options.json) beginJson('detect');
  const finder = new FaceFinder(options);
  await finder.file();
  const outputs = options.draw === undefined ? undefined : await Outputs.in(options.draw);
  const { all } = await picturesOf(photos);
  outputs?.protect(all.map((picture) => picture.path));
  const bar = startProgress(all.length, 'pictures');
  const told: object[] = [];
  try {
    for (const [k, picture] of all.entries()) {
      const input = inputName(picture.path);
      await orComplain(input, async () => {
        if ('error' in picture) throw picture.error;
        const bytes = picture.path === DASH ? await readStdin(MAX_PICTURE_BYTES) : picture.path;
        const image = await readImage(bytes, { name: input });
        const faces = await finder.find(image, input);
        const { width, height } = image;
        const drawn = outputs?.claim(`${picture.name}.faces.png`, input) ?? null;
        if (outputs && drawn) {
          await outputs.ready(drawn);
          const labelled = faces.map((face) => ({ ...face, label: `${face.number} ${face.score.toFixed(2)}` }));
          await writePng(drawn, drawFaces(image, labelled), 'photograph with boxes of faces');
        }
        if (options.json) told.push({ input, width, height, drawn, faces: faces.map(faceJson) });
        else tell(input, image, faces);
      });
      bar.update(k + 1);
    }
    addJson({ photos: told });
    if (options.draw !== undefined) say(`copies with boxes and points: ${join(options.draw, '*.faces.png')}`);
  } finally {
    bar.stop();
    finder.close();
  }
}

function faceJson({ number, score, box, landmarks, notes, problem }: CroppedFace): object {
  const { x, y, width, height } = box;
  return {
    face: number,
    score: Number(score.toFixed(4)),
    box: { x: hundredths(x), y: hundredths(y), width: hundredths(width), height: hundredths(height) },
    landmarks,
    notes: problem === null ? notes : [...notes, { kind: 'landmarks', text: problem }],
  };
}

function tell(
  input: string,
  { width, height }: { width: number; height: number },
  faces: readonly CroppedFace[],
): void {
  const count = faces.length === 0 ? 'no face' : faces.length === 1 ? '1 face' : `${faces.length} faces`;
  print(`${input}  ${width}×${height}  ${count}`);
  for (const { number, score, box, landmarks, notes, problem } of faces) {
    const [left, right] = landmarks;
    const eyes = Math.hypot(left[0] - right[0], left[1] - right[1]);
    const place = `at ${box.x.toFixed(0)}, ${box.y.toFixed(0)}: ${box.width.toFixed(0)}×${box.height.toFixed(0)}`;
    const said = [...notes.map(({ text }) => text), ...(problem === null ? [] : [problem])].join('; ');
    print(
      `  ${number}  ${place}  score ${score.toFixed(3)}  eyes ${eyes.toFixed(0)} pixels apart${said && `  (${said})`}`,
    );
  }
}

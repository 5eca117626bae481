import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import type { SingleShotDetector } from '../models/single-shot.js';
import { keep, scope } from '../tensor/tensor.js';
import { bestFirst } from './boxes.js';
import { type FoundFace, facesOfCells, mergeFaces } from './cells.js';
import type { CropWindow, GpuPicture } from './gpu-picture.js';

/** Pixels of the smallest wanted face as the network sees it: it finds smaller ones, but not as surely. */
const SEEN_FACE = 20;
/** From one size of the picture to the next smaller one, in which the network looks for larger faces. */
const PYRAMID_FACTOR = 4;
/** As long as the picture's shorter side has more pixels than this, it is also looked at in a smaller size. */
const LARGEST_SEEN_FACE = 144;

/**
 * Sides of the squares that the network takes: few, as kernels are compiled for each, which takes seconds on a CPU. A picture that is a
 * little larger than one of them is made smaller to fit; one that is much larger than the last is seen in tiles. Those overlap so that
 * a face that no tile holds whole is well seen in the next smaller size of the picture.
 */
const SIDES = [128, 256, 512] as const;
const LITTLE_LARGER = 4 / 3;
const TILE_OVERLAP = 96;

/**
 * More cells than this that see a face, the best ones, are not followed: a limit on time and memory for pictures that look like faces
 * everywhere. Some 10 cells see each face, and some 100,000 cells see a picture of MAX_DETECTION_PIXELS.
 */
const MAX_CANDIDATES = 100_000;

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What finds faces in parts of a picture. */
export interface TileNetwork {
  /** Sizes of the parts, the smallest first. */
  readonly sizes: readonly Size[];
  /** The faces of a part, possibly each several times, in pixels of that part. */
  see(picture: GpuPicture, tile: CropWindow & Size, threshold: number): Promise<FoundFace[]>;
}

/** Sizes of the parts that networks for pictures of any size get. */
export const squareSizes = (): Size[] => SIDES.map((side) => ({ width: side, height: side }));

/** Our own network. */
export const singleShotTiles = (network: SingleShotDetector): TileNetwork => ({
  sizes: squareSizes(),
  see: (picture, tile, threshold) => facesOfTile(network, picture, tile, threshold),
});

/** A part of the picture at one size: what the network sees at once. */
interface Tile extends Size {
  readonly left: number;
  readonly top: number;
  /** Pixels of the picture that one of the tile stands for. */
  readonly step: number;
}

/**
 * Faces in a picture, by a network that looks at it in a few sizes.
 *
 * @param minFace side of the smallest face in pixels
 * @param threshold score that a face needs
 * @param maxFaces most faces to return
 * @returns faces by falling score; boxes in pixels from the picture's corner, landmarks from the centre of its first pixel
 */
export async function findFacesAtOnce(
  network: TileNetwork,
  picture: GpuPicture,
  size: Size,
  { minFace, threshold, maxFaces }: { minFace: number; threshold: number; maxFaces: number },
): Promise<FoundFace[]> {
  const found: FoundFace[] = [];
  for (const tile of tilesOf(size, minFace, network.sizes)) {
    for (const face of await network.see(picture, tile, threshold)) found.push(inPicture(face, tile));
  }
  return mergeFaces(bestFirst(found, MAX_CANDIDATES), maxFaces);
}

/** The faces that the network's cells see in a part of the picture, several of them the same one, in pixels of that part. */
export async function facesOfTile(
  network: SingleShotDetector,
  picture: GpuPicture,
  tile: CropWindow & Size,
  threshold: number,
): Promise<FoundFace[]> {
  const output = scope(picture.gpu, () => keep(network.forward(picture.crops([tile], tile))));
  try {
    return facesOfCells(await output.read(), tile.width, tile.height, threshold);
  } finally {
    output.dispose();
  }
}

/** What the network looks at, one after the other. */
function tilesOf({ width, height }: Size, minFace: number, sizes: readonly Size[]): Tile[] {
  const tiles: Tile[] = [];
  const largest = sizes[sizes.length - 1];
  /** Pixels of the picture for one of a part that holds it whole. */
  const wholeStep = (size: Size): number => Math.max(width / size.width, height / size.height);
  // However large the wanted faces, more pixels cost nothing up to one part of the network, and show them better.
  let step = Math.min(minFace / SEEN_FACE, Math.max(1, wholeStep(largest)));
  for (;;) {
    const fits = (size: Size): boolean => wholeStep(size) <= LITTLE_LARGER * step;
    const size = sizes.find(fits) ?? largest;
    if (fits(size)) step = Math.max(step, wholeStep(size));
    for (const top of starts(height / step, size.height)) {
      for (const left of starts(width / step, size.width)) {
        tiles.push({ left: left * step, top: top * step, width: size.width, height: size.height, step });
      }
    }
    if (Math.min(width, height) / step <= LARGEST_SEEN_FACE) return tiles;
    step *= PYRAMID_FACTOR;
  }
}

/** Where parts of this length begin that cover an extent. */
function starts(extent: number, side: number): number[] {
  if (extent <= side) return [0];
  const count = Math.ceil((extent - TILE_OVERLAP) / (side - TILE_OVERLAP));
  return Array.from({ length: count }, (_, k) => (k * (extent - side)) / (count - 1));
}

/** A face of a tile, in the picture. */
function inPicture(face: FoundFace, { left, top, step }: Tile): FoundFace {
  const landmarks = face.landmarks.map(
    ([x, y]): Point => [left + (x + 0.5) * step - 0.5, top + (y + 0.5) * step - 0.5],
  );
  return {
    score: face.score,
    left: left + face.left * step,
    top: top + face.top * step,
    right: left + face.right * step,
    bottom: top + face.bottom * step,
    landmarks: landmarks as unknown as FaceLandmarks,
  };
}

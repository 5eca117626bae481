import { cropPictureShader, cropPlan, halvePictureShader, halvePlan } from '../../shaders/picture-crops.wgsl.js';
import type { RgbImage } from '../common/rgb-image.js';
import type { Gpu } from '../gpu/gpu.js';
import { elementKernel } from '../kernels/elementwise.js';
import { dispatch, dispatchInPlace } from '../tensor/dispatch.js';
import { keep, scope, Tensor } from '../tensor/tensor.js';

/** Where a crop begins in the picture: (0, 0) is the picture's corner. Outside of the picture it is black. */
export interface CropWindow {
  readonly left: number;
  readonly top: number;
  /** Pixels of the picture that one of the crop stands for, in each direction. */
  readonly step: number;
  /** Whether the crop is the mirror image of what lies there: its left side is the window's right one. */
  readonly mirrored?: boolean;
}

/** Where a copy of the picture lies in the buffer: index of its first pixel, size in pixels. */
interface Copy {
  readonly first: number;
  readonly width: number;
  readonly height: number;
}

/** A picture on the GPU, with copies of 1/2, 1/4, … of its size, so that small crops of large parts cost little. */
export class GpuPicture {
  /** Packed pixels of all copies. They are bytes, and the tensor only keeps their memory. */
  readonly #pixels: Tensor;
  readonly #copies: readonly Copy[];

  constructor(
    readonly gpu: Gpu,
    image: RgbImage,
  ) {
    this.#copies = halvedCopies(image.width, image.height);
    const last = this.#copies[this.#copies.length - 1];
    this.#pixels = keep(Tensor.empty(gpu, [last.first + last.width * last.height]));
    gpu.write(this.#pixels.buffer, packPixels(image.data));
    for (let k = 1; k < this.#copies.length; k++) this.#halve(this.#copies[k - 1], this.#copies[k]);
  }

  #halve(source: Copy, half: Copy): void {
    const threads = half.width * half.height;
    const scalars = halvePlan.pack({
      sourceSize: [source.width, source.height],
      halfSize: [half.width, half.height],
      sourceFirst: source.first,
      halfFirst: half.first,
      threads,
    });
    dispatchInPlace(elementKernel('halve a picture', halvePictureShader(), threads), [this.#pixels], scalars);
  }

  /**
   * Crops, as the networks take them: each pixel is the mean over what it stands for, less than a pixel of
   * the picture is bilinear interpolation.
   * @param size pixels of a crop
   * @returns [windows, height, width, 3], (byte − 127.5)/128
   */
  crops(windows: readonly CropWindow[], { width: columns, height: rows }: { width: number; height: number }): Tensor {
    const sources = windows.flatMap(({ left, top, step, mirrored }) => {
      const halvings = Math.max(0, Math.floor(Math.log2(step)));
      const { first, width, height } = this.#copies[Math.min(halvings, this.#copies.length - 1)];
      const scale = 2 ** -Math.min(halvings, this.#copies.length - 1);
      const [begin, along] = mirrored ? [left + step * columns, -step] : [left, step];
      return [begin * scale, top * scale, along * scale, first, width, height];
    });
    const threads = windows.length * rows * columns;
    const kernel = elementKernel('crop a picture', cropPictureShader(), threads);
    return scope(this.gpu, () => {
      const table = Tensor.from(this.gpu, sources, [windows.length, 6]);
      const scalars = cropPlan.pack({ size: [columns, rows], threads });
      return dispatch(kernel, [this.#pixels, table], [windows.length, rows, columns, 3], scalars);
    });
  }

  dispose(): void {
    this.#pixels.dispose();
  }
}

/** The picture and its halved copies, one after the other, down to one pixel across. */
function halvedCopies(width: number, height: number): Copy[] {
  const copies = [{ first: 0, width, height }];
  while (Math.min(copies[copies.length - 1].width, copies[copies.length - 1].height) > 1) {
    const source = copies[copies.length - 1];
    copies.push({
      first: source.first + source.width * source.height,
      width: Math.ceil(source.width / 2),
      height: Math.ceil(source.height / 2),
    });
  }
  return copies;
}

/** RGB bytes as one 32-bit number a pixel, red in the lowest byte. */
function packPixels(data: Uint8Array): Uint32Array {
  const packed = new Uint32Array(data.length / 3);
  for (let i = 0, at = 0; i < packed.length; i++, at += 3) {
    packed[i] = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
  }
  return packed;
}

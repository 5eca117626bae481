import { CameoError, FormatError } from '../../common/errors.js';
import { loadOptional } from '../../common/optional-packages.js';
import type { RgbImage } from '../../data/pictures/image.js';

/** The package and its version, for the versions of the codecs in it. */
export const ICODEC = 'icodec 0.6.0';

interface Rgba {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

interface Format {
  loadEncoder(): Promise<unknown>;
  loadDecoder(): Promise<unknown>;
  encode(image: Rgba, options: object): Uint8Array;
  decode(bytes: Uint8Array): Rgba;
}

type Formats = Record<'webp' | 'jxl' | 'wp2', Format>;

export interface IcodecFormat {
  encode(image: RgbImage, options: Record<string, number | boolean>): Promise<Uint8Array>;
  decode(bytes: Uint8Array): Promise<RgbImage>;
}

/** One of the formats of npm icodec (WebAssembly), loaded at first use. */
export function icodecFormat(format: keyof Formats, title: string): IcodecFormat {
  let loading: Promise<Format> | undefined;
  const load = (): Promise<Format> => {
    loading ??= (async () => {
      const module = (await loadOptional<Formats>(`the ${title} baseline`, 'icodec', 'icodec/node'))[format];
      await module.loadEncoder();
      await module.loadDecoder();
      return module;
    })();
    return loading;
  };
  return {
    async encode(image, options) {
      const module = await load();
      try {
        return module.encode(withAlpha(image), options).slice();
      } catch (error) {
        const { width, height } = image;
        throw new CameoError(
          `${title}: the encoder refuses a picture of ${width}×${height}, ${JSON.stringify(options)}`,
          {
            cause: error,
          },
        );
      }
    },
    async decode(bytes) {
      const module = await load();
      try {
        return withoutAlpha(module.decode(bytes));
      } catch (error) {
        throw new FormatError(`the ${title} file cannot be decoded`, { cause: error });
      }
    },
  };
}

function withAlpha({ data, width, height }: RgbImage): Rgba {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[3 * i + c];
  }
  return { data: rgba, width, height };
}

function withoutAlpha({ data, width, height }: Rgba): RgbImage {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[4 * i + c];
  }
  return { data: rgb, width, height };
}

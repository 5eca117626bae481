/** One picture, encoded by a codec within a byte budget. */
export interface ForeignEncoding {
  /** The file, as `decode` takes it. */
  bytes: Uint8Array;
  /** Bytes that count against the budget: those of the file, without the container for some codecs. */
  size: number;
  /** Decoded, in the size of the original: width·height·3 bytes. */
  rgb: Uint8Array;
  /** How the file was made, for reports. */
  settings: string;
}

/** A codec that makes the best picture within a byte budget. */
export interface ForeignCodec {
  /** Short, in lower case: names files, too. */
  readonly name: string;
  /** Name in reports. */
  readonly title: string;
  /** Changes whenever its files may change: settings, search, package. Part of the cache's keys. */
  readonly version: string;
  /**
   * The file of best PSNR among those tried that are within `maxBytes`, or null when none is.
   *
   * @param rgb width·height·3 bytes
   * @throws ArgumentError when `rgb` does not fit width and height, or for a budget that is not a positive integer;
   *   CameoError when the package that encodes is not installed
   */
  encode(rgb: Uint8Array, width: number, height: number, maxBytes: number): Promise<ForeignEncoding | null>;
  /**
   * The picture in a file of this codec, enlarged to width×height if it was coded smaller.
   * @throws FormatError or ImageError for a file that cannot be decoded
   */
  decode(bytes: Uint8Array, width: number, height: number): Promise<Uint8Array>;
}

/** What a codec made of one picture within a number of bytes. */
export interface ForeignEncoding {
  /** The file, as `decode` takes it. */
  bytes: Uint8Array;
  /** Bytes that count against the budget: those of the file, but for codecs that are let off their container. */
  size: number;
  /** Decoded, in the size of the original: width·height·3 bytes. */
  rgb: Uint8Array;
  /** How the file was made, for reports. */
  settings: string;
}

/** A codec that is asked for the best picture in at most so many bytes. */
export interface ForeignCodec {
  /** Short, in lower case: names files, too. */
  readonly name: string;
  /** What reports call it. */
  readonly title: string;
  /** Changes whenever other files may come out: settings, search, package. Part of the cache's keys. */
  readonly version: string;
  /**
   * The file of best PSNR among those tried that are within `maxBytes`, or null when none is.
   *
   * @param rgb width·height·3 bytes
   * @throws ArgumentError when `rgb` does not fit width and height, or for a budget that is no positive integer;
   *   CameoError when the package that encodes is not installed
   */
  encode(rgb: Uint8Array, width: number, height: number, maxBytes: number): Promise<ForeignEncoding | null>;
  /**
   * The picture in a file of this codec, enlarged to width×height if it was coded smaller.
   * @throws FormatError or ImageError for a file that cannot be decoded
   */
  decode(bytes: Uint8Array, width: number, height: number): Promise<Uint8Array>;
}

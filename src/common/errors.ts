/** Base of every error the engine and the codec raise on purpose; `name` is stable and can be matched on. */
export class CameoError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Shapes, axes or attributes that do not fit an operation. */
export class ShapeError extends CameoError {}
/** A value outside what an argument accepts (not a shape). */
export class ArgumentError extends CameoError {}
/** No usable WebGPU adapter; the message says what to install or set. */
export class NoAdapterError extends CameoError {}
/** The adapter was found but does not compute correctly (its known-answer kernel failed). */
export class BrokenAdapterError extends CameoError {}
/** The GPU device was lost or destroyed; every tensor on it is gone. */
export class DeviceLostError extends CameoError {}
/** A buffer could not be allocated; the message gives the request and what is live. */
export class OutOfMemoryError extends CameoError {}
/** A validation or internal error of the GPU driver, with the text it gave. */
export class GpuError extends CameoError {}
/** A tensor was used after it was disposed. */
export class DisposedError extends CameoError {}
/** A file that is truncated, corrupt, too large, or of another format. */
export class FormatError extends CameoError {}
/** A compact file that was written by another model than the one loaded. */
export class ModelMismatchError extends CameoError {}
/** A picture that cannot be read or is of an unacceptable size. */
export class ImageError extends CameoError {}
/** A network gave NaN or infinity where a result was expected: its weights are damaged, or the device computes wrongly. */
export class NotFiniteError extends CameoError {
  constructor(
    message: string,
    /** Which of the faces, counted from 0. */
    readonly face: number,
  ) {
    super(message);
  }
}
/** A checkpoint or weights file that does not fit the network. */
export class CheckpointError extends CameoError {}

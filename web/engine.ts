/* The engine and the codec, which are bundled into a separate file, so that the page shows its first face's bytes and QR code before they load. */
export { readKlt } from '../src/codec/codec-weights.js';
export { packFaceBare } from '../src/codec/container/face-bare.js';
export { packFaceFile } from '../src/codec/container/face-file.js';
export { FaceCodec } from '../src/codec/face-codec.js';
export { openBrowserGpu } from '../src/gpu/open.js';

/* The engine and the codec, in a part of their own: the page is there, with its first face's bytes and code, before they are. */
export { readKlt } from '../src/codec/codec-weights.js';
export { packFaceBare } from '../src/codec/container/face-bare.js';
export { packFaceFile } from '../src/codec/container/face-file.js';
export { FaceCodec } from '../src/codec/face-codec.js';
export { openBrowserGpu } from '../src/gpu/open.js';

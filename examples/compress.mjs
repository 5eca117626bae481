// Stores a face in 300 bytes and restores it: node compress.mjs FACE.png RESTORED.png. FACE.png is an aligned crop of 96×112 pixels.
import { readFile } from 'node:fs/promises';
import { FaceCodec } from 'cameo';
import { openGpu, readImage, writePng } from 'cameo/node';

const [source, restored = 'restored.png'] = process.argv.slice(2);
const gpu = await openGpu();
const weights = await readFile(new URL(import.meta.resolve('cameo/models/face.safetensors')));
const codec = FaceCodec.fromWeights(gpu, weights);
const { width, height } = codec.faceSize;
const { data } = await readImage(source, { exactly: { width, height } });
const [file] = await codec.encode([data], { maxBytes: 300 });
const [pixels] = await codec.decode([file]);
await writePng(restored, { width, height, data: pixels });
console.log(`${data.length} bytes of pixels, ${file.length} bytes of file; restored: ${restored}`);
codec.dispose();
gpu.destroy();

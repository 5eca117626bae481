// How alike are two faces? node embed.mjs A.png B.png: aligned crops of 96×112 pixels.
import { readFile } from 'node:fs/promises';
import { Embedder, loadRecognizer, readRecognizer } from 'cameo';
import { openGpu, readImage } from 'cameo/node';

const gpu = await openGpu();
const weights = await readFile(new URL(import.meta.resolve('cameo/models/recognizer.safetensors')));
const embedder = new Embedder(gpu, loadRecognizer(gpu, readRecognizer(weights)));
const embed = async (path) => embedder.embed((await readImage(path)).data); // 128 numbers
const [a, b] = [await embed(process.argv[2]), await embed(process.argv[3])];
console.log('cosine', a.reduce((sum, value, i) => sum + value * b[i], 0) / Math.hypot(...a) / Math.hypot(...b));
gpu.destroy();

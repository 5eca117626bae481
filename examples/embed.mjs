// Prints how similar two faces are: node embed.mjs A.png B.png. They are aligned crops of 96×112 pixels; `cameo verify` gives the same number.
import { readFile } from 'node:fs/promises';
import { Embedder, faceSimilarity, loadRecognizer, readRecognizer } from 'cameo'; // faceEmbedding gives the vector of one face
import { openGpu, readImage } from 'cameo/node';

const gpu = await openGpu();
const weights = await readFile(new URL(import.meta.resolve('cameo/models/recognizer.safetensors')));
const embedder = new Embedder(gpu, loadRecognizer(gpu, readRecognizer(weights)), 2); // batches of a face and its mirror image
const face = async (path) => (await readImage(path)).data;
const [a, b] = [await face(process.argv[2]), await face(process.argv[3])];
console.log('cosine', await faceSimilarity(embedder, a, b));
gpu.destroy();

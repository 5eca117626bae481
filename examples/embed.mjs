// How alike are two faces? node embed.mjs A.png B.png: aligned crops of 96×112 pixels. The number is that of `cameo verify`.
import { readFile } from 'node:fs/promises';
import { Embedder, faceSimilarity, loadRecognizer, readRecognizer } from 'cameo'; // faceEmbedding: the vector of one face
import { openGpu, readImage } from 'cameo/node';

const gpu = await openGpu();
const weights = await readFile(new URL(import.meta.resolve('cameo/models/recognizer.safetensors')));
const embedder = new Embedder(gpu, loadRecognizer(gpu, readRecognizer(weights)), 2); // each face, and its mirror image
const face = async (path) => (await readImage(path)).data;
const [a, b] = [await face(process.argv[2]), await face(process.argv[3])];
console.log('cosine', await faceSimilarity(embedder, a, b));
gpu.destroy();

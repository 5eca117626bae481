// Trains the shipped face recogniser to tell other classes apart: node transfer-learning.mjs [FOLDER] [STEPS] [WEIGHTS.safetensors]
// FOLDER has a folder of pictures for each class. Without it, the network tells the moods of drawn faces apart.
// First only a new head learns, on what the frozen recogniser makes of the pictures; then also the recogniser's last layers, at a low rate.
import {
  Adam,
  argmax,
  CounterRandom,
  cast,
  crossEntropy,
  equal,
  Layer,
  Linear,
  loadRecognizer,
  mean,
  readRecognizer,
  scope,
  Tensor,
  valueAndGradients,
} from 'cameo';

const [WIDTH, HEIGHT] = [96, 112]; // what the recogniser takes
const BATCH = 16;
/** The recogniser's last layers: a depthwise convolution over the whole map and a linear one, each with its batch norm. */
const LAST = ['recognizer.linear7.', 'recognizer.linear1.'];

/** Faces that smile, frown or gape, of `count` each: { images, labels, classes } with RGB from 0 to 1. */
function drawFaces(count) {
  const random = new CounterRandom(5);
  const classes = ['smiling', 'frowning', 'gaping'];
  const between = (low, high) => low + (high - low) * random.uniform();
  const images = new Float32Array(3 * count * WIDTH * HEIGHT * 3);
  const labels = Int32Array.from({ length: 3 * count }, (_, n) => n % 3);
  for (let n = 0; n < labels.length; n++) {
    const [skin, ground] = [0, 1].map(() => [between(0.5, 1), between(0.4, 0.9), between(0.3, 0.8)]);
    const [cx, cy, bend, size] = [between(44, 52), between(50, 60), between(0.02, 0.04), between(0.85, 1.1)];
    const kind = labels[n];
    for (let i = 0; i < WIDTH * HEIGHT; i++) {
      const [x, y] = [((i % WIDTH) - cx) / size, (Math.floor(i / WIDTH) - cy) / size];
      const inFace = (x / 38) ** 2 + (y / 48) ** 2 < 1;
      const eye = Math.hypot(Math.abs(x) - 15, y + 12) < 4.5;
      const bow = Math.abs(y - 24 + (kind === 0 ? 1 : -1) * bend * (x * x - 100)) < 2.5 && Math.abs(x) < 18;
      const mouth = kind === 2 ? Math.hypot(x, (y - 24) / 1.4) < 8 : bow;
      for (let c = 0; c < 3; c++) {
        const colour = (inFace ? skin : ground)[c] * (eye || mouth ? 0.2 : 1);
        images[(n * WIDTH * HEIGHT + i) * 3 + c] = Math.min(1, Math.max(0, colour + between(-0.1, 0.1)));
      }
    }
  }
  return { images, labels, classes };
}

/** All pictures of a folder, in Node. */
async function readFolder(path) {
  const { ImageFolder } = await import('cameo/node');
  const folder = await ImageFolder.open(path, { width: WIDTH, height: HEIGHT, fit: 'cover' });
  const { images, labels } = await folder.load([...folder.names.keys()]);
  return { images, labels, classes: folder.classes };
}

/** The recogniser with a new head, which gives a score for each class. */
class Classifier extends Layer {
  constructor(recognizer, classes) {
    super();
    this.recognizer = this.child('recognizer', recognizer);
    this.head = this.child('head', new Linear(recognizer.dimension, classes));
  }

  forward(x) {
    return this.head.forward(this.recognizer.embed(x));
  }
}

/** The classifier with values, of which only those of the head are to be trained. */
function newClassifier(gpu, weights, classes) {
  const net = new Classifier(loadRecognizer(gpu, weights), classes);
  net.head.initialize(gpu, 1);
  // In evaluation, batch norm takes the statistics of the recogniser's own training, as a few pictures have no good ones.
  return net.freeze('recognizer.').eval();
}

/** Pictures and labels of some of the data, as tensors of the scope in which this is called. */
function tensorsOf(gpu, { images, labels }, indices) {
  const size = WIDTH * HEIGHT * 3;
  const pixels = new Float32Array(indices.length * size);
  indices.forEach((index, k) => {
    pixels.set(images.subarray(index * size, (index + 1) * size), k * size);
  });
  const chosen = Int32Array.from(indices, (index) => labels[index]);
  return [
    Tensor.from(gpu, pixels, [indices.length, HEIGHT, WIDTH, 3]),
    Tensor.from(gpu, chosen, [indices.length], 'int32'),
  ];
}

/** Embeddings of some pictures, read back. */
async function embeddingsOf(gpu, net, data, indices) {
  const all = [];
  for (let first = 0; first < indices.length; first += BATCH) {
    const batch = indices.slice(first, first + BATCH);
    const embeddings = scope(gpu, () => net.recognizer.embed(tensorsOf(gpu, data, batch)[0]));
    all.push(...(await embeddings.read()));
    embeddings.dispose();
  }
  return all;
}

/** One step of an optimiser. Returns the loss, a scalar tensor. */
function descend(gpu, adam, net, loss) {
  return scope(gpu, () => {
    const { value, gradients } = valueAndGradients(loss, net.parameters());
    adam.step(gradients);
    return value;
  });
}

/** The share of held-out pictures that a network puts into the right class, from its head on. */
async function accuracyOf(gpu, net, data, heldOut) {
  const embeddings = await embeddingsOf(gpu, net, data, heldOut);
  const share = scope(gpu, () => {
    const scores = net.head.forward(Tensor.from(gpu, embeddings, [heldOut.length, net.recognizer.dimension]));
    const labels = Tensor.from(
      gpu,
      Int32Array.from(heldOut, (index) => data.labels[index]),
      [heldOut.length],
      'int32',
    );
    return mean(cast(equal(argmax(scores), labels), 'float32'));
  });
  const accuracy = await share.item();
  share.dispose();
  return accuracy;
}

/** Trains the head alone. The recogniser is frozen, so what it makes of the pictures is computed once. */
async function trainHead(gpu, net, data, training, log) {
  const embeddings = await embeddingsOf(gpu, net, data, training);
  const x = Tensor.from(gpu, embeddings, [training.length, net.recognizer.dimension]);
  const labels = Tensor.from(
    gpu,
    Int32Array.from(training, (index) => data.labels[index]),
    [training.length],
    'int32',
  );
  const adam = new Adam(net.parameters(), { learningRate: 0.01 }); // of the head alone, as the rest is frozen
  for (let step = 1; step <= 100; step++) {
    const loss = descend(gpu, adam, net, () => crossEntropy(net.head.forward(x), labels));
    if (step === 1 || step % 50 === 0) log(`head, step ${step}: loss ${(await loss.item()).toFixed(4)}`);
    loss.dispose();
  }
  for (const used of [x, labels, adam]) used.dispose();
}

/** Trains the head and the recogniser's last layers, at a low rate. */
async function trainLast(gpu, net, data, training, steps, log) {
  for (const prefix of LAST) net.freeze(prefix, false);
  const adam = new Adam(net.parameters(), { learningRate: 5e-4 }); // a new one, as an optimiser keeps the parameters it was given
  const random = new CounterRandom(6);
  for (let step = 1; step <= steps; step++) {
    const indices = Array.from({ length: BATCH }, () => training[random.int(training.length)]);
    const loss = scope(gpu, () => {
      const [x, labels] = tensorsOf(gpu, data, indices);
      return descend(gpu, adam, net, () => crossEntropy(net.forward(x), labels));
    });
    if (step === 1 || step % 10 === 0) log(`last layers, step ${step}: loss ${(await loss.item()).toFixed(4)}`);
    loss.dispose();
  }
  adam.dispose();
}

/**
 * Trains, and prints the accuracy on held-out pictures after each part.
 * @param recognizer bytes of models/recognizer.safetensors
 * @returns both accuracies, and the weights as a safetensors file
 */
export async function run({ gpu, recognizer, steps = 20, data = drawFaces(40), log = console.log, show }) {
  const { labels, classes, images } = data;
  show?.(images.subarray(0, Math.min(6, labels.length) * WIDTH * HEIGHT * 3), {
    width: WIDTH,
    height: HEIGHT,
    channels: 3,
  });
  const heldOut = [...labels.keys()].filter((k) => k % 5 === 4); // not trained on, to test the network
  const training = [...labels.keys()].filter((k) => k % 5 !== 4);
  log(`${training.length} pictures to learn, ${heldOut.length} held out, of ${classes.length} classes: ${classes}`);

  const weights = readRecognizer(recognizer);
  const net = newClassifier(gpu, weights, classes.length);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  await trainHead(gpu, net, data, training, log);
  const frozen = await accuracyOf(gpu, net, data, heldOut);
  log(`${percent(frozen)} of the held-out pictures right with the new head`);
  await trainLast(gpu, net, data, training, steps, log);
  const unfrozen = await accuracyOf(gpu, net, data, heldOut);
  log(`${percent(unfrozen)} of them right after the last layers learned, too`);

  // What was learned is the start for other classes: all but the head fits the network, and the head keeps its own values.
  const saved = await net.save();
  const next = newClassifier(gpu, weights, classes.length + 1);
  const { otherShape } = next.load(saved, { partial: true });
  log(
    `${saved.length} bytes saved; a network for ${classes.length + 1} classes takes all but ${otherShape.join(', ')}`,
  );
  return { frozen, unfrozen, saved };
}

// A page calls `run` itself: see in-a-page.html.
if (!globalThis.document) {
  const [{ openGpu }, { readFile, writeFile }] = [await import('cameo/node'), await import('node:fs/promises')];
  const [folder, steps, path] = process.argv.slice(2);
  const recognizer = await readFile(new URL(import.meta.resolve('cameo/models/recognizer.safetensors')));
  const data = folder ? await readFolder(folder) : undefined;
  const gpu = await openGpu();
  const { saved } = await run({ gpu, recognizer, data, steps: steps ? Number(steps) : undefined });
  if (path) await writeFile(path, saved);
  gpu.destroy();
}

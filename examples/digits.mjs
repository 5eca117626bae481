// Trains a small convolutional network to read digits of 28×28 pixels, as those of MNIST: node digits.mjs [FOLDER] [STEPS]
// FOLDER has the four files of MNIST (train-images-idx3-ubyte and so on, or with .gz). Without it, the example draws its own digits.
import {
  Adam,
  argmax,
  BatchNorm,
  Conv2d,
  CounterRandom,
  cast,
  crossEntropy,
  Dropout,
  equal,
  Flatten,
  Linear,
  MaxPool2d,
  mean,
  ReLU,
  Sequential,
  scope,
  Tensor,
  valueAndGradients,
} from 'cameo/engine';

const SIZE = 28; // pixels of a side
const PIXELS = SIZE * SIZE;
const BATCH = 64;

/** Digits of 5×7 dots; each number is a row, of which each bit is a dot. */
const FONT = [
  [14, 17, 19, 21, 25, 17, 14],
  [4, 12, 4, 4, 4, 4, 14],
  [14, 17, 1, 2, 4, 8, 31],
  [31, 2, 4, 2, 1, 17, 14],
  [2, 6, 10, 18, 31, 2, 2],
  [31, 16, 30, 1, 1, 17, 14],
  [6, 8, 16, 30, 17, 17, 14],
  [31, 1, 2, 4, 8, 8, 8],
  [14, 17, 17, 14, 17, 17, 14],
  [14, 17, 17, 15, 1, 2, 12],
];

/** The font's brightness at a place between dots, by linear interpolation. */
function dotAt(digit, x, y) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  let sum = 0;
  for (let r = top; r < top + 2; r++) {
    for (let c = left; c < left + 2; c++) {
      if (r < 0 || r > 6 || c < 0 || c > 4) continue;
      sum += ((FONT[digit][r] >> (4 - c)) & 1) * (1 - Math.abs(x - c)) * (1 - Math.abs(y - r));
    }
  }
  return sum;
}

/** Draws digits that are shifted, scaled, sheared and noisy: images [count·28·28] from 0 to 1, and labels. */
function drawDigits(count, seed) {
  const random = new CounterRandom(seed);
  const between = (low, high) => low + (high - low) * random.uniform();
  const images = new Float32Array(count * PIXELS);
  const labels = Int32Array.from({ length: count }, (_, n) => n % 10);
  for (let n = 0; n < count; n++) {
    const [wide, high, shear] = [between(2.2, 3.8), between(2.2, 3.4), between(-0.4, 0.4)];
    const [cx, cy] = [between(10.5, 16.5), between(11.5, 15.5)];
    const [ink, noise] = [between(0.6, 1.2), between(0.1, 0.5)];
    for (let i = 0; i < PIXELS; i++) {
      const y = (Math.floor(i / SIZE) - cy) / high;
      const x = ((i % SIZE) - cx) / wide + shear * y;
      const value = ink * dotAt(labels[n], x + 2, y + 3) + noise * (random.uniform() - 0.5);
      images[n * PIXELS + i] = Math.min(1, Math.max(0, value));
    }
  }
  return { images, labels };
}

/** Reads a folder with MNIST's files, in Node. IDX: two zero bytes, the type (8: bytes), the number of axes, their sizes, the values. */
async function readMnist(folder) {
  const [{ readFile }, { gunzipSync }] = [await import('node:fs/promises'), await import('node:zlib')];
  async function values(name) {
    const packed = await readFile(`${folder}/${name}.gz`).catch(() => undefined);
    const bytes = packed ? gunzipSync(packed) : await readFile(`${folder}/${name}`);
    const shape = Array.from({ length: bytes[3] }, (_, k) => bytes.readUInt32BE(4 + 4 * k));
    const data = bytes.subarray(4 + 4 * shape.length);
    const isPictures = name.includes('images');
    const fits = bytes[2] === 8 && data.length === shape.reduce((a, b) => a * b, 1);
    if (!fits || (isPictures && shape.slice(1).join() !== `${SIZE},${SIZE}`))
      throw new Error(
        `${name}: ${data.length} bytes of shape [${shape}]; expected ${isPictures ? 'pictures of 28×28' : 'labels'}`,
      );
    return data;
  }
  const read = async (part) => ({
    images: Float32Array.from(await values(`${part}-images-idx3-ubyte`), (value) => value / 255),
    labels: Int32Array.from(await values(`${part}-labels-idx1-ubyte`)),
  });
  return { training: await read('train'), heldOut: await read('t10k') };
}

const drawnDigits = () => ({ training: drawDigits(2000, 1), heldOut: drawDigits(500, 2) });

/** Some pictures [n, 28, 28, 1] and their labels, as tensors of the scope in which this is called. */
function tensorsOf(gpu, { images, labels }, indices) {
  const pixels = new Float32Array(indices.length * PIXELS);
  indices.forEach((index, k) => {
    pixels.set(images.subarray(index * PIXELS, (index + 1) * PIXELS), k * PIXELS);
  });
  const chosen = Int32Array.from(indices, (index) => labels[index]);
  return [
    Tensor.from(gpu, pixels, [indices.length, SIZE, SIZE, 1]),
    Tensor.from(gpu, chosen, [indices.length], 'int32'),
  ];
}

/** Share of the pictures whose largest score is that of their label. */
async function accuracyOf(gpu, net, data) {
  let right = 0;
  for (let first = 0; first < data.labels.length; first += 250) {
    const count = Math.min(250, data.labels.length - first);
    const indices = Array.from({ length: count }, (_, k) => first + k);
    const share = scope(gpu, () => {
      const [x, labels] = tensorsOf(gpu, data, indices);
      const scores = net.evaluating(() => net.forward(x));
      return mean(cast(equal(argmax(scores), labels), 'float32'));
    });
    right += count * (await share.item());
    share.dispose();
  }
  return right / data.labels.length;
}

/**
 * Trains, and prints the loss and the share of held-out digits that are read right. `show` gets pictures for a canvas.
 * @returns that share
 */
export async function run({ gpu, steps = 120, data = drawnDigits(), log = console.log, show }) {
  const { training, heldOut } = data;
  show?.(heldOut.images.subarray(0, 10 * PIXELS), { width: SIZE, height: SIZE, channels: 1 });
  const net = new Sequential([
    new Conv2d(1, 8, 3, { padding: 1, bias: false }),
    new BatchNorm(8),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Conv2d(8, 16, 3, { padding: 1, bias: false }),
    new BatchNorm(16),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Dropout(0.25),
    new Linear(7 * 7 * 16, 10),
  ]).initialize(gpu, 1);
  const adam = new Adam(net.parameters(), { learningRate: 3e-3 });
  const random = new CounterRandom(3);
  log(`${training.labels.length} digits to learn, ${heldOut.labels.length} held out, ${net.parameterCount} parameters`);

  for (let step = 1; step <= steps; step++) {
    const indices = Array.from({ length: BATCH }, () => random.int(training.labels.length));
    const loss = scope(gpu, () => {
      const [x, labels] = tensorsOf(gpu, training, indices);
      const { value, gradients } = valueAndGradients(() => crossEntropy(net.forward(x), labels), net.parameters());
      adam.step(gradients);
      return value;
    });
    if (step === 1 || step % 20 === 0) log(`step ${step}: loss ${(await loss.item()).toFixed(4)}`);
    loss.dispose();
  }

  const accuracy = await accuracyOf(gpu, net, heldOut);
  log(`${(100 * accuracy).toFixed(1)} % of the held-out digits read right`);
  return accuracy;
}

// A page calls `run` itself: see in-a-page.html.
if (!globalThis.document) {
  const { openGpu } = await import('cameo/node');
  const [folder, steps] = process.argv.slice(2);
  const gpu = await openGpu();
  await run({ gpu, steps: steps ? Number(steps) : undefined, data: folder ? await readMnist(folder) : undefined });
  gpu.destroy();
}

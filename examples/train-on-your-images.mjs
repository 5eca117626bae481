// Trains a small network to classify your images: node train-on-your-images.mjs [FOLDER] [STEPS] [WEIGHTS.safetensors]
// FOLDER has a folder of JPEG, PNG or WebP pictures for each class. Without it, the network classifies drawn discs and stripes.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as cameo from 'cameo/engine';
import { openGpu, readImage } from 'cameo/node';

const [folder, stepsText = '75', weightsPath] = process.argv.slice(2);
const SIZE = 32; // pixels of a side
const BATCH = 16;

/** A picture as SIZE×SIZE×3 numbers from 0 to 1: each is the mean of the pixels that it covers. */
function shrink({ width, height, data }) {
  const result = new Float32Array(SIZE * SIZE * 3);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const [top, left] = [Math.floor((y * height) / SIZE), Math.floor((x * width) / SIZE)];
      const bottom = Math.max(top + 1, Math.floor(((y + 1) * height) / SIZE));
      const right = Math.max(left + 1, Math.floor(((x + 1) * width) / SIZE));
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let r = top; r < bottom; r++) for (let s = left; s < right; s++) sum += data[(r * width + s) * 3 + c];
        result[(y * SIZE + x) * 3 + c] = sum / 255 / ((bottom - top) * (right - left));
      }
    }
  }
  return result;
}

async function readFolder() {
  const classes = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const names = classes.map(({ name }) => name).sort();
  const images = [];
  for (const [label, name] of names.entries()) {
    const files = (await readdir(join(folder, name))).filter((file) => /\.(jpe?g|png|webp)$/i.test(file)).sort();
    for (const file of files) images.push({ label, pixels: shrink(await readImage(join(folder, name, file))) });
  }
  if (names.length < 2 || images.length < 10)
    throw new Error(
      `${folder} has ${names.length} folders with ${images.length} pictures; expected at least 2 folders with 10 pictures`,
    );
  return { names, images };
}

function drawImages(random) {
  const images = Array.from({ length: 200 }, (_, k) => {
    const [cx, cy, r] = [10 + 12 * random.uniform(), 10 + 12 * random.uniform(), 4 + 5 * random.uniform()];
    const [angle, phase] = [Math.PI * random.uniform(), 6 * random.uniform()];
    const colour = [0.4 + 0.6 * random.uniform(), 0.4 + 0.6 * random.uniform(), 0.4 + 0.6 * random.uniform()];
    const pixels = Float32Array.from({ length: SIZE * SIZE * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % SIZE, Math.floor(i / 3 / SIZE)];
      const stripe = Math.sin(x * Math.cos(angle) + y * Math.sin(angle) + phase) > 0;
      const inside = k % 2 === 0 ? Math.hypot(x - cx, y - cy) < r : stripe;
      return (inside ? colour[i % 3] : 0.2) + 0.1 * random.normal();
    });
    return { label: k % 2, pixels };
  });
  return { names: ['disc', 'stripes'], images };
}

const random = new cameo.CounterRandom(7);
const { names, images } = folder ? await readFolder() : drawImages(random);
const heldOut = images.filter((_, k) => k % 5 === 4); // not trained on, to test the network
const training = images.filter((_, k) => k % 5 !== 4);

const gpu = await openGpu();
/** Average pooling as a layer, which halves rows and columns. */
class Pool extends cameo.Layer {
  forward(x) {
    return cameo.avgPool2d(x, { kernel: [2, 2] });
  }
}
class Flatten extends cameo.Layer {
  forward(x) {
    return cameo.reshape(x, [x.shape[0], -1]);
  }
}
const conv = (from, to) => [new cameo.Conv2d(from, to, 3, { padding: 1 }), new cameo.PReLU(to), new Pool()];
const net = new cameo.Sequential([
  ...[...conv(3, 8), ...conv(8, 16), ...conv(16, 16)],
  new Flatten(),
  new cameo.Linear((SIZE / 8) ** 2 * 16, names.length),
]);
net.initialize(gpu, 1);
const adam = new cameo.Adam(net.parameters());

/** Pixels and labels of a batch, as tensors of the scope in which this is called. */
const tensorsOf = (batch) => [
  cameo.Tensor.from(
    gpu,
    batch.flatMap(({ pixels }) => [...pixels]),
    [batch.length, SIZE, SIZE, 3],
  ),
  cameo.labelsTensor(
    gpu,
    batch.map(({ label }) => label),
    names.length,
  ),
];

const steps = Number(stepsText);
for (let step = 1; step <= steps; step++) {
  const batch = Array.from({ length: BATCH }, () => training[Math.floor(random.uniform() * training.length)]);
  const loss = cameo.scope(gpu, () => {
    const [x, labels] = tensorsOf(batch);
    const tape = new cameo.Tape();
    const loss = tape.record(() => cameo.softmaxCrossEntropy(net.forward(x), labels));
    adam.step(tape.gradients(loss, [...net.parameters().values()]), 0.003);
    return loss;
  });
  if (step === 1 || step % 25 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(4)}`);
  loss.dispose();
}

net.eval();
const scores = cameo.scope(gpu, () => net.forward(tensorsOf(heldOut)[0]));
const values = await scores.read();
const right = heldOut.filter(({ label }, k) => {
  const row = [...values.subarray(k * names.length, (k + 1) * names.length)];
  return row.indexOf(Math.max(...row)) === label;
});
console.log(
  `${right.length} of ${heldOut.length} held-out pictures right, of ${names.length} classes: ${names.join(', ')}`,
);
if (weightsPath) await writeFile(weightsPath, cameo.writeSafetensors(await cameo.saveState(net)));
gpu.destroy();

// Trains a small GAN, which learns to draw bright discs on a dark ground: least-squares GAN, Mao et al. 2017, arXiv 1611.04076.
// Usage: node small-gan.mjs [STEPS]
import {
  Adam,
  Conv2d,
  ConvTranspose2d,
  CounterRandom,
  Flatten,
  full,
  Linear,
  mse,
  PReLU,
  Reshape,
  randn,
  Sequential,
  Sigmoid,
  scope,
  Tensor,
  valueAndGradients,
} from 'cameo/engine';
import { openGpu } from 'cameo/node'; // in a browser: openBrowserGpu from 'cameo/engine'

const SIZE = 16;
const BATCH = 32;
const LATENT = 8;
const steps = Number(process.argv[2] ?? 400);
const random = new CounterRandom(1);

/** Pictures of discs of different places and sizes: [BATCH, SIZE, SIZE, 1] from 0 to 1, with soft borders. */
function drawDiscs() {
  const values = new Float32Array(BATCH * SIZE * SIZE);
  for (let n = 0; n < BATCH; n++) {
    const radius = 3 + 2 * random.uniform();
    const [x, y] = [0, 1].map(() => radius + (SIZE - 1 - 2 * radius) * random.uniform());
    for (let i = 0; i < SIZE * SIZE; i++) {
      const distance = Math.hypot((i % SIZE) - x, Math.floor(i / SIZE) - y);
      values[n * SIZE * SIZE + i] = Math.min(1, Math.max(0, radius + 0.5 - distance));
    }
  }
  return values;
}

const gpu = await openGpu();
const generator = new Sequential([
  new Linear(LATENT, 4 * 4 * 32),
  new PReLU(),
  new Reshape([4, 4, 32]),
  new ConvTranspose2d(32, 16, 4, { stride: 2, padding: 1 }),
  new PReLU(16),
  new ConvTranspose2d(16, 1, 4, { stride: 2, padding: 1 }),
  new Sigmoid(),
]).initialize(gpu, 1);
const critic = new Sequential([
  new Conv2d(1, 16, 4, { stride: 2, padding: 1 }),
  new PReLU(16),
  new Conv2d(16, 32, 4, { stride: 2, padding: 1 }),
  new PReLU(32),
  new Flatten(),
  new Linear(4 * 4 * 32, 1),
]).initialize(gpu, 2);

const [generatorAdam, criticAdam] = [generator, critic].map(
  (net) => new Adam(net.parameters(), { betas: [0.5, 0.999] }),
);
const [real, fake] = [1, 0].map((value) => full(gpu, [BATCH, 1], value));
const discs = Tensor.zeros(gpu, [BATCH, SIZE, SIZE, 1]);

/** One step of an optimiser on the loss of its network. Returns the loss, a scalar tensor. */
function descend(adam, net, loss) {
  return scope(gpu, () => {
    const { value, gradients } = valueAndGradients(loss, net.parameters());
    adam.step(gradients, 2e-3);
    return value;
  });
}

for (let step = 1; step <= steps; step++) {
  discs.write(drawDiscs());
  const latent = randn(gpu, [BATCH, LATENT], random);
  // The critic learns to say 1 of discs and 0 of what the generator draws, and then the generator to make it say 1.
  const drawn = scope(gpu, () => generator.forward(latent));
  const onDiscs = descend(criticAdam, critic, () => mse(critic.forward(discs), real));
  const onDrawn = descend(criticAdam, critic, () => mse(critic.forward(drawn), fake));
  const loss = descend(generatorAdam, generator, () => mse(critic.forward(generator.forward(latent)), real));
  if (step % 100 === 0 || step === steps) {
    const [a, b, c] = await Promise.all([onDiscs, onDrawn, loss].map((tensor) => tensor.item()));
    console.log(`step ${step}: critic ${((a + b) / 2).toFixed(3)}, generator ${c.toFixed(3)}`);
  }
  for (const tensor of [latent, drawn, onDiscs, onDrawn, loss]) tensor.dispose();
}

// A disc is bright within and dark without: of each drawing, compare the pixels with the disc of the same area around its centre.
const pictures = await scope(gpu, () => generator.forward(randn(gpu, [BATCH, LATENT], random))).read();
let round = 0;
for (let n = 0; n < BATCH; n++) {
  const picture = pictures.subarray(n * SIZE * SIZE, (n + 1) * SIZE * SIZE);
  const area = picture.reduce((sum, value) => sum + value, 0);
  const centre = (of) => picture.reduce((sum, value, i) => sum + value * of(i), 0) / area;
  const [x, y] = [centre((i) => i % SIZE), centre((i) => Math.floor(i / SIZE))];
  const radius = Math.sqrt(area / Math.PI);
  const within = picture.reduce(
    (sum, value, i) => sum + (Math.hypot((i % SIZE) - x, Math.floor(i / SIZE) - y) <= radius + 0.5 ? value : 0),
    0,
  );
  if (within / area > 0.85 && radius > 2 && radius < 7) round++;
}
for (let row = 0; row < SIZE; row++) {
  const line = [0, 1, 2, 3].map((n) =>
    Array.from({ length: SIZE }, (_, x) => ' .:*#'[Math.round(4 * pictures[(n * SIZE + row) * SIZE + x])]).join(''),
  );
  console.log(line.join(' | '));
}
console.log(`${round} of ${BATCH} drawings are round`);
gpu.destroy();

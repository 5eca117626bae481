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

const SIZE = 16;
const PIXELS = SIZE * SIZE;
const BATCH = 32;
const LATENT = 8;

/** Pictures of discs of different places and sizes: [BATCH, SIZE, SIZE, 1] from 0 to 1, with soft borders. */
function drawDiscs(random) {
  const values = new Float32Array(BATCH * PIXELS);
  for (let n = 0; n < BATCH; n++) {
    const radius = 3 + 2 * random.uniform();
    const [x, y] = [0, 1].map(() => radius + (SIZE - 1 - 2 * radius) * random.uniform());
    for (let i = 0; i < PIXELS; i++) {
      const distance = Math.hypot((i % SIZE) - x, Math.floor(i / SIZE) - y);
      values[n * PIXELS + i] = Math.min(1, Math.max(0, radius + 0.5 - distance));
    }
  }
  return values;
}

/** From random numbers [n, LATENT] to pictures. */
const newGenerator = () =>
  new Sequential([
    new Linear(LATENT, 4 * 4 * 32),
    new PReLU(),
    new Reshape([4, 4, 32]),
    new ConvTranspose2d(32, 16, 4, { stride: 2, padding: 1 }),
    new PReLU(16),
    new ConvTranspose2d(16, 1, 4, { stride: 2, padding: 1 }),
    new Sigmoid(),
  ]);

/** From pictures to one number each: 1 of a disc, 0 of what the generator drew. */
const newCritic = () =>
  new Sequential([
    new Conv2d(1, 16, 4, { stride: 2, padding: 1 }),
    new PReLU(16),
    new Conv2d(16, 32, 4, { stride: 2, padding: 1 }),
    new PReLU(32),
    new Flatten(),
    new Linear(4 * 4 * 32, 1),
  ]);

/** Whether a drawing is bright within, and dark without, the disc of the same area around its centre. */
function isRound(picture) {
  const area = picture.reduce((sum, value) => sum + value, 0);
  const centre = (of) => picture.reduce((sum, value, i) => sum + value * of(i), 0) / area;
  const [x, y] = [centre((i) => i % SIZE), centre((i) => Math.floor(i / SIZE))];
  const radius = Math.sqrt(area / Math.PI);
  const within = picture.reduce(
    (sum, value, i) => sum + (Math.hypot((i % SIZE) - x, Math.floor(i / SIZE) - y) <= radius + 0.5 ? value : 0),
    0,
  );
  return within / area > 0.85 && radius > 2 && radius < 7;
}

/** Trains, and prints losses and drawings. `show` gets drawings for a canvas. @returns how many of 32 drawings are round */
export async function run({ gpu, steps = 400, log = console.log, show }) {
  const random = new CounterRandom(1);
  const [generator, critic] = [newGenerator().initialize(gpu, 1), newCritic().initialize(gpu, 2)];
  const [generatorAdam, criticAdam] = [generator, critic].map(
    (net) => new Adam(net.parameters(), { learningRate: 2e-3, betas: [0.5, 0.999] }),
  );
  const [real, fake] = [1, 0].map((value) => full(gpu, [BATCH, 1], value));
  const discs = Tensor.zeros(gpu, [BATCH, SIZE, SIZE, 1]);

  /** One step of an optimiser on the loss of its network. Returns the loss, a scalar tensor. */
  const descend = (adam, net, loss) =>
    scope(gpu, () => {
      const { value, gradients } = valueAndGradients(loss, net.parameters());
      adam.step(gradients);
      return value;
    });

  /** What the generator draws of random numbers, read back. */
  async function drawings(latent) {
    const drawn = scope(gpu, () => generator.forward(latent));
    const values = await drawn.read();
    drawn.dispose();
    return values;
  }

  const shown = randn(gpu, [BATCH, LATENT], 2); // the same in all pictures of the canvas
  for (let step = 1; step <= steps; step++) {
    discs.write(drawDiscs(random));
    const latent = randn(gpu, [BATCH, LATENT], random);
    // The critic learns to say 1 of discs and 0 of what the generator draws, and then the generator to make it say 1.
    const drawn = scope(gpu, () => generator.forward(latent));
    const onDiscs = descend(criticAdam, critic, () => mse(critic.forward(discs), real));
    const onDrawn = descend(criticAdam, critic, () => mse(critic.forward(drawn), fake));
    const loss = descend(generatorAdam, generator, () => mse(critic.forward(generator.forward(latent)), real));
    if (step % 100 === 0 || step === steps) {
      const [a, b, c] = await Promise.all([onDiscs, onDrawn, loss].map((tensor) => tensor.item()));
      log(`step ${step}: critic ${((a + b) / 2).toFixed(3)}, generator ${c.toFixed(3)}`);
    }
    if (show && (step % 10 === 0 || step === 1))
      show(await drawings(shown), { width: SIZE, height: SIZE, channels: 1 });
    for (const tensor of [latent, drawn, onDiscs, onDrawn, loss]) tensor.dispose();
  }

  const pictures = await drawings(randn(gpu, [BATCH, LATENT], random));
  for (let row = 0; row < SIZE; row++) {
    const line = [0, 1, 2, 3].map((n) =>
      Array.from({ length: SIZE }, (_, x) => ' .:*#'[Math.round(4 * pictures[(n * SIZE + row) * SIZE + x])]).join(''),
    );
    log(line.join(' | '));
  }
  const each = Array.from({ length: BATCH }, (_, n) => pictures.subarray(n * PIXELS, (n + 1) * PIXELS));
  const round = each.filter(isRound).length;
  log(`${round} of ${BATCH} drawings are round`);
  return round;
}

// A page calls `run` itself: see in-a-page.html.
if (!globalThis.document) {
  const { openGpu } = await import('cameo/node');
  const gpu = await openGpu();
  await run({ gpu, steps: process.argv[2] ? Number(process.argv[2]) : undefined });
  gpu.destroy();
}

import { type ConvShape, convMultiplyAdds } from '../shaders/common/conv-geometry.js';
import type { Pair } from '../src/common/shapes.js';
import { DEFAULT_AUTOENCODER } from '../src/models/autoencoder.js';
import { MOBILEFACENET_STAGES } from '../src/models/mobilefacenet.js';
import { SPHERE20_STAGES } from '../src/models/sphere20.js';

/** A convolution of one picture. `input` is what a conv reads and a transposed conv writes. */
export interface ConvLayer extends Omit<ConvShape, 'batch'> {
  type: 'conv' | 'convTranspose';
}

/** A fully connected layer: [batch, inputs]·[inputs, outputs]. */
export interface LinearLayer {
  type: 'linear';
  inputs: number;
  outputs: number;
}

export type LayerShape = ConvLayer | LinearLayer;

/** A layer's shape, and how often it occurs in each network. */
export interface BenchLayer {
  name: string;
  shape: LayerShape;
  counts: Record<string, number>;
}

/** Options of `conv`: kernel 3, stride 1, padding (kernel − 1)/2 and one group if left out. */
interface ConvOptions {
  kernel?: number | Pair;
  stride?: number;
  padding?: number;
  groups?: number;
}

/** A convolution with square stride and padding. */
export function conv(input: Pair, cin: number, cout: number, options: ConvOptions = {}): ConvLayer {
  const { stride = 1, groups = 1 } = options;
  const kernel: Pair = typeof options.kernel === 'object' ? options.kernel : [options.kernel ?? 3, options.kernel ?? 3];
  const padding = options.padding ?? Math.floor((kernel[0] - 1) / 2);
  const size = (axis: 0 | 1): number => Math.floor((input[axis] + 2 * padding - kernel[axis]) / stride) + 1;
  return {
    type: 'conv',
    input,
    output: [size(0), size(1)],
    cin,
    cout,
    kernel,
    stride: [stride, stride],
    padding: [padding, padding],
    dilation: [1, 1],
    groups,
  };
}

/** A transposed convolution with kernel 4, stride 2 and padding 1, which doubles the size. @param output size that it reads */
export function convTranspose(output: Pair, inputs: number, outputs: number): ConvLayer {
  const input: Pair = [2 * output[0], 2 * output[1]];
  return { ...conv(input, outputs, inputs, { kernel: 4, stride: 2, padding: 1 }), type: 'convTranspose' };
}

const halved = ([h, w]: Pair, times = 1): Pair => [h / 2 ** times, w / 2 ** times];

/** The autoencoder of `src/models/autoencoder.ts` in its default configuration. */
export function autoencoderLayers(): LayerShape[] {
  const { height, width, stages, latentChannels, residualBlocks } = DEFAULT_AUTOENCODER;
  const size: Pair = [height, width];
  const top = stages[stages.length - 1];
  const inner = halved(size, stages.length);
  const down = stages.map((channels, k) =>
    conv(halved(size, k), k === 0 ? 3 : stages[k - 1], channels, { kernel: k === 0 ? 5 : 3, stride: 2 }),
  );
  const blocks = Array.from({ length: 4 * residualBlocks }, () => conv(inner, top, top));
  const up = stages.map((_, k) => {
    const level = stages.length - k;
    return convTranspose(halved(size, level), stages[level - 1], level === 1 ? 3 : stages[level - 2]);
  });
  return [...down, conv(inner, top, latentChannels), conv(inner, latentChannels, top), ...blocks, ...up];
}

const FACE: Pair = [112, 96];

/** Sphere20 (Liu et al. 2017, arXiv 1704.08063, table 2): each stage is a stride-2 conv and residual units; a linear layer ends the network. */
export function sphere20Layers(): LayerShape[] {
  const convs = SPHERE20_STAGES.flatMap(([channels, units], k) => [
    conv(halved(FACE, k), k === 0 ? 3 : SPHERE20_STAGES[k - 1][0], channels, { stride: 2 }),
    ...Array.from({ length: 2 * units }, () => conv(halved(FACE, k + 1), channels, channels)),
  ]);
  const [h, w] = halved(FACE, SPHERE20_STAGES.length);
  return [...convs, { type: 'linear', inputs: h * w * 512, outputs: 512 }];
}

/** MobileFaceNet (Chen et al. 2018, arXiv 1804.07573, table 1) for faces of 112×96. */
export function mobileFaceNetLayers(): LayerShape[] {
  const depthwise = (size: Pair, channels: number, stride = 1): ConvLayer =>
    conv(size, channels, channels, { stride, groups: channels });
  const pointwise = (size: Pair, inputs: number, outputs: number): ConvLayer =>
    conv(size, inputs, outputs, { kernel: 1 });

  let size = halved(FACE);
  let channels = 64;
  const layers: LayerShape[] = [conv(FACE, 3, channels, { stride: 2 }), depthwise(size, channels)];
  for (const [expansion, outputs, repeats, firstStride] of MOBILEFACENET_STAGES) {
    for (let k = 0; k < repeats; k++) {
      const stride = k === 0 ? firstStride : 1;
      const inner = expansion * channels;
      layers.push(pointwise(size, channels, inner), depthwise(size, inner, stride));
      if (stride === 2) size = halved(size);
      layers.push(pointwise(size, inner, outputs));
      channels = outputs;
    }
  }
  layers.push(pointwise(size, channels, 512), conv(size, 512, 512, { kernel: size, padding: 0, groups: 512 }));
  return [...layers, pointwise([1, 1], 512, 128)];
}

/** Multiply-adds of one pass (forward or either gradient) for one picture. Taps on the padding count, too. */
export function layerMultiplyAdds(shape: LayerShape): number {
  if (shape.type === 'linear') return shape.inputs * shape.outputs;
  return convMultiplyAdds({ batch: 1, ...shape });
}

function layerName(shape: LayerShape): string {
  if (shape.type === 'linear') return `linear ${shape.inputs}→${shape.outputs}`;
  const { type, input, output, cin, cout, kernel, stride, groups } = shape;
  const [size, inputs, outputs] = type === 'conv' ? [input, cin, cout] : [output, cout, cin];
  const family = groups > 1 ? 'depthwise' : type === 'conv' ? 'conv' : 'transposed';
  const step = stride[0] > 1 ? `/${stride[0]}` : '';
  const channels = groups > 1 ? `${inputs}` : `${inputs}→${outputs}`;
  return `${family} ${kernel[0]}×${kernel[1]}${step} ${channels} @${size[0]}×${size[1]}`;
}

/** The layers of all three networks in their order; layers of equal shape are one entry. */
export function benchLayers(): BenchLayer[] {
  const networks: Record<string, LayerShape[]> = {
    autoencoder: autoencoderLayers(),
    sphere20: sphere20Layers(),
    mobilefacenet: mobileFaceNetLayers(),
  };
  const layers = new Map<string, BenchLayer>();
  for (const [network, shapes] of Object.entries(networks)) {
    for (const shape of shapes) {
      const key = JSON.stringify(shape);
      const layer = layers.get(key) ?? { name: layerName(shape), shape, counts: {} };
      layer.counts[network] = (layer.counts[network] ?? 0) + 1;
      layers.set(key, layer);
    }
  }
  return [...layers.values()];
}

/** [height, width, channels] of what batch norms and PReLUs work on: the output of each stage of convolutions. */
export function normShapes(): [number, number, number][] {
  const stages = (size: Pair, channels: readonly number[]): [number, number, number][] =>
    channels.map((count, k) => [...halved(size, k + 1), count]);
  const { height, width, stages: codec } = DEFAULT_AUTOENCODER;
  return [
    ...stages([height, width], codec),
    ...stages(
      FACE,
      SPHERE20_STAGES.map(([channels]) => channels),
    ),
  ];
}

/** Embedding size, and the number of identities of CASIA-WebFace, on which recognisers are often trained. */
export const COSFACE = { dim: 512, classes: 10_575 } as const;

import { add, mul, sub } from '../../ops/binary.js';
import { equal, logicalAnd, where } from '../../ops/compare.js';
import { max } from '../../ops/fold.js';
import { gather } from '../../ops/indexing/indexing.js';
import { concat, pad, reshape, slice } from '../../ops/layout.js';
import { matmul } from '../../ops/matmul/matmul.js';
import { softmax } from '../../ops/row-softmax.js';
import { expand } from '../../ops/strided.js';
import { transpose } from '../../ops/transpose.js';
import { affine, sigmoid, tanh } from '../../ops/unary.js';
import { Tensor } from '../../tensor/tensor.js';
import type { Context, OperatorTable } from '../operator.js';
import { GpuValue, HostValue, type Value } from '../values.js';

/** [B, S, heads·D] as [B, heads, S, D]; four axes stay. */
function toHeads(c: Context, x: Tensor, heads: number): Tensor {
  if (x.shape.length === 4) return x;
  const [batch, length, size] = x.shape;
  if (!(heads >= 1) || size % heads !== 0) c.misfit(`${heads} heads of [${x.shape}]`);
  return transpose(reshape(x, [batch, length, heads, size / heads]), [0, 2, 1, 3]);
}

/** [B, heads, S, D] as [B, S, heads·D]. */
function fromHeads(x: Tensor): Tensor {
  const [batch, heads, length, size] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]);
}

/** Each head of keys or values as many times as queries share it. */
function shared(c: Context, x: Tensor, heads: number): Tensor {
  const [batch, own, length, size] = x.shape;
  if (own === heads) return x;
  if (heads % own !== 0) c.misfit(`${heads} heads of queries, ${own} of keys`);
  return reshape(expand(reshape(x, [batch, own, 1, length, size]), [batch, own, heads / own, length, size]), [
    batch,
    heads,
    length,
    size,
  ]);
}

/** Which keys each query may see by its place: null if all. [batch or 1, 1, queries, keys] */
function seen(c: Context, queries: number, keys: number, past: number): Tensor<'bool'> | null {
  const lengths = c.has(6) ? c.hostInts(6)! : null;
  const causal = c.int('is_causal', 0) !== 0;
  const [left, right] = [c.int('left_window_size', -1), c.int('right_window_size', -1)];
  if (!lengths && !causal && left < 0 && right < 0) return null;
  const shape = [lengths?.length ?? 1, 1, queries, keys];
  const mask = HostValue.of('bool', shape, (i) => {
    const key = i % keys;
    const length = lengths?.[Math.floor(i / (queries * keys))];
    const place = (Math.floor(i / keys) % queries) + (length === undefined ? past : length - queries);
    const inside = (left < 0 || key >= place - left) && (right < 0 || key <= place + right);
    return Number(inside && (!causal || key <= place) && (length === undefined || key < length));
  });
  return mask.upload(c.gpu) as Tensor<'bool'>;
}

/** The mask of input 3 for all keys: those behind its end are not seen. */
function givenMask(c: Context, keys: number): { mask?: Tensor<'bool'>; bias?: Tensor } {
  if (!c.has(3)) return {};
  const given = c.x(3);
  const { shape } = given;
  const missing = shape.length > 0 ? keys - shape[shape.length - 1] : 0;
  const sides = (count: number): number[] => shape.map((_, k) => (k === shape.length - 1 ? count : 0));
  const long = shape[shape.length - 1] !== 1 && missing > 0 ? pad(given, sides(0), sides(missing)) : given;
  if ((long.dtype as string) === 'bool') return { mask: long as unknown as Tensor<'bool'> };
  if (long === given) return { bias: long };
  const mask = HostValue.of('bool', [keys], (k) => Number(k < keys - missing)).upload(c.gpu) as Tensor<'bool'>;
  return { mask, bias: long };
}

function attention(c: Context): Value[] {
  const flat = c.rank === 3;
  const q = toHeads(c, c.x(0), c.int('q_num_heads', 0));
  let [k, v] = [1, 2].map((n) => toHeads(c, c.x(n), c.int('kv_num_heads', 0)));
  const past = c.has(4) ? c.shape(4)[2] : 0;
  if (past > 0) [k, v] = [concat([c.x(4), k], 2), concat([c.x(5), v], 2)];
  const [, heads, queries, size] = q.shape;
  const keys = k.shape[2];
  const scale = c.float('scale', 0) || 1 / Math.sqrt(size);
  const stages: Tensor[] = [matmul(affine(q, scale), transpose(shared(c, k, heads), [0, 1, 3, 2]))];
  const cap = c.float('softcap', 0);
  stages.push(cap === 0 ? stages[0] : affine(tanh(affine(stages[0], 1 / cap)), cap));
  const { mask, bias } = givenMask(c, keys);
  const places = seen(c, queries, keys, past);
  const masks = [mask, places].filter((one) => one !== undefined && one !== null);
  const biased = bias ? add(stages[1], bias) : stages[1];
  const never = Tensor.from(c.gpu, [-Infinity], []);
  stages.push(
    masks.length > 0
      ? where(
          masks.reduce((a, b) => logicalAnd(a, b)),
          biased,
          never,
        )
      : biased,
  );
  stages.push(masks.length > 0 || bias ? maskedSoftmax(stages[2]) : softmax(stages[2]));
  const y = matmul(stages[3], shared(c, v, heads));
  const mode = c.int('qk_matmul_output_mode', 0);
  const shown = stages[mode] ?? c.unsupported(`qk_matmul_output_mode ${mode}`);
  return [flat ? fromHeads(y) : y, k, v, shown].map((x) => GpuValue.file(x));
}

/** Softmax in which a row of −∞ becomes zeros. */
function maskedSoftmax(x: Tensor): Tensor {
  const none = equal(max(x, [-1], true), Tensor.from(x.gpu, [-Infinity], []));
  return where(none, 0, softmax(where(none, 0, x)));
}

/** Rotates pairs of features: [x1·cos − x2·sin, x1·sin + x2·cos]. Su et al. 2021, arXiv 2104.09864. */
function rotary(c: Context): Value {
  const flat = c.rank === 3;
  const x = flat ? toHeads(c, c.x(0), c.int('num_heads', 0)) : c.x(0);
  const [batch, heads, length, size] = x.shape;
  const turned = c.int('rotary_embedding_dim', 0) || size;
  const half = turned / 2;
  const [cos, sin] = [1, 2].map((k) => {
    const cache = c.has(3) ? gather(c.x(k), c.x(3) as never) : c.x(k);
    if (cache.shape[cache.shape.length - 1] !== half) c.misfit(`a cache [${cache.shape}] for ${turned} features`);
    return reshape(cache, [cache.shape[0], 1, length, half]);
  });
  const part = (first: number, count: number): Tensor => slice(x, [0, 0, 0, first], [batch, heads, length, count]);
  const head = part(0, turned);
  const interleaved = c.int('interleaved', 0) !== 0;
  const pairs = interleaved ? reshape(head, [batch, heads, length, half, 2]) : null;
  const member = (k: number): Tensor =>
    pairs
      ? reshape(slice(pairs, [0, 0, 0, 0, k], [batch, heads, length, half, 1]), [batch, heads, length, half])
      : part(k * half, half);
  const [a, b] = [member(0), member(1)];
  const both = [sub(mul(a, cos), mul(b, sin)), add(mul(a, sin), mul(b, cos))];
  const apart = both.map((one) => reshape(one, [batch, heads, length, half, 1]));
  const rotated = interleaved ? reshape(concat(apart, 4), [batch, heads, length, turned]) : concat(both, 3);
  const y = turned === size ? rotated : concat([rotated, part(turned, size - turned)], 3);
  return GpuValue.file(flat ? fromHeads(y) : y);
}

export const attentionOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Attention: {
    inputs: [3, 7],
    outputs: 4,
    attributes:
      'is_causal kv_num_heads left_window_size q_num_heads qk_matmul_output_mode right_window_size scale softcap softmax_precision',
    hostFrom: 6,
    run: attention,
  },
  RotaryEmbedding: { inputs: [3, 4], attributes: 'interleaved num_heads rotary_embedding_dim', run: rotary },
  SwiGLU: {
    inputs: [2, 2],
    attributes: 'alpha',
    run: (c) => {
      const a = c.x(0);
      return GpuValue.file(mul(mul(a, sigmoid(affine(a, c.float('alpha', 1)))), c.x(1)));
    },
  },
}))();

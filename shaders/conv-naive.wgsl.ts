import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { BLOCK } from './common/blocks.js';
import type { ConvShape } from './common/conv-geometry.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** The numbers of a convolution as WGSL constants. */
function constants({ batch, input, output, cin, cout, kernel, stride, padding, dilation, groups }: ConvShape): string {
  return `
const N = ${batch};
const H = ${input[0]};
const W = ${input[1]};
const CI = ${cin};
const HO = ${output[0]};
const WO = ${output[1]};
const CO = ${cout};
const KH = ${kernel[0]};
const KW = ${kernel[1]};
const STRIDE_H = ${stride[0]};
const STRIDE_W = ${stride[1]};
const TOP = ${padding[0]};
const LEFT = ${padding[1]};
const DILATION_H = ${dilation[0]};
const DILATION_W = ${dilation[1]};
const GROUP_CI = ${cin / groups}; // channels of a group
const GROUP_CO = ${cout / groups};
const BLOCK = ${BLOCK}; // numbers that are added one after the other, before their sum goes to the next level's`;
}

/** One thread an output, all attributes, groups included. Bindings: input, weights, output (written). */
export function convForwardNaiveShader(shape: ConvShape): Shader {
  return shader(
    { input: read('f32'), weights: read('f32'), output: write('f32') },
    (declarations) => wgsl`
${constants(shape)}
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(N * HO * WO * CO)) { return; }
  let co = i32(i) % CO;
  let ow = (i32(i) / CO) % WO;
  let oh = (i32(i) / (CO * WO)) % HO;
  let n = i32(i) / (CO * WO * HO);
  let firstChannel = (co / GROUP_CO) * GROUP_CI;
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let taps = min(vec2i(KH, KW), vec2i(i32(arrayLength(&weights))));
  let channels = min(GROUP_CI, i32(arrayLength(&weights)));
  var sum = 0.0;
  for (var kh = 0; kh < taps.x; kh++) {
    let h = oh * STRIDE_H - TOP + kh * DILATION_H;
    if (h < 0 || h >= H) { continue; }
    var row = 0.0;
    for (var kw = 0; kw < taps.y; kw++) {
      let w = ow * STRIDE_W - LEFT + kw * DILATION_W;
      if (w < 0 || w >= W) { continue; }
      let source = ((n * H + h) * W + w) * CI + firstChannel;
      let tap = (kh * KW + kw) * GROUP_CI * CO + co;
      for (var c0 = 0; c0 < channels; c0 += BLOCK) {
        var block = 0.0;
        for (var c = c0; c < min(c0 + BLOCK, channels); c++) {
          block = fma(input[source + c], weights[tap + c * CO], block);
        }
        row += block;
      }
    }
    sum += row;
  }
  output[i] = sum;
}`,
  );
}

/** One thread an element of the input's gradient. Bindings: output (its gradient), weights, input (written). */
export function convInputGradientNaiveShader(shape: ConvShape): Shader {
  return shader(
    { output: read('f32'), weights: read('f32'), input: write('f32') },
    (declarations) => wgsl`
${constants(shape)}
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(N * H * W * CI)) { return; }
  let ci = i32(i) % CI;
  let w = (i32(i) / CI) % W;
  let h = (i32(i) / (CI * W)) % H;
  let n = i32(i) / (CI * W * H);
  let firstOutput = (ci / GROUP_CI) * GROUP_CO;
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let taps = min(vec2i(KH, KW), vec2i(i32(arrayLength(&weights))));
  let channels = min(GROUP_CO, i32(arrayLength(&weights)));
  var sum = 0.0;
  for (var kh = 0; kh < taps.x; kh++) {
    let scaledH = h + TOP - kh * DILATION_H;
    if (scaledH < 0 || scaledH % STRIDE_H != 0 || scaledH / STRIDE_H >= HO) { continue; }
    var row = 0.0;
    for (var kw = 0; kw < taps.y; kw++) {
      let scaledW = w + LEFT - kw * DILATION_W;
      if (scaledW < 0 || scaledW % STRIDE_W != 0 || scaledW / STRIDE_W >= WO) { continue; }
      let source = ((n * HO + scaledH / STRIDE_H) * WO + scaledW / STRIDE_W) * CO + firstOutput;
      let tap = ((kh * KW + kw) * GROUP_CI + ci % GROUP_CI) * CO + firstOutput;
      for (var c0 = 0; c0 < channels; c0 += BLOCK) {
        var block = 0.0;
        for (var c = c0; c < min(c0 + BLOCK, channels); c++) {
          block = fma(output[source + c], weights[tap + c], block);
        }
        row += block;
      }
    }
    sum += row;
  }
  input[i] = sum;
}`,
  );
}

/** One thread a weight. Bindings: input, output, gradient (written). */
export function convWeightGradientNaiveShader(shape: ConvShape): Shader {
  return shader(
    { input: read('f32'), output: read('f32'), gradient: write('f32') },
    (declarations) => wgsl`
${constants(shape)}
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(KH * KW * GROUP_CI * CO)) { return; }
  let co = i32(i) % CO;
  let c = (i32(i) / CO) % GROUP_CI;
  let kw = (i32(i) / (CO * GROUP_CI)) % KW;
  let kh = i32(i) / (CO * GROUP_CI * KW);
  let ci = (co / GROUP_CO) * GROUP_CI + c;
  // Hidden trip counts, as above. The output has at least as many elements as each of its extents.
  let counts = min(vec3i(N, HO, WO), vec3i(i32(arrayLength(&output))));
  var total = 0.0;
  for (var n = 0; n < counts.x; n++) {
    var picture = 0.0;
    for (var oh = 0; oh < counts.y; oh++) {
      let h = oh * STRIDE_H - TOP + kh * DILATION_H;
      if (h < 0 || h >= H) { continue; }
      var row = 0.0;
      for (var ow0 = 0; ow0 < counts.z; ow0 += BLOCK) {
        var block = 0.0;
        for (var ow = ow0; ow < min(ow0 + BLOCK, counts.z); ow++) {
          let w = ow * STRIDE_W - LEFT + kw * DILATION_W;
          if (w < 0 || w >= W) { continue; }
          block = fma(input[((n * H + h) * W + w) * CI + ci], output[((n * HO + oh) * WO + ow) * CO + co], block);
        }
        row += block;
      }
      picture += row;
    }
    total += picture;
  }
  gradient[i] = total;
}`,
  );
}

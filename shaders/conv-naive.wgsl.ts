import type { ConvShape } from '../src/common/conv-geometry.js';
import { f32Bindings, linearMain } from './common/linear-index.js';

/** The numbers of a convolution as WGSL constants. */
function constants(shape: ConvShape): string {
  const { batch, big, small, cin, cout, kernel, stride, padding, dilation, groups } = shape;
  const values = {
    N: batch,
    H: big[0],
    W: big[1],
    CI: cin,
    HO: small[0],
    WO: small[1],
    CO: cout,
    KH: kernel[0],
    KW: kernel[1],
    SH: stride[0],
    SW: stride[1],
    PT: padding[0],
    PL: padding[1],
    DH: dilation[0],
    DW: dilation[1],
    CIG: cin / groups,
    COG: cout / groups,
  };
  return Object.entries(values)
    .map(([name, value]) => `const ${name}: i32 = ${value};`)
    .join('\n');
}

/** One thread an output, all attributes, groups included. Bindings: big, weights, small (written). */
export function convForwardNaiveShader(shape: ConvShape): string {
  return `
${constants(shape)}
${f32Bindings(['big', 'r'], ['weights', 'r'], ['small', 'w'])}
${linearMain('u32(N * HO * WO * CO)')}
  let co = i32(i) % CO;
  let ow = (i32(i) / CO) % WO;
  let oh = (i32(i) / (CO * WO)) % HO;
  let n = i32(i) / (CO * WO * HO);
  let firstChannel = (co / COG) * CIG;
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let taps = min(vec2i(KH, KW), vec2i(i32(arrayLength(&weights))));
  let channels = min(CIG, i32(arrayLength(&weights)));
  var sum = 0.0;
  for (var kh = 0; kh < taps.x; kh++) {
    let h = oh * SH - PT + kh * DH;
    if (h < 0 || h >= H) { continue; }
    for (var kw = 0; kw < taps.y; kw++) {
      let w = ow * SW - PL + kw * DW;
      if (w < 0 || w >= W) { continue; }
      let source = ((n * H + h) * W + w) * CI + firstChannel;
      let tap = (kh * KW + kw) * CIG * CO + co;
      for (var c = 0; c < channels; c++) { sum = fma(big[source + c], weights[tap + c * CO], sum); }
    }
  }
  small[i] = sum;
}`;
}

/** One thread an element of big. Bindings: small, weights, big (written). */
export function convInputGradientNaiveShader(shape: ConvShape): string {
  return `
${constants(shape)}
${f32Bindings(['small', 'r'], ['weights', 'r'], ['big', 'w'])}
${linearMain('u32(N * H * W * CI)')}
  let ci = i32(i) % CI;
  let w = (i32(i) / CI) % W;
  let h = (i32(i) / (CI * W)) % H;
  let n = i32(i) / (CI * W * H);
  let firstOutput = (ci / CIG) * COG;
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let taps = min(vec2i(KH, KW), vec2i(i32(arrayLength(&weights))));
  let channels = min(COG, i32(arrayLength(&weights)));
  var sum = 0.0;
  for (var kh = 0; kh < taps.x; kh++) {
    let scaledH = h + PT - kh * DH;
    if (scaledH < 0 || scaledH % SH != 0 || scaledH / SH >= HO) { continue; }
    for (var kw = 0; kw < taps.y; kw++) {
      let scaledW = w + PL - kw * DW;
      if (scaledW < 0 || scaledW % SW != 0 || scaledW / SW >= WO) { continue; }
      let source = ((n * HO + scaledH / SH) * WO + scaledW / SW) * CO + firstOutput;
      let tap = ((kh * KW + kw) * CIG + ci % CIG) * CO + firstOutput;
      for (var c = 0; c < channels; c++) { sum = fma(small[source + c], weights[tap + c], sum); }
    }
  }
  big[i] = sum;
}`;
}

/** One thread a weight. Bindings: big, small, gradient (written). */
export function convWeightGradientNaiveShader(shape: ConvShape): string {
  return `
${constants(shape)}
${f32Bindings(['big', 'r'], ['small', 'r'], ['gradient', 'w'])}
${linearMain('u32(KH * KW * CIG * CO)')}
  let co = i32(i) % CO;
  let c = (i32(i) / CO) % CIG;
  let kw = (i32(i) / (CO * CIG)) % KW;
  let kh = i32(i) / (CO * CIG * KW);
  let ci = (co / COG) * CIG + c;
  // Hidden trip counts, as above. Small has at least as many elements as each of its extents.
  let counts = min(vec3i(N, HO, WO), vec3i(i32(arrayLength(&small))));
  var total = 0.0;
  for (var n = 0; n < counts.x; n++) {
    for (var oh = 0; oh < counts.y; oh++) {
      let h = oh * SH - PT + kh * DH;
      if (h < 0 || h >= H) { continue; }
      var row = 0.0; // a sum of row sums: float32 loses less than in one long sum
      for (var ow = 0; ow < counts.z; ow++) {
        let w = ow * SW - PL + kw * DW;
        if (w < 0 || w >= W) { continue; }
        row = fma(big[((n * H + h) * W + w) * CI + ci], small[((n * HO + oh) * WO + ow) * CO + co], row);
      }
      total += row;
    }
  }
  gradient[i] = total;
}`;
}

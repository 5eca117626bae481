import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/*
 * Kernels on a picture of packed pixels (red in the lowest byte of a u32, then green and blue) and its halved copies, which
 * all lie in one buffer. Beyond its border a picture is black.
 */

/** Sizes in [columns, rows], and the indices of the first pixels; threads: pixels of the halved copy. */
export const halvePlan = /* @__PURE__ */ uniform({
  sourceSize: 'vec2u',
  halfSize: 'vec2u',
  sourceFirst: 'u32',
  halfFirst: 'u32',
  threads: 'u32',
});

/** Writes means of 2×2 pixels. Bindings: pixels, plan. */
export function halvePictureShader(): Shader {
  return shader(
    { pixels: write('u32'), plan: halvePlan },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let begin = 2u * vec2u(i % plan.halfSize.x, i / plan.halfSize.x);
  let end = min(begin + 2u, plan.sourceSize);
  var sum = vec4f();
  for (var y = begin.y; y < end.y; y++) {
    for (var x = begin.x; x < end.x; x++) { sum += unpack4x8unorm(pixels[plan.sourceFirst + y * plan.sourceSize.x + x]); }
  }
  pixels[plan.halfFirst + i] = pack4x8unorm(0.25 * sum);
}`,
  );
}

/** size: [columns, rows] of a crop; threads: pixels of all crops. */
export const cropPlan = /* @__PURE__ */ uniform({ size: 'vec2u', threads: 'u32' });

/**
 * Crops, from a copy of the picture each: an output pixel is the mean over a square of `step` pixels of the copy, and of at least
 * one, which is bilinear interpolation. A row of `windows` holds left, top (0 is the border of the first pixel), step,
 * the index of the copy's first pixel, its width and its height. Where the step is below 0, the crop begins on its right side, and is the mirror
 * image. Values are (byte − 127.5)/128.
 * Bindings: pixels, windows [N,6], crops [N,rows,columns,3], plan.
 */
export function cropPictureShader(): Shader {
  return shader(
    { pixels: read('u32'), windows: read('f32'), crops: write('f32'), plan: cropPlan },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let pixel = i % (plan.size.x * plan.size.y);
  let row = 6u * (i / (plan.size.x * plan.size.y));
  let step = vec2f(windows[row + 2u], abs(windows[row + 2u]));
  let size = vec2f(windows[row + 4u], windows[row + 5u]);
  let at = vec2f(vec2u(pixel % plan.size.x, pixel / plan.size.x)) + 0.5;
  let centre = vec2f(windows[row], windows[row + 1u]) + at * step;
  let half = 0.5 * max(step.y, 1.0);
  let low = clamp(centre - half, vec2f(), size);
  let high = clamp(centre + half, vec2f(), size);
  let first = u32(windows[row + 3u]);
  let width = u32(size.x);
  let begin = vec2u(low);
  let end = vec2u(ceil(high));
  var sum = vec3f();
  for (var y = begin.y; y < end.y; y++) {
    var ofRow = vec3f();
    for (var x = begin.x; x < end.x; x++) {
      let part = min(high.x, f32(x + 1u)) - max(low.x, f32(x));
      ofRow += part * unpack4x8unorm(pixels[first + y * width + x]).rgb;
    }
    sum += (min(high.y, f32(y + 1u)) - max(low.y, f32(y))) * ofRow;
  }
  let value = sum * (255.0 / 128.0 / (4.0 * half * half)) - 127.5 / 128.0;
  crops[3u * i] = value.x;
  crops[3u * i + 1u] = value.y;
  crops[3u * i + 2u] = value.z;
}`,
  );
}

const N = 4;
const H = 28;
const W = 24;
const CI = 64;
const HO = 28;
const WO = 24;
const CO = 64;
const KH = 3;
const KW = 3;
const STRIDE_H = 1;
const STRIDE_W = 1;
const TOP = 1;
const LEFT = 1;
const DILATION_H = 1;
const DILATION_W = 1;
const GROUP_CI = 64; // channels of a group
const GROUP_CO = 64;
const BLOCK = 256; // numbers that are added one after the other, before their sum goes to the next level's
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid;
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
}

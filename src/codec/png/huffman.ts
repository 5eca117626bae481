/** More than any alphabet here has symbols. */
const INDEX_RANGE = 512;

// Thousands of codes are tried for one file, so their memory is taken once.
const keyRoom = /* @__PURE__ */ new Float64Array(INDEX_RANGE);
const weightRoom = /* @__PURE__ */ new Float64Array(2 * INDEX_RANGE);
const parentRoom = /* @__PURE__ */ new Uint16Array(2 * INDEX_RANGE);
const depthRoom = /* @__PURE__ */ new Uint16Array(2 * INDEX_RANGE);
const perLengthRoom = /* @__PURE__ */ new Int32Array(17);

/**
 * Lengths of a Huffman code for these integer counts (at most 512), none above `maxBits`; a count of 0 gets length 0 (no code).
 * A single used symbol gets length 1. Huffman 1952; where the tree is too deep, its longest codes are shortened and
 * the Kraft sum is repaired by lengthening the next shorter ones. Ties go by index, so the result is deterministic.
 */
export function huffmanLengths(counts: ArrayLike<number>, maxBits: number): Uint8Array {
  const lengths = new Uint8Array(counts.length);
  // Count and index in one number, since typed arrays of numbers sort many times faster than by a comparison.
  let n = 0;
  for (let s = 0; s < counts.length; s++) if (counts[s] > 0) keyRoom[n++] = counts[s] * INDEX_RANGE + s;
  const used = keyRoom.subarray(0, n).sort();
  if (n <= 1) {
    if (n === 1) lengths[used[0] % INDEX_RANGE] = 1;
    return lengths;
  }

  // Leaves and inner nodes each come out in increasing weight, so two queues replace a heap.
  const [weight, parent, depth] = [weightRoom, parentRoom, depthRoom];
  for (let i = 0; i < n; i++) weight[i] = Math.floor(used[i] / INDEX_RANGE);
  let leaf = 0;
  let inner = n;
  for (let node = n; node < 2 * n - 1; node++) {
    weight[node] = 0;
    for (let child = 0; child < 2; child++) {
      const takeLeaf = leaf < n && (inner >= node || weight[leaf] <= weight[inner]);
      const taken = takeLeaf ? leaf++ : inner++;
      weight[node] += weight[taken];
      parent[taken] = node;
    }
  }
  depth[2 * n - 2] = 0;
  const perLength = perLengthRoom.fill(0);
  for (let node = 2 * n - 3; node >= 0; node--) {
    depth[node] = depth[parent[node]] + 1;
    if (node < n) perLength[Math.min(depth[node], maxBits)]++;
  }
  repairKraft(perLength, maxBits);
  let next = 0;
  for (let bits = maxBits; bits > 0; bits--) {
    for (let k = perLength[bits]; k > 0; k--) lengths[used[next++] % INDEX_RANGE] = bits;
  }
  return lengths;
}

/** Makes Σ 2^−length equal 1 again after lengths above the limit were cut to it. */
function repairKraft(perLength: Int32Array, maxBits: number): void {
  let total = 0;
  for (let bits = 1; bits <= maxBits; bits++) total += perLength[bits] * (1 << (maxBits - bits));
  for (; total > 1 << maxBits; total--) {
    perLength[maxBits]--;
    let bits = maxBits - 1;
    while (perLength[bits] === 0) bits--;
    perLength[bits]--;
    perLength[bits + 1] += 2;
  }
}

/** Canonical codes of RFC 1951, section 3.2.2, with the bits reversed as deflate writes them. */
export function huffmanCodes(lengths: ArrayLike<number>): Uint16Array {
  const perLength = new Int32Array(17);
  for (let s = 0; s < lengths.length; s++) perLength[lengths[s]]++;
  perLength[0] = 0;
  const next = new Int32Array(17);
  for (let bits = 1; bits <= 16; bits++) next[bits] = (next[bits - 1] + perLength[bits - 1]) << 1;
  const codes = new Uint16Array(lengths.length);
  for (let s = 0; s < lengths.length; s++) {
    let code = lengths[s] > 0 ? next[lengths[s]]++ : 0;
    for (let k = 0; k < lengths[s]; k++) {
      codes[s] = (codes[s] << 1) | (code & 1);
      code >>= 1;
    }
  }
  return codes;
}

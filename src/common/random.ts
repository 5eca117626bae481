import { ArgumentError } from './errors.js';

/** Threefry's rotation distances for 2×32 bits, and the constant of its key schedule. */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;
const ROUNDS = 20;

/**
 * Threefry-2x32 with 20 rounds: a keyed bijection of 64-bit counters whose outputs pass as random numbers.
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. All words are unsigned
 * 32-bit integers; arithmetic is exact, so every device yields the same words.
 */
export function threefry2x32(key0: number, key1: number, ctr0: number, ctr1: number): [number, number] {
  const key = [key0, key1, PARITY ^ key0 ^ key1];
  let x0 = (ctr0 + key0) | 0;
  let x1 = (ctr1 + key1) | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const rotation = ROTATIONS[round % 8];
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + key[injection % 3]) | 0;
      x1 = (x1 + key[(injection + 1) % 3] + injection) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** A 32-bit word as a number in [0, 1): its top 24 bits, so that float32 holds the result exactly. */
export function uniform01(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

/** The noise in [−½, ½) that `quantize` adds to the element of the given flat index. */
export function quantizationNoise(seed: number, stream: number, element: number): number {
  return uniform01(threefry2x32(seed, stream, element, 0)[0]) - 0.5;
}

/** The whole state of a CounterRandom; plain JSON. */
export interface CounterRandomState {
  seed: number;
  stream: number;
  /** 32-bit words drawn so far. */
  counter: number;
}

/**
 * A sequence of random numbers whose whole state is a count of the words drawn: to resume, store `state()`.
 * Sequences of different seeds or streams are independent.
 */
export class CounterRandom {
  readonly seed: number;
  readonly stream: number;
  #counter = 0;

  /**
   * @param seed unsigned 32-bit integer
   * @param stream unsigned 32-bit integer; one for each independent use of a seed
   * @param counter 32-bit words to skip
   * @throws ArgumentError
   */
  constructor(seed: number, stream = 0, counter = 0) {
    this.seed = checkInteger('seed', seed, 0xffffffff);
    this.stream = checkInteger('stream', stream, 0xffffffff);
    this.#counter = checkInteger('counter', counter, Number.MAX_SAFE_INTEGER);
  }

  /** @throws ArgumentError for a state whose numbers are out of range */
  static fromState(state: CounterRandomState): CounterRandom {
    return new CounterRandom(state.seed, state.stream, state.counter);
  }

  state(): CounterRandomState {
    return { seed: this.seed, stream: this.stream, counter: this.#counter };
  }

  /** Next 32-bit word. */
  word(): number {
    const block = Math.floor(this.#counter / 2);
    // The top bit keeps these counters apart from those of quantization noise, which have a zero high word.
    const high = 0x80000000 + Math.floor(block / 2 ** 32);
    const words = threefry2x32(this.seed, this.stream, block >>> 0, high >>> 0);
    return words[this.#counter++ % 2];
  }

  /** Uniform in [0, 1), a multiple of 2⁻²⁴. */
  uniform(): number {
    return uniform01(this.word());
  }

  /** Standard normal by the Box–Muller transform; draws two words, so that no spare value has to be stored. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /**
   * Uniform integer in [0, n), without bias.
   * @throws ArgumentError unless n is an integer in [1, 2³²]
   */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new ArgumentError(`CounterRandom.int: n is ${n}; expected an integer from 1 to 2^32`);
    }
    const limit = 2 ** 32 - (2 ** 32 % n);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % n;
  }

  /** Shuffles in place (Fisher–Yates) and returns the array. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const kept = items[i];
      items[i] = items[j];
      items[j] = kept;
    }
    return items;
  }
}

/** `count` numbers, uniform in [−½, ½), the same for a seed on every machine: operands for measurements and checks. */
export function centredUniform(count: number, seed: number): Float32Array {
  const random = new CounterRandom(seed);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = random.uniform() - 0.5;
  return values;
}

function checkInteger(name: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new ArgumentError(`CounterRandom: ${name} is ${value}; expected an integer from 0 to ${max}`);
  }
  return value;
}

import { ArgumentError } from '../../src/common/errors.js';
import type { Shader } from '../../src/common/shader.js';

/*
 * What a kernel binds, said once: from it come the lines of WGSL, the letters and the least sizes that `src/gpu` lays out
 * bind groups by, and the bytes of the uniform.
 */

/** A number of a uniform. */
export type NumberType = 'f32' | 'i32' | 'u32';
/** A field of a uniform: a number, or a vector of 2 to 4. */
export type FieldType = NumberType | `vec${2 | 3 | 4}${'f' | 'i' | 'u'}`;

/** An array or a uniform that a kernel binds. */
export interface Binding {
  /** As in the letters of a `Shader`. */
  readonly letter: 'r' | 'w' | 'u';
  /** Bytes that it has at least: of one element, or of the whole uniform. */
  readonly size: number;
  /** WGSL: address space and access, the type, and a line that declares the type where WGSL does not know it. */
  readonly space: string;
  readonly type: string;
  readonly struct?: string;
}

/** An array that the kernel reads. @param element a number or a vector, and no alias, whose size nobody knows here */
export const read = (element: string): Binding => ({
  letter: 'r',
  size: alignOf(element),
  space: 'storage, read',
  type: `array<${element}>`,
});

/** An array that the kernel writes, and may read. */
export const write = (element: string): Binding => ({ ...read(element), letter: 'w', space: 'storage, read_write' });

/** WGSL of the type of `width` adjacent numbers, which one load brings. */
export const vectorType = (width: 1 | 2 | 4, of: NumberType = 'f32'): string =>
  width === 1 ? of : `vec${width}${of[0]}`;

type Fields = Readonly<Record<string, FieldType>>;

/** A value for each field: a number, or the numbers of a vector. */
export type FieldValues<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends NumberType ? number : readonly number[];
};

/** The uniform of a kernel: the numbers that change from call to call, in a struct `Plan`. */
export interface Uniform<F extends Fields = Fields> extends Binding {
  /**
   * The bytes of the uniform.
   * @throws ArgumentError for a field that is missing or that there is none of, or of another number of components
   */
  pack(values: FieldValues<F>): ArrayBuffer;
}

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

/** Components of a vector (`vec4f`), or 1 of a number (`f32`). */
const componentsOf = (type: string): number => Number(type[3]) || 1;

/** What the address of a number or vector is a multiple of, and how far apart those of an array are. */
function alignOf(type: string): number {
  const count = componentsOf(type);
  return (count === 3 ? 4 : count) * (type.includes('16') ? 2 : 4);
}

/** A uniform of these fields, which lie in this order, each where WGSL aligns its type. */
export function uniform<const F extends Fields>(fields: F): Uniform<F> {
  let end = 0;
  let unit = 4;
  let struct = 'struct Plan {';
  const layout: [name: string, at: number, count: number, float: boolean][] = [];
  for (const name in fields) {
    const type = fields[name];
    const align = alignOf(type);
    const at = roundUp(end, align);
    const count = componentsOf(type);
    layout.push([name, at / 4, count, type.includes('f')]);
    end = at + 4 * count;
    unit = Math.max(unit, align);
    struct += ` ${name}: ${type},`;
  }
  const size = roundUp(end, unit);
  return {
    letter: 'u',
    size,
    space: 'uniform',
    type: 'Plan',
    struct: `${struct} }\n`,
    pack(values) {
      const bytes = new ArrayBuffer(size);
      const [floats, integers] = [new Float32Array(bytes), new Uint32Array(bytes)];
      const given: Partial<Record<string, number | readonly number[]>> = values;
      // Every dispatch packs a uniform, so this must be quick: no lists for single numbers.
      for (const [name, at, count, float] of layout) {
        const words = float ? floats : integers;
        const value = given[name] ?? [];
        const numbers = typeof value === 'number' ? 1 : value.length;
        if (numbers !== count) throw new ArgumentError(`the uniform takes ${count} numbers as ${name}`);
        if (typeof value === 'number') words[at] = value;
        else words.set(value, at);
      }
      for (const name in given)
        if (!(name in fields)) throw new ArgumentError(`the uniform takes no numbers as ${name}`);
      return bytes;
    },
  };
}

/** What a kernel binds as 0, 1, … in this order, by their names; what is false is left out. The uniform comes last. */
export type Bindings = Readonly<Record<string, Binding | false>>;

/**
 * A shader, from what it binds.
 *
 * @example
 * const plan = uniform({ rows: 'u32', scale: 'f32' });
 * return shader({ xs: read('vec4f'), ys: write('vec4f'), plan }, (declarations) => wgsl`${declarations} …`);
 *
 * @param text the WGSL, given the lines that declare the bindings
 */
export function shader(bindings: Bindings, text: (declarations: string) => string): Shader {
  let declarations = '';
  let letters = '';
  const bindingSizes: number[] = [];
  for (const name in bindings) {
    const binding = bindings[name];
    if (!binding) continue;
    const { struct = '', space, type, letter, size } = binding;
    declarations += `${struct}@group(0) @binding(${letters.length}) var<${space}> ${name}: ${type};\n`;
    letters += letter;
    bindingSizes.push(size);
  }
  return { wgsl: text(declarations), bindings: letters, bindingSizes };
}

import { writeFileSync } from 'node:fs';
import { gpuOps, type OpName } from '../../src/ops/registry.js';
import { gradientCases } from '../reference/reference-cases.js';
import { everyKernel, type KernelText, kernelsOfOp, nullDevice } from './every-kernel.js';
import { PRINTED, readable } from './printed-wgsl.js';

/*
 * npm run wgsl                           lists the names of all kernels
 * npm run wgsl -- "conv forward tiled"   prints the kernels with this in their names, as the device gets them
 * npm run wgsl -- conv2d 1,9,7,8 3,3,8,8 prints the kernels of an operation on inputs of these shapes, forward and backward
 * npm run wgsl -- --write                writes shaders/printed/ again
 */

const print = (kernels: readonly KernelText[]): void => {
  for (const { of, kernel } of kernels) {
    console.log(
      `// ${kernel.label}: ${of}\n// bindings ${kernel.bindings}, workgroups ${kernel.workgroups.join(' × ')}\n`,
    );
    console.log(readable(kernel.wgsl));
  }
};

const unique = (kernels: readonly KernelText[]): KernelText[] => [
  ...new Map(kernels.map((one) => [one.kernel.wgsl, one])).values(),
];

async function main([name, ...rest]: string[]): Promise<void> {
  if (name === '--write') {
    for (const [file, text] of Object.entries(PRINTED)) writeFileSync(`shaders/printed/${file}.wgsl`, readable(text()));
    return;
  }
  const device = await nullDevice();
  if (name !== undefined && name in gpuOps && rest.length > 0) {
    const example = gradientCases.find(({ op }) => op === name);
    const shapes = rest.map((text) => text.split(/[,x×]/).map(Number));
    if (!shapes.flat().every((size) => Number.isSafeInteger(size) && size > 0)) {
      throw new Error(`"${rest.join(' ')}" are no shapes such as 1,9,7,8`);
    }
    print(unique(await kernelsOfOp(device, name as OpName, shapes, example?.attrs as never, 'cpu', example?.dtypes)));
    return;
  }
  const all = await everyKernel(device);
  if (name === undefined) {
    const counts = new Map<string, number>();
    for (const { kernel } of all) counts.set(kernel.label, (counts.get(kernel.label) ?? 0) + 1);
    for (const [label, count] of [...counts].sort()) console.log(`${label} (${count})`);
    return;
  }
  const exact = all.filter(({ kernel }) => kernel.label === name);
  const found = exact.length > 0 ? exact : all.filter(({ kernel }) => kernel.label.includes(name));
  if (found.length === 0) throw new Error(`no kernel has "${name}" in its name; npm run wgsl lists them`);
  print(found.slice(0, 1));
  if (found.length > 1)
    console.error(`the first of ${found.length} kernels of that name; give an operation and shapes for others`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

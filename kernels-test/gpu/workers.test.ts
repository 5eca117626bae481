import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unpackSwiftShader } from '../../src/gpu/node/swiftshader.js';
import { builtFolder, temporaryFolder } from '../cli/cli-fixture.js';
import { THOROUGH } from '../helpers/thorough.js';

/*
 * Tests the GPU in Workers: on a machine without drivers, in several at once, and in Workers that end while the GPU works. Everything runs in
 * separate processes, with the built package. VK_LOADER_DRIVERS_DISABLE hides this machine's drivers from Vulkan's loader.
 */
// adapters: once
// time limit: 2 times

const folder = temporaryFolder();
const NO_DRIVERS = {
  CAMEO_ADAPTER: '',
  VK_LOADER_DRIVERS_DISABLE: '*lvp*,*intel*,*radeon*,*virtio*,*gfxstream*,*nvidia*,*nouveau*',
};

interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs a program that has `openGpu`, `matmul` and `Tensor` of the built engine, also in Workers that it starts with `start()`. */
function run(name: string, main: string, inWorker: string, env: NodeJS.ProcessEnv = NO_DRIVERS): Promise<Ending> {
  const path = join(folder, `${name}.mjs`);
  const at = (file: string): string => JSON.stringify(join(builtFolder(), file));
  writeFileSync(
    path,
    `import { isMainThread, parentPort, SHARE_ENV, Worker } from 'node:worker_threads';
     import { endWorker, openGpu } from ${at('node.js')};
     import { matmul, Tensor } from ${at('engine.js')};
     const start = (options) => new Worker(new URL(import.meta.url), options);
     const said = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
     const ended = (worker) => new Promise((resolve) => worker.once('exit', resolve));
     const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
     const sum = async (gpu) => {
       const a = Tensor.from(gpu, new Float32Array(64 * 64).fill(1), [64, 64]);
       return (await matmul(a, a).read())[5];
     };
     if (isMainThread) { ${main} } else { ${inWorker} }`,
  );
  const child = spawn(process.execPath, [path], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

const OPEN_AND_SUM = `
  const gpu = await openGpu();
  parentPort.postMessage(gpu.description.kind + ' ' + (await sum(gpu)));
  gpu.destroy();`;

const swiftShader = unpackSwiftShader() !== null;
const withSwiftShader = swiftShader ? test : test.skip;

withSwiftShader(
  'a machine without drivers: several Workers at once, of every kind of environment, and nothing is printed',
  async () => {
    const main = `
    const workers = [{}, {}, { env: SHARE_ENV }, { env: {} }].map((options) => start(options));
    console.log((await Promise.all(workers.map(said))).join());`;
    const { code, stdout, stderr } = await run('several', main, OPEN_AND_SUM);
    assert.is(stderr, '');
    assert.is(stdout.trim(), Array(4).fill('swiftshader 64').join());
    assert.is(code, 0);
  },
);

withSwiftShader(
  'a machine without drivers: a program with hundreds of open files, in the main thread and a Worker',
  async () => {
    const main = `
    const { openSync } = await import('node:fs');
    while (openSync('/dev/null') < 400);
    const worker = said(start({}));
    const gpu = await openGpu();
    console.log([await worker, await sum(gpu)].join());
    process.exit();`;
    const { code, stdout, stderr } = await run('files', main, OPEN_AND_SUM);
    assert.is(stderr, '');
    assert.is(stdout.trim(), 'swiftshader 64,64');
    assert.is(code, 0);
  },
);

withSwiftShader('a machine without drivers: the main thread, a Worker, and both again', async () => {
  const main = `
    const kinds = [];
    for (let round = 0; round < 2; round++) {
      const gpu = await openGpu();
      kinds.push(await sum(gpu), await said(start({})), await sum(gpu));
      gpu.destroy();
    }
    console.log(kinds.join());
    process.exit();`;
  const { code, stdout, stderr } = await run('both', main, OPEN_AND_SUM);
  assert.is(stderr, '');
  assert.is(stdout.trim(), Array(2).fill('64,swiftshader 64,64').join());
  assert.is(code, 0);
});

test('output to standard error during the search for adapters is not lost', async () => {
  const main = `
    const { writeSync } = await import('node:fs');
    const worker = start({});
    await said(worker);
    const exit = ended(worker);
    for (let i = 0; i < 200; i++) { writeSync(2, 'line ' + i + '\\n'); await sleep(1); }
    await exit;
    await sleep(100);`;
  const inWorker = "parentPort.postMessage('go'); for (let i = 0; i < 5; i++) (await openGpu()).destroy();";
  const { code, stderr } = await run('others', main, inWorker, {});
  const lines = stderr.trim().split('\n');
  for (let i = 0; i < 200; i++) assert.ok(lines.includes(`line ${i}`), `line ${i} is missing`);
  assert.is(lines.length, 200, stderr);
  assert.is(code, 0, stderr);
});

test('without any driver there is one error, with the messages of the drivers', async () => {
  const main = 'const error = await openGpu().catch((error) => error); console.log(error.name, error.message);';
  const { stdout, stderr } = await run('none', main, '', { VK_LOADER_DRIVERS_DISABLE: '*' });
  assert.is(stderr, '');
  assert.match(stdout, /^NoAdapterError no (usable WebGPU adapter|WebGPU adapter fits "\w+") \(found: none/);
});

/** The program of a Worker that multiplies matrices of size×size, `products` of them before each read. It sends `first` when it begins. */
const readForEver = (size: number, products: number, first = ''): string => `
  const gpu = await openGpu();
  const a = Tensor.zeros(gpu, [${size}, ${size}]);
  await matmul(a, a).read();
  parentPort.postMessage('go');
  ${first}
  for (;;) {
    const all = Array.from({ length: ${products} }, () => matmul(a, a));
    await gpu.endStep();
    await all.at(-1).read();
    for (const y of all) y.dispose();
  }`;
/** A Worker that hardly waits: it spends most of its time in calls of Dawn. */
const RECORD_FOR_EVER = readForEver(8, 1);

/**
 * A Worker that sends 'waits' at the first longer pause between two calls of Dawn; the pause then lasts as long as needed. A Worker
 * that is terminated within a call of Dawn aborts the process (docs/engine.md). In that pause there is no call, even if the
 * main thread gets the message late.
 */
const SAY_PAUSES = `
  const timer = globalThis.setTimeout;
  globalThis.setTimeout = (callback, ms, ...rest) => {
    if (ms < 15) return timer(callback, ms, ...rest);
    parentPort.postMessage('waits');
    return timer(callback, 3_600_000, ...rest);
  };`;

test('the process survives if a Worker is terminated while it waits for the GPU', async () => {
  // If the GPU is too fast to be waited for, the Worker is terminated while it sleeps.
  const main = `
    for (let round = 0; round < 4; round++) {
      const worker = start({});
      await said(worker);
      await worker.terminate();
    }
    console.log('alive');`;
  const inWorker = `
    const gpu = await openGpu();
    const a = Tensor.zeros(gpu, [512, 512]);
    await matmul(a, a).read();
    ${SAY_PAUSES}
    for (let products = 4; products <= 16; products *= 2) {
      const all = Array.from({ length: products }, () => matmul(a, a));
      await all.at(-1).read();
      for (const y of all) y.dispose();
    }
    timer(() => parentPort.postMessage('too quick'), 1000);
    setInterval(() => {}, 1000);`;
  const { code, signal, stdout, stderr } = await run('terminate', main, inWorker, {});
  assert.is(stdout.trim(), 'alive', stderr);
  assert.equal([code, signal], [0, null]);
});

test('endWorker ends a Worker at any time, also while it records, while it opens its device, or without a device', async () => {
  const main = `
    for (let round = 0; round < ${THOROUGH ? 16 : 8}; round++) {
      const worker = start({});
      if (round % 4 > 0) await said(worker);
      await sleep(round * ${THOROUGH ? 3 : 6});
      if (await endWorker(worker) === undefined) throw new Error('no exit code');
    }
    const idle = new Worker('setInterval(() => {}, 1000)', { eval: true });
    await sleep(50);
    await endWorker(idle, 200);
    console.log('alive', await endWorker(idle));`;
  const { code, stdout, stderr } = await run('end', main, RECORD_FOR_EVER, {});
  assert.match(stdout.trim(), /^alive/, stderr);
  assert.is(code, 0);
});

// Dawn sometimes aborts if the process exits while a Worker is in one of its calls, mostly on busy machines. docs/engine.md has the
// workaround, which is `endWorker` before `process.exit`.
console.log('SKIP process.exit while a Worker reads: Dawn aborts at times; endWorker first is the way around');
test.skip('process.exit while a Worker reads ends the process with its exit code', async () => {
  const main = 'const worker = start({}); await said(worker); await sleep(100); process.exit(7);';
  const { code, signal, stderr } = await run('exit', main, readForEver(512, 2), {});
  assert.equal([code, signal], [7, null], stderr);
});

test('a Worker may end itself, or fail, while it reads', async () => {
  const main = `
    console.log(await ended(start({})));
    process.env.FAIL = '1';
    const fail = start({}); fail.on('error', ({ message }) => console.log(message)); await ended(fail);`;
  const ending = "setTimeout(() => { if (process.env.FAIL) throw new Error('no more'); process.exit(5); }, 150);";
  const { code, stdout, stderr } = await run('itself', main, readForEver(512, 2, ending), {});
  assert.is(stdout.trim(), '5\nno more', stderr);
  assert.is(code, 0);
});

test('reads in a Worker give the same values and errors as in the main thread, and wait as quietly', async () => {
  const main = `console.log(await said(start({}))); process.exit();`;
  const inWorker = `
    const gpu = await openGpu();
    const values = await Promise.all(Array.from({ length: 20 }, () => sum(gpu)));
    const x = Tensor.zeros(gpu, [4]);
    await gpu.sync();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const big = Tensor.zeros(gpu, [1024, 1024]);
    const y = matmul(big, big);
    await y.read();
    clearInterval(timer);
    gpu.destroy();
    const error = await x.read().catch((error) => error);
    parentPort.postMessage([values.every((value) => value === 64), ticks > 0, error.name].join());`;
  const { stdout, stderr } = await run('values', main, inWorker, {});
  assert.is(stdout.trim(), 'true,true,DeviceLostError', stderr);
});

test.run();

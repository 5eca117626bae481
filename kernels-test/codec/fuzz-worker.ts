/**
 * Runs the fuzz cases in a separate process (see fuzz.test.ts) and prints one line of JSON, a {@link FuzzReport}.
 * Arguments: number of cases, seed.
 */
import { unpackLatentsPng } from '../../src/codec/png/container.js';
import { FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { FUZZ_KINDS, type FuzzCase, makeCase, makeSpecimens } from './fuzz-cases.js';

export interface FuzzReport {
  cases: number;
  /** Number of cases by kind. */
  accepted: Record<string, number>;
  refused: Record<string, number>;
  /** The messages of the errors, without their figures, and how often each came. */
  messages: Record<string, number>;
  /** Descriptions of the faults, at most ten. */
  faults: string[];
  slowestMs: number;
  /** Upper bound for the growth of the resident memory since before the first case. */
  growthBytes: number;
  /** The most bytes of typed arrays, which are outside the JavaScript heap, that were seen after a case. */
  arrayBufferBytes: number;
}

/** Runs a case. @returns null for a refusal or a right result, else a description of the fault */
function judge({ bytes, specimen, expect }: FuzzCase, report: FuzzReport, kind: string): string | null {
  let back: ReturnType<typeof unpackLatentsPng>;
  const start = performance.now();
  try {
    back = unpackLatentsPng(bytes);
  } catch (error) {
    report.slowestMs = Math.max(report.slowestMs, performance.now() - start);
    report.refused[kind]++;
    if (!(error instanceof FormatError)) return `threw ${error}`;
    if (error.message.includes('\n') || error.message.length > 200) return `message is not one short line: ${error}`;
    const general = error.message.replace(/chunks are .* must/, 'chunks are … must').replace(/\d+(\.\d+)?/g, '#');
    report.messages[general] = (report.messages[general] ?? 0) + 1;
    return expect === 'accepted' ? `refused a sound file: ${error.message}` : null;
  }
  report.slowestMs = Math.max(report.slowestMs, performance.now() - start);
  report.accepted[kind]++;
  if (expect === 'refused') return 'accepted a broken file';
  const { height, width, channels, data } = specimen.latents;
  const { latents } = back;
  const same =
    latents.height === height &&
    latents.width === width &&
    latents.channels === channels &&
    Buffer.compare(latents.data, data) === 0 &&
    back.modelId === specimen.modelId &&
    back.rate === specimen.rate &&
    back.version === specimen.version;
  return same ? null : 'accepted, but with another content';
}

/** A splice or exchanged chunks may produce another specimen unchanged, which counts as right. */
function withRightSpecimen(fuzzCase: FuzzCase, specimens: ReturnType<typeof makeSpecimens>): FuzzCase {
  const whole = specimens.find(({ file }) => Buffer.compare(file, fuzzCase.bytes) === 0);
  return whole ? { ...fuzzCase, specimen: whole } : fuzzCase;
}

function run(cases: number, seed: number): FuzzReport {
  const zeros = (): Record<string, number> => Object.fromEntries(FUZZ_KINDS.map((kind) => [kind, 0]));
  const report: FuzzReport = {
    cases: 0,
    accepted: zeros(),
    refused: zeros(),
    messages: {},
    faults: [],
    slowestMs: 0,
    growthBytes: 0,
    arrayBufferBytes: 0,
  };
  const specimens = makeSpecimens();
  const random = new CounterRandom(seed);
  // Everything permanent is allocated by now, so further growth is due to the cases.
  (globalThis as { gc?: () => void }).gc?.();
  const before = process.memoryUsage();
  for (let index = 0; index < cases; index++) {
    const fuzzCase = withRightSpecimen(makeCase(index, random, specimens), specimens);
    const fault = judge(fuzzCase, report, fuzzCase.kind);
    if (fault && report.faults.length < 10) report.faults.push(`case ${index} (${fuzzCase.kind}): ${fault}`);
    report.cases++;
    const held = process.memoryUsage().arrayBuffers - before.arrayBuffers;
    report.arrayBufferBytes = Math.max(report.arrayBufferBytes, held);
  }
  // maxRSS is the kernel's record of the peak, so no spike between two samples is missed.
  report.growthBytes = process.resourceUsage().maxRSS * 1024 - before.rss;
  return report;
}

console.log(JSON.stringify(run(Number(process.argv[2]), Number(process.argv[3]))));

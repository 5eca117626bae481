import { loadRecognizers } from '../data/checkpoints/recognizer-source.js';
import { LazyDevice } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import type { CodecsInputs } from './codecs-request.js';
import { ComparedCodecs } from './compared-codecs.js';
import { openDevice } from './device.js';
import { stopOnInterrupt } from './interrupt.js';
import { startStages } from './progress.js';
import { warn } from './terminal.js';

/** The parts that a comparison of codecs works with. */
export interface CodecsRun {
  /** Shows progress. @throws the signal's reason after Ctrl-C */
  onProgress(what: string, done: number, total: number): void;
  /** Ends the shown progress, before a line is printed. */
  endStage(): void;
  /** Opens the device, with the recognisers on it; to be called once. @throws NoAdapterError */
  open(): Promise<{ gpu: Gpu; codecs: ComparedCodecs }>;
}

/**
 * Runs a comparison of codecs, and frees all of it in any case. Ctrl-C ends it with exit code 130.
 * @param stopped the message for that case
 */
export async function runCodecs(
  inputs: CodecsInputs,
  stopped: string,
  body: (run: CodecsRun) => Promise<void>,
): Promise<void> {
  const stop = stopOnInterrupt('stopping …');
  const device = new LazyDevice(openDevice);
  const stages = startStages();
  let codecs: ComparedCodecs | undefined;
  try {
    await body({
      onProgress(what, done, total) {
        stop.signal.throwIfAborted();
        stages.update(what, done, total);
      },
      endStage: () => stages.stop(),
      async open() {
        const gpu = await device.open();
        loadRecognizers(gpu, inputs.recognizers);
        codecs = new ComparedCodecs(gpu, inputs, stop.signal);
        return { gpu, codecs };
      },
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    warn(stopped);
    process.exitCode = 130;
  } finally {
    stages.stop();
    stop.release();
    for (const one of inputs.recognizers) one.dispose();
    codecs?.dispose();
    await device.close();
  }
}

import type { Module } from '../nn/module.js';
import type { Tensor } from '../tensor/tensor.js';
import type { CheckpointFormat, CheckpointState } from './checkpoint.js';
import type { JointSettings, JointStage } from './joint-config.js';

/** Inputs or results of a recorded step, by name. */
export type Tensors = Record<string, Tensor>;

/** What a codec adds to a checkpoint's metadata beside the steps done, the settings and the faces. */
export interface JointState<Config> extends CheckpointState<Config> {
  /** The state of the codec that is neither a parameter nor a setting; absent for a codec that has none. */
  codec?: unknown;
}

/** What a step does, and how. */
export interface StepPlan {
  /** Which of the codec's rates it trains: what the log shows. */
  setting: number;
  /** Which recording of the stage's step it needs: an index from 0 on. Steps that differ in `inputs` alone share one. */
  recording: number;
  /** Values of the codec's own inputs. */
  inputs: Readonly<Record<string, Float32Array>>;
  /** Bytes a face, where they are known before the step. */
  bytes?: number;
}

/** One pass through the codec as it is recorded. */
export interface CodecPass {
  /** [batchSize,H,W,3], mostly within [0, 1]. */
  restored: Tensor;
  /** Estimated bits of the batch, []. */
  bits: Tensor;
  /** What the bits add to the loss, []; null where they cannot be trained. */
  rateLoss: Tensor | null;
  /** More results, which `finish` gets. */
  results?: Tensors;
}

/**
 * A codec as `JointTrainer` sees it: a network with an encoder and a decoder, settings of a rate, and the bits of its symbols. All
 * that a step computes depends on parameters, `state`, settings and the step's number.
 */
export interface TrainedCodec<Config extends JointSettings = JointSettings> {
  readonly config: Config;
  readonly network: Module;
  /** The kind of its checkpoints. */
  readonly format: CheckpointFormat<JointState<Config>>;
  /** Shapes of its own inputs. Among them is `errorWeight`, []: what multiplies the mean squared error. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Whether a stage trains a parameter of the network. */
  trains(name: string, stage: JointStage): boolean;
  /** Switches layers to training or evaluation, as a stage needs them. */
  enter(stage: JointStage): void;
  /** @param images [batchSize,H,W,3] in [0, 1] */
  plan(step: number, stage: JointStage, images: Float32Array): Promise<StepPlan>;
  /** @param at the recording, and the number of the step's noise: a function that each run calls */
  pass(x: Tensor, inputs: Tensors, stage: JointStage, at: { recording: number; stream: () => number }): CodecPass;
  /**
   * After a step: its bytes a face. The codec may adapt its state.
   * @param bits as estimated, of the batch
   */
  finish(plan: StepPlan, stage: JointStage, bits: number, results: Tensors): Promise<number>;
  /** For the checkpoint's metadata; undefined if there is nothing to keep. */
  state(): unknown;
  /** @param state what `format` has checked */
  restoreState(state: unknown): void;
  /** Frees the network, too. */
  dispose(): void;
}

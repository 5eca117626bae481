import { countCells } from '../../detection/cells.js';
import type { Gpu } from '../../gpu/gpu.js';
import { SingleShotDetector } from '../../models/single-shot.js';
import { add } from '../../ops/binary.js';
import { type AveragedStep, AveragedTrainer } from '../averaged-trainer.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint } from '../checkpoint.js';
import type { TrainingSource } from '../training-source.js';
import { checkDetectorTraining, type DetectorTrainingConfig } from './config.js';
import { detectorLoss, type TargetTensors } from './loss.js';
import { PLACE_VALUES } from './targets.js';

/** Figures of one step: the focal loss of scores, and the losses of boxes and landmarks, for a cell that sees a face; and their sum. */
export type DetectorStep = AveragedStep<'scores' | 'places'>;

const FORMAT: CheckpointFormat<CheckpointState<DetectorTrainingConfig>> = {
  key: 'cameo.detector-checkpoint',
  training: 'detector training',
  check: (state) => ({ ...state, config: checkDetectorTraining(state.config) }),
};

/** Trains a single-shot detector on mosaics. */
export class DetectorTrainer extends AveragedTrainer<
  DetectorTrainingConfig,
  SingleShotDetector,
  keyof TargetTensors,
  'scores' | 'places'
> {
  constructor(gpu: Gpu, config: DetectorTrainingConfig, source: TrainingSource | null = null) {
    const { batchSize, side, model } = checkDetectorTraining(config);
    const cells = countCells(side, side);
    const places = [batchSize, cells, PLACE_VALUES];
    const scores = [batchSize, cells, 1];
    const shapes = {
      x: [batchSize, side, side, 3],
      positive: scores,
      negative: scores,
      place: places,
      scale: places,
      weight: places,
    };
    const network = (): SingleShotDetector => new SingleShotDetector(model);
    const figures = (values: Parameters<typeof detectorLoss>[0], targets: TargetTensors) => {
      const parts = detectorLoss(values, targets);
      return { loss: add(parts.scores, parts.places), ...parts };
    };
    super(gpu, config, { format: FORMAT, network, shapes, figures }, source);
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): DetectorTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }
}

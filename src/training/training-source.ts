import { CheckpointError } from '../common/errors.js';

/** What a run learns from, as its checkpoints note it: a resumed run must learn from the same. */
export interface TrainingSource {
  /** The teacher's model id; null without one. */
  teacher: string | null;
  /** Hash of the faces in their order: paths below the folder, sources and classes. */
  faces: string;
  /** How many there are. */
  count: number;
  /** The model id of the codec that makes faces; absent where none does. */
  codec?: string;
}

/** @throws CheckpointError that says what differs */
export function assertSameSource(saved: TrainingSource, now: TrainingSource): void {
  if (saved.teacher !== now.teacher) {
    const text = (teacher: string | null): string => (teacher === null ? 'no teacher' : `teacher ${teacher}`);
    throw new CheckpointError(`the checkpoint was made with ${text(saved.teacher)}; this run has ${text(now.teacher)}`);
  }
  if (saved.codec !== now.codec) {
    const text = (codec: string | undefined): string => (codec === undefined ? 'no codec' : `codec ${codec}`);
    throw new CheckpointError(`the checkpoint was made with ${text(saved.codec)}; this run has ${text(now.codec)}`);
  }
  if (saved.faces !== now.faces) {
    throw new CheckpointError(
      `the checkpoint was made with a list of ${saved.count} faces; this run's list of ${now.count} is another`,
    );
  }
}

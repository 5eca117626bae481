import { CheckpointError } from '../common/errors.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { readTextIfThere } from '../data/files/read-file.js';

/** A row by column; absent or NaN values stay empty. */
export type LogRow = Readonly<Record<string, number>>;

/**
 * A CSV log that is kept in memory and written completely before each checkpoint, so that it has all rows of the checkpoint: a run
 * that was killed loses at most the rows since then, and computes them again.
 */
export class TrainingLog {
  readonly rows: number[][] = [];

  constructor(
    readonly path: string,
    readonly columns: readonly string[],
  ) {}

  /**
   * Reads the rows of an earlier run whose first column (the step) is below `step`; none if there is no log.
   * @throws CheckpointError for a log with other columns, which the next checkpoint would replace
   */
  async resume(step: number): Promise<void> {
    const text = (await readTextIfThere(this.path)) ?? '';
    const [header, ...lines] = text.trim().split('\n');
    const columns = this.columns.join(',');
    if (header !== columns && header !== '') {
      throw new CheckpointError(
        `${this.path}: its columns are "${header.slice(0, 200)}"; expected "${columns}": move it away to go on without its rows`,
      );
    }
    for (const line of lines) {
      // Columns that a row leaves out (validation, on other steps) are empty.
      const row = line.split(',').map((cell) => (cell === '' ? Number.NaN : Number(cell)));
      if (row[0] < step) this.rows.push(row);
    }
  }

  /** Adds a row, with the digits that are written, so that a resumed run compares the same figures. */
  add(row: LogRow): void {
    this.rows.push(this.columns.map((column) => Number((row[column] ?? Number.NaN).toPrecision(7))));
  }

  /** The rows by column. */
  records(): LogRow[] {
    return this.rows.map((row) => Object.fromEntries(this.columns.map((column, k) => [column, row[k]])));
  }

  /** (first column, this column) of the rows that have it. */
  series(column: string): [number, number][] {
    const at = this.columns.indexOf(column);
    return this.rows.filter((row) => !Number.isNaN(row[at])).map((row) => [row[0], row[at]]);
  }

  async write(): Promise<void> {
    const cell = (value: number): string => (Number.isNaN(value) ? '' : String(value));
    const lines = [this.columns.join(','), ...this.rows.map((row) => row.map(cell).join(','))];
    await writeFileAtomic(this.path, `${lines.join('\n')}\n`, { durable: true });
  }
}

import { ArgumentError } from '../../common/errors.js';
import { shardOf, shardText } from './shards.js';

/** Missing shards that a message lists. */
const LISTED = 10;

/**
 * Finds out of which shard each archive is, by the names of its faces, because an archive does not say it. A face of a photograph with several
 * has its number added to its picture's name, so a name that ends in a number can be of two shards; the other faces decide.
 */
export class ShardCheck {
  /** For each archive: the numbers of the shards that it can be; undefined before its first face. */
  readonly #possible: (readonly number[] | undefined)[];

  /** @param count number of all shards */
  constructor(
    private readonly paths: readonly string[],
    private readonly count: number,
  ) {
    this.#possible = paths.map(() => undefined);
  }

  /**
   * @param archive its place among the paths
   * @throws ArgumentError if this face is not of the same shard as those before
   */
  add(archive: number, name: string): void {
    const own = [...new Set([name, name.replace(/-\d+$/, '')])].map((picture) => shardOf(picture, this.count));
    const before = this.#possible[archive];
    const possible = before ? before.filter((number) => own.includes(number)) : own;
    if (possible.length === 0) {
      const numbers = before!.map((number) => shardText({ number, count: this.count })).join(' or ');
      throw new ArgumentError(
        `${this.paths[archive]}: "${name}" belongs to shard ${own[0]}/${this.count}, the faces before it to ${numbers}; expected the archive of one shard of ${this.count}`,
      );
    }
    this.#possible[archive] = possible;
  }

  /** @throws ArgumentError if a shard is missing, or is there twice */
  finish(): void {
    const { paths, count } = this;
    const found = new Map<number, string>();
    for (const [k, possible] of this.#possible.entries()) {
      if (possible?.length !== 1) continue;
      const [number] = possible;
      const other = found.get(number);
      if (other !== undefined) {
        throw new ArgumentError(
          `${other} and ${paths[k]} are both of shard ${number}/${count}; expected each shard once`,
        );
      }
      found.set(number, paths[k]);
    }
    if (paths.length === count) return;
    const empty = this.#possible.filter((possible) => possible === undefined).length;
    const known = new Set(this.#possible.flatMap((possible) => possible ?? []));
    const missing = Array.from({ length: count }, (_, k) => k + 1).filter((number) => !known.has(number));
    const list = missing.slice(0, LISTED).join(', ') + (missing.length > LISTED ? ', …' : '');
    const without = empty === 0 ? '' : `, and ${empty} of the archives have no faces`;
    const lack = missing.length === 0 ? '' : `; no face is of shard ${list}${without}`;
    throw new ArgumentError(`${paths.length} archives for ${count} shards: expected one for each shard${lack}`);
  }
}

import type { Command } from 'commander';

/** Loads what adds a command, by the command's name. */
export type CommandTable = Record<string, () => Promise<(parent: Command) => void>>;

/**
 * Adds the command that the first of `words` which is no option names, or all of them where it names none. What the other
 * commands need is not loaded, since that takes longer than many a command. The options before a name must take no value.
 */
export async function addCommands(parent: Command, words: readonly string[], table: CommandTable): Promise<void> {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const named = Object.hasOwn(table, words[at] ?? '') ? [words[at]] : Object.keys(table);
  const adders = await Promise.all(named.map((name) => table[name]()));
  for (const add of adders) add(parent);
}

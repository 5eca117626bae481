import type { Command } from 'commander';

/** Loads the function that adds a command, by the command's name. */
export type CommandTable = Record<string, () => Promise<(parent: Command) => void>>;

/**
 * Adds the command that the first word without a dash names, or all commands if it names none. The other commands are not
 * loaded, because that takes longer than many commands run. The options before a name must take no value.
 */
export async function addCommands(parent: Command, words: readonly string[], table: CommandTable): Promise<void> {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const named = Object.hasOwn(table, words[at] ?? '') ? [words[at]] : Object.keys(table);
  const adders = await Promise.all(named.map((name) => table[name]()));
  for (const add of adders) add(parent);
}

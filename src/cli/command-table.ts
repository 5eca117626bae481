import type { Command } from 'commander';

/** Loads the function that adds a command, by the command's name. */
export type CommandTable = Record<string, () => Promise<(parent: Command) => void>>;

/** The first word of a command line that is no option; undefined if there is none. */
export const commandWord = (words: readonly string[]): string | undefined =>
  words.find((word) => !word.startsWith('-'));

/**
 * Adds the command that the first word without a dash names, or all commands if it names none. The other commands are not
 * loaded, because that takes longer than many commands run. The options before a name must take no value.
 */
export async function addCommands(parent: Command, words: readonly string[], table: CommandTable): Promise<void> {
  const word = commandWord(words) ?? '';
  const named = Object.hasOwn(table, word) ? [word] : Object.keys(table);
  const adders = await Promise.all(named.map((name) => table[name]()));
  for (const add of adders) add(parent);
}

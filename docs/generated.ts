import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { commandTree } from '../src/cli/run-command.js';

/** The table of a command's arguments and options, from its definition. */
export function optionTable(command: Command): string {
  const help = command.createHelp();
  const entries = [
    ...help.visibleArguments(command).map((argument) => [`<${argument.name()}>`, help.argumentDescription(argument)]),
    ...help
      .visibleOptions(command)
      .filter(({ long }) => long !== '--help')
      .map((option) => [option.flags, help.optionDescription(option)]),
  ];
  const rows = entries.map(([name, text]) => `| \`${name}\` | ${escaped(text)} |`);
  return rows.length === 0 ? '' : ['| option | meaning |', '| --- | --- |', ...rows].join('\n');
}

const escaped = (text: string): string => text.replace(/[|<>*_]/g, (mark) => `\\${mark}`);

/** The commands without subcommands, by their full names, such as `train codec`. */
export function leafCommands(tree: Command, words: readonly string[] = []): Map<string, Command> {
  const leaves = new Map<string, Command>();
  const shown = tree.createHelp().visibleCommands(tree);
  for (const command of shown.filter((command) => command.name() !== 'help')) {
    const path = [...words, command.name()];
    const below = command.commands.length > 0 ? leafCommands(command, path) : new Map([[path.join(' '), command]]);
    for (const [name, leaf] of below) leaves.set(name, leaf);
  }
  return leaves;
}

/** Places for tables of options: `<!-- options: train -->` for all commands whose first word is `train`, `others` for all other commands. */
const OPTIONS = /<!-- options: (\S+) -->/g;
const OTHERS = 'others';

/**
 * Puts the tables of options into the page of commands.
 * @param page the whole page, which determines the commands that it names
 * @param part a part of the page, which is returned with its tables
 */
export async function withOptions(page: string, part: string): Promise<string> {
  const leaves = [...leafCommands(await commandTree())];
  const firstWord = ([name]: (typeof leaves)[number]): string => name.split(' ')[0];
  const named = [...page.matchAll(OPTIONS)].map(([, word]) => word);
  const unknown = named.filter((word) => word !== OTHERS && !leaves.some((leaf) => firstWord(leaf) === word));
  if (unknown.length > 0) throw new Error(`the page of commands names ${unknown}, which does not exist`);
  return part.replace(OPTIONS, (_, word: string) => {
    if (word === OTHERS) {
      const rest = leaves.filter((leaf) => !named.includes(firstWord(leaf)));
      return rest.map(([name, command]) => `## ${name}\n\n${described(name, command, true)}`).join('\n\n');
    }
    const withWord = leaves.filter((leaf) => firstWord(leaf) === word);
    return withWord.map(([name, command]) => described(name, command, withWord.length > 1)).join('\n\n');
  });
}

/** A command's usage and table. */
function described(name: string, command: Command, withText: boolean): string {
  const usage = `**\`cameo ${name} ${command.usage()}\`**`;
  const text = escaped(command.description());
  return [withText ? `${usage}: ${text}` : usage, optionTable(command)].filter(Boolean).join('\n\n');
}

/** The table of words in CONTRIBUTING.md, the one place where they are explained. */
export function glossaryTable(): string {
  const text = readFileSync(new URL('../CONTRIBUTING.md', import.meta.url), 'utf8');
  const lines = text.split('\n## Glossary\n')[1].split('\n## ')[0].split('\n');
  return lines.filter((line) => line.startsWith('|')).join('\n');
}

const GLOSSARY = '<!-- generated: glossary -->';

/**
 * A part of a page with what is made from elsewhere.
 * @param path of the page in the repository
 * @param page all of its text
 */
export async function generatedText(path: string, page: string, part: string): Promise<string> {
  if (path === 'docs/commands.md') return withOptions(page, part);
  return path === 'docs/glossary.md' ? part.replace(GLOSSARY, () => glossaryTable()) : part;
}

import { Command, CommanderError } from 'commander';
import { PACKAGE_VERSION } from '../data/files/package-root.js';
import { addCommands, commandWord } from './command-table.js';
import { complain, usageError } from './complain.js';
import { addCropCommand } from './crop.js';
import { addDecodeCommand } from './decode.js';
import { addDetectCommand } from './detect.js';
import { addDoctorCommand } from './doctor.js';
import { addEncodeCommand } from './encode.js';
import { addExportCommand } from './export.js';
import { closeFinders } from './face-finder.js';
import { addImportCommand } from './import.js';
import { addInfoCommand } from './info.js';
import { beginJson, endJson } from './json-output.js';
import { addMergeCommand } from './merge.js';
import { removeEmptyFolders } from './outputs.js';
import { addQrCommand } from './qr.js';
import { addSearchCommand } from './search.js';
import { beginOutput, beQuiet } from './terminal.js';
import { addVerifyCommand, COULD_NOT_TELL } from './verify.js';

/** Options that may have an empty value: a face of an archive may have the name ''. */
const MAY_BE_EMPTY = ['only'];

/** Refuses options with the value '', which a shell gives for a variable that is not set. */
function refuseEmptyOptions(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (command.getOptionValue(name) !== '' || command.getOptionValueSource(name) !== 'cli') continue;
    if (!MAY_BE_EMPTY.includes(name)) {
      command.error(`error: option '${option.flags}' argument '' is invalid. Expected a value that is not empty.`);
    }
  }
}

const newProgram = (): Command =>
  new Command('cameo')
    .description('Compresses faces to a few hundred bytes each, on the GPU.')
    .version(PACKAGE_VERSION)
    .option('-q, --quiet', 'print only results and errors, without progress')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .hook('preAction', (program, command) => {
      if (program.opts().quiet) beQuiet();
      refuseEmptyOptions(command);
    })
    .showHelpAfterError('Try --help.')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'cameo: ')) })
    .addHelpText(
      'after',
      `
Environment:
  CAMEO_ADAPTER     the GPU adapter to use: hardware, lavapipe, swiftshader, or a part of its name
  CAMEO_MODEL       weights file to use instead of the shipped one
  CAMEO_DETECTOR    face detector to use instead of the shipped one
  CAMEO_DATA        folder of data sets for training and evaluation
  CAMEO_THRESHOLDS  file of thresholds for verify and search, instead of the shipped one
  CAMEO_DEBUG=1     print stack traces of errors

Licence: the code is MIT; the shipped weights are for research only (LICENSE).

Exit codes: 0 all done; 1 something failed, as standard error says; 2 no GPU adapter can be used; 130 stopped by Ctrl-C.
The exit code of verify is its answer: 0 the same person; 1 not the same; 2 could not tell.`,
    );

async function addCommandsTo(program: Command, words: readonly string[]): Promise<void> {
  await addCommands(program, words, {
    encode: async () => addEncodeCommand,
    decode: async () => addDecodeCommand,
    merge: async () => addMergeCommand,
    info: async () => addInfoCommand,
    detect: async () => addDetectCommand,
    crop: async () => addCropCommand,
    qr: async () => addQrCommand,
    import: async () => addImportCommand,
    export: async () => addExportCommand,
    demo: async () => (await import('./measure-and-train.js')).addDemoCommand,
    train: async () => (await import('./measure-and-train.js')).addTrainCommand,
    evaluate: async () => (await import('./measure-and-train.js')).addEvaluateCommand,
    tune: async () => (await import('./measure-and-train.js')).addTuneCommand,
    verify: async () => addVerifyCommand,
    search: async () => addSearchCommand,
    doctor: async () => addDoctorCommand,
  });
}

/** The command with all commands below it, as their help shows them. */
export async function commandTree(): Promise<Command> {
  const program = newProgram();
  await addCommandsTo(program, []);
  return program;
}

/** The names of the command that a line gives, as "evaluate pairs"; '' if it gives none. */
function namedCommand(program: Command, words: readonly string[]): string {
  const names: string[] = [];
  let command: Command | undefined = program;
  for (const word of words.filter((one) => !one.startsWith('-'))) {
    command = command.commands.find((one) => one.name() === word);
    if (!command) break;
    names.push(word);
  }
  return names.join(' ');
}

/**
 * Runs one command line; `process.exitCode` says how it ended. One at a time.
 * @param words after `cameo`
 */
export async function runCommand(words: readonly string[]): Promise<void> {
  // A failure of verify must not look like its answer "not the same person".
  beginOutput(commandWord(words) === 'verify' ? COULD_NOT_TELL : 1);
  const program = newProgram();
  try {
    await addCommandsTo(program, words);
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) complain(error);
    else if (error.exitCode !== 0) {
      if (words.includes('--json')) beginJson(namedCommand(program, words));
      usageError(error.message);
    }
  }
  closeFinders();
  if (process.exitCode) await removeEmptyFolders();
  endJson();
}

// adapters: once
// time limit: 4 times
import { test } from 'uvu';
import { THOROUGH } from '../helpers/thorough.js';
import { filesForPages, registerFiles, testFileModules } from './browser-kernels.js';
import { openDenoKernels } from './deno-kernels.js';

const names = filesForPages(THOROUGH ? 'all' : 'other');
const deno = await openDenoKernels(testFileModules(names));
await registerFiles(deno, names);

test.run();

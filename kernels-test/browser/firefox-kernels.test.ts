// adapters: once
// time limit: 4 times
// suite: long
import { test } from 'uvu';
import { THOROUGH } from '../helpers/thorough.js';
import { filesForPages, openKernelPages, registerFiles, testFileModules } from './browser-kernels.js';

const names = filesForPages(THOROUGH ? 'all' : 'other');
const firefox = await openKernelPages(testFileModules(names), 'Firefox');
await registerFiles(firefox, names);

test.run();

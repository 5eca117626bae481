// adapters: once
// time limit: 3 times
import { test } from 'uvu';
import { filesForPages, openKernelPages, registerFile, testFileModules } from './browser-kernels.js';

const names = filesForPages('slow');
const pages = await openKernelPages(testFileModules(names));
for (const name of names) await registerFile(pages, name);

test.run();

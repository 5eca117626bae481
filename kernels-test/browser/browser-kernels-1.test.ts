// adapters: once
// time limit: 3 times
import { test } from 'uvu';
import { filesForPages, openKernelPages, registerFiles, testFileModules } from './browser-kernels.js';

const names = filesForPages('slow');
const pages = await openKernelPages(testFileModules(names));
await registerFiles(pages, names);

test.run();

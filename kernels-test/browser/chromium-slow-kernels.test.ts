// adapters: once
// time limit: 3 times
import { test } from 'uvu';
import { THOROUGH } from '../helpers/thorough.js';
import { filesForPages, openKernelPages, registerFiles, testFileModules } from './browser-kernels.js';

const names = filesForPages('slow');
if (THOROUGH) await registerFiles(await openKernelPages(testFileModules(names)), names);
else {
  console.log(`SKIP ${names.join(', ')} in Chromium: only npm test -- --thorough runs them`);
  for (const name of names) test.skip(name);
}

test.run();

import { openGpu as open } from '../../src/gpu/node/adapters.js';
import { keptOpen } from '../helpers/kept-device.js';

/** `cameo/node` for the snippets of pages, on one device for all: what it costs is the compiling of kernels. */
export * from '../../src/node.js';
export const openGpu = keptOpen(open);

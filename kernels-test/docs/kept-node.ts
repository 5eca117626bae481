import { openGpu as open } from '../../src/gpu/node/adapters.js';
import { keptOpen } from '../helpers/kept-device.js';

/** `cameo/node` for the snippets of pages, with one device for all, because compiling kernels takes most of the time. */
export * from '../../src/node.js';
export const openGpu = keptOpen(open);

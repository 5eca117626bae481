import { createRequire } from 'node:module';
import type Sharp from 'sharp';

/** npm sharp, by its CommonJS module: its ES module needs Node 20.10, though it says 20.9. */
const sharp: typeof Sharp = createRequire(import.meta.url)('sharp');
export default sharp;

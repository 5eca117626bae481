import { serveBuilt } from '../bench/web/serve.js';
import { buildDemo } from './build.js';

await serveBuilt('web', 'web', buildDemo);

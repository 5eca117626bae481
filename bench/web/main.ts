import { buildPage } from './build.js';
import { serveBuilt } from './serve.js';

await serveBuilt('bench:web', 'bench-web', buildPage);

import { testRandomShapes } from './random-shapes.js';

// The property's 500 shapes are split into two files, which run side by side.
await testRandomShapes(0, 250);

/* The code that only the comparison of two photographs needs, which is bundled into a separate file. */
export { Embedder } from '../src/models/embedder.js';
export { loadRecognizer, readRecognizer } from '../src/models/recognizer-file.js';

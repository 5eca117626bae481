/* What only the comparison of two photographs needs, in a part of its own. */
export { Embedder } from '../src/models/embedder.js';
export { loadRecognizer, readRecognizer } from '../src/models/recognizer-file.js';

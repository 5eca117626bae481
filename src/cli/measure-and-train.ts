/** Commands that need most of the package, in a module that the others do not load. */
export { addDemoCommand } from './demo.js';
export { addEvaluateCommand } from './evaluate.js';
export { addTrainCommand } from './train.js';
export { addTuneCommand } from './tune.js';

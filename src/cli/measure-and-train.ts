/** The commands that need most of the package, which the others need not load. */
export { addDemoCommand } from './demo.js';
export { addEvaluateCommand } from './evaluate.js';
export { addTrainCommand } from './train.js';
export { addTuneCommand } from './tune.js';

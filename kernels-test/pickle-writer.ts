// Scripts outside this repository import the writer from here.
export * from './data/pickle-writer.js';

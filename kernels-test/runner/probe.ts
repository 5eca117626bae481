import { probeAdapters } from '../../src/gpu/node/probe.js';

// A process of its own: a driver that crashes must not end the test run, and probing changes the environment.
process.stdout.write(`${JSON.stringify(await probeAdapters())}\n`);

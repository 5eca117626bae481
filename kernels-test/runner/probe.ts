import { probeAdapters } from '../../src/gpu/node/probe.js';

// This is a separate process, because a driver that crashes must not end the test run, and probing changes the environment.
process.stdout.write(`${JSON.stringify(await probeAdapters())}\n`);

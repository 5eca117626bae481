import { test } from 'uvu';

test('never runs', () => {});
test.run();
throw new Error('thrown on import');

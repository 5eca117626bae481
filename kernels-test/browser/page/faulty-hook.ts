import { test } from 'uvu';

test.before(() => {
  throw new Error('uvu loses this');
});
test('never runs', () => {});
test.run();

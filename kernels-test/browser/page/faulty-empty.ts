import { test } from 'uvu';

test('is never run', () => {}); // test.run() is missing

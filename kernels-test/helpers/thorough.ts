/** True with `npm test -- --thorough`, which also runs slow tests that seldom find anything. */
export const THOROUGH = process.env.CAMEO_TEST_THOROUGH === '1';

/** True under `npm test -- --thorough`: what takes long and finds little is tested as well. */
export const THOROUGH = process.env.CAMEO_TEST_THOROUGH === '1';

import { wgsl as preprocess } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/**
 * The tag of every template of WGSL that has conditions: `#if ${condition}`, `#elif ${condition}`, `#else` and `#endif` tell
 * what of the text stays; they nest. Whatever else the template holds is put in as it is. The package stands here alone,
 * and the build bundles it.
 *
 * @throws Error where a condition is no `${…}` right behind its `#if`, or where `#if` and `#endif` do not match
 */
export const wgsl: (texts: TemplateStringsArray, ...values: readonly unknown[]) => string = preprocess;

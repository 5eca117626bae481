import { wgsl as preprocess } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** The texts made so far, by template and values. The pipelines that are made of them live as long. */
const known = /* @__PURE__ */ new WeakMap<TemplateStringsArray, Map<string, string>>();

/**
 * The tag of every template of WGSL that has conditions: `#if ${condition}`, `#elif ${condition}`, `#else` and `#endif` tell
 * what of the text stays; they nest. Whatever else the template holds is put in as it is. The package stands here alone,
 * and the build bundles it. Every dispatch asks for the text of its kernel, so texts are kept.
 *
 * @throws Error where a condition is no `${…}` right behind its `#if`, or where `#if` and `#endif` do not match
 */
export function wgsl(texts: TemplateStringsArray, ...values: readonly unknown[]): string {
  // Quicker than JSON: every dispatch comes here.
  let key = '';
  for (const value of values)
    key += typeof value === 'string' ? `${value.length} ${value}` : `${typeof value} ${value}`;
  let made = known.get(texts);
  if (!made) known.set(texts, (made = new Map()));
  if (!made.has(key)) made.set(key, preprocess(texts, ...values));
  return made.get(key)!;
}

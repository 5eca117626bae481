/**
 * Tag of a template of WGSL in which lines `#if ${condition}`, `#else` and `#endif` tell what of it stays, as in
 * npm "wgsl-preprocessor". They nest. Whatever else the template holds is put in as it is.
 */
export function wgsl(texts: TemplateStringsArray, ...values: readonly unknown[]): string {
  /** Of each `#if` that is open, whether what stands here stays. */
  const open: boolean[] = [];
  let result = '';
  texts.forEach((text, k) => {
    for (const part of text.split(/(#if |#else|#endif)/)) {
      if (part === '#else') open.push(!open.pop());
      else if (part === '#endif') open.pop();
      else if (part === '#if ') open.push(Boolean(values[k]));
      else if (!open.includes(false)) result += part;
    }
    if (k < values.length && !text.endsWith('#if ') && !open.includes(false)) result += values[k];
  });
  return result;
}

declare module 'wgsl-preprocessor/wgsl-preprocessor.js' {
  /** Template tag for WGSL with `#if ${condition}`, `#elif ${condition}`, `#else` and `#endif`. */
  export function wgsl(strings: TemplateStringsArray, ...values: unknown[]): string;
}

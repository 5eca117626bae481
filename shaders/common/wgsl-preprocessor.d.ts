/** npm "wgsl-preprocessor" brings no types. */
declare module 'wgsl-preprocessor/wgsl-preprocessor.js' {
  export function wgsl(texts: TemplateStringsArray, ...values: readonly unknown[]): string;
}

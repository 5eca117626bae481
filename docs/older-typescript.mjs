/** Gives TypeDoc a TypeScript that it can use: it drives the compiler by an interface that TypeScript 7 does not have. */
export function resolve(specifier, context, next) {
  const older = specifier === 'typescript' && /\/node_modules\/typedoc/.test(context.parentURL ?? '');
  return next(older ? 'typescript-5.9' : specifier, context);
}

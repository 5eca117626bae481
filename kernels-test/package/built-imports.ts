import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/** The modules that the files of a built package import from outside. */
export interface BuiltImports {
  /** For each package, by its name in package.json, the files that import it. */
  packages: Map<string, string[]>;
  /** Calls of `import()`, `require` and similar whose argument is not a literal, as FILE: TEXT. */
  computed: string[];
}

/** The package of a bare specifier: `@scope/name/part` belongs to `@scope/name`. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Calls that load a module by a name that esbuild does not see: those of created `require`s, and of `import.meta`. */
const RESOLVERS = /\b(?:import\.meta\.resolve|createRequire\d*\([^()]*\)(?:\.resolve)?)\(\s*("(?:[^"\\]|\\.)*"|[^)]*)/g;
const COMPUTED_IMPORT = /(?<![."'\w])import\(\s*(?!["'])[^)]*\)/g;

/** Reads every import of every built file: static, dynamic, `require`, `createRequire(…)` and `import.meta.resolve`. */
export async function builtImports(dist: string): Promise<BuiltImports> {
  const files = readdirSync(dist).filter((name) => name.endsWith('.js'));
  const packages = new Map<string, string[]>();
  const computed: string[] = [];
  const add = (specifier: string, file: string): void => {
    if (specifier.startsWith('.') || isBuiltin(specifier)) return;
    const name = packageOf(specifier);
    packages.set(name, [...(packages.get(name) ?? []), file]);
  };
  const { metafile } = await build({
    entryPoints: files.map((name) => join(dist, name)),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outdir: 'nowhere',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  for (const [path, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path: target, external } of imports) if (external) add(target, basename(path));
  }
  for (const file of files) {
    const text = readFileSync(join(dist, file), 'utf8');
    for (const [call, argument] of text.matchAll(RESOLVERS)) {
      if (argument.startsWith('"')) add(JSON.parse(argument), file);
      else computed.push(`${file}: ${call})`);
    }
    for (const [call] of text.matchAll(COMPUTED_IMPORT)) computed.push(`${file}: ${call}`);
  }
  return { packages, computed };
}

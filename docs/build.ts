import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatedText } from './generated.js';
import { PAGES, titleOf } from './pages.js';

/*
 * npm run docs [-- DIR]: builds the pages in docs/ and a reference of the API from the doc comments, as static files in DIR (default
 * out/docs). Any warning of TypeDoc is an error.
 */

register('./older-typescript.mjs', import.meta.url);
const { Application, DocumentReflection, ReflectionKind } = await import('typedoc');

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const at = (path: string): string => join(ROOT, path);
const out = process.argv[2] ?? at('out/docs');

const app = await Application.bootstrapWithPlugins({
  name: 'Cameo',
  entryPoints: [
    'src/engine.ts',
    'src/methods.ts',
    'src/index.ts',
    'src/detection/index.ts',
    'src/onnx/index.ts',
    'src/node.ts',
  ].map(at),
  tsconfig: at('tsconfig.build.json'),
  basePath: ROOT,
  out,
  readme: at('docs/index.md'),
  projectDocuments: PAGES.map(at),
  plugin: ['typedoc-plugin-missing-exports'],
  highlightLanguages: [
    'bash',
    'sh',
    'js',
    'javascript',
    'ts',
    'typescript',
    'json',
    'jsonc',
    'html',
    'wgsl',
    'python',
    'yaml',
    'text',
  ],
  treatWarningsAsErrors: true,
  disableGit: true,
  disableSources: true,
  includeVersion: true,
  excludePrivate: true,
  excludeExternals: true,
  externalPattern: ['**/node_modules/**'],
  hideGenerator: true,
  sort: ['documents-first', 'source-order'],
  router: 'structure',
  navigation: { includeCategories: true, includeGroups: false, includeFolders: false },
  kindSortOrder: ['Document', 'Module'],
});

const project = await app.convert();
if (!project) throw new Error('TypeDoc found errors; see above');
for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
  module.name = module.name.replace(/^src\/(detection|onnx)$/, 'cameo/$1').replace(/^src\b/, 'cameo');
}
for (const page of project.getReflectionsByKind(ReflectionKind.Document)) {
  const path = project.files.getReflectionPath(page);
  if (!(page instanceof DocumentReflection) || !path) continue;
  const text = readFileSync(path, 'utf8');
  page.name = titleOf(text);
  // TypeDoc has already split links from the text, so generated text must not have any.
  for (const part of page.content) {
    if (part.kind === 'text') part.text = await generatedText(relative(ROOT, path), text, part.text);
  }
}
app.validate(project);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) {
  console.error('docs: warnings are errors here');
  process.exitCode = 1;
} else console.log(`${out}/index.html`);

/** The pages in the order of the site, as paths in the repository. They include linked pages outside of docs/. */
export const PAGES: readonly string[] = [
  ...[
    'commands',
    'codec',
    'bitstream',
    'training',
    'paper',
    'evaluation',
    'engine',
    'onnx',
    'benchmarks',
    'package',
    'troubleshooting',
    'comparison',
    'glossary',
  ].map((name) => `docs/${name}.md`),
  'shaders/README.md',
  'examples/README.md',
  'CONTRIBUTING.md',
  'models/face.md',
  'models/recognizer.md',
  'models/codec.md',
  'results/codecs/README.md',
];

/**
 * The title of a page: its first heading.
 * @throws Error if it has none
 */
export function titleOf(text: string): string {
  const [, title] = /^# (.+)$/m.exec(text) ?? [];
  if (title === undefined) throw new Error('the page has no heading');
  return title.replace(/[`*]/g, '');
}

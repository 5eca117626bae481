import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stripWgsl } from '../../build-wgsl.js';
import { unroll } from '../../shaders/common/unroll.js';
import { wgsl } from '../../shaders/common/wgsl.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('conditional lines of a template are kept or left out', () => {
  const text = (a: boolean, b: boolean) => wgsl`one ${1}
#if ${a}
a ${2}
#if ${b}
both
#else
a alone ${3}
#endif
#else
neither
#endif
end ${4}`;
  const lines = (a: boolean, b: boolean) => text(a, b).split('\n').filter(Boolean);
  assert.equal(lines(true, true), ['one 1', 'a 2', 'both', 'end 4']);
  assert.equal(lines(true, false), ['one 1', 'a 2', 'a alone 3', 'end 4']);
  assert.equal(lines(false, true), ['one 1', 'neither', 'end 4']);
  const size = (n: number) => wgsl`
#if ${n === 1}
one
#elif ${n === 2}
two
#else
many
#endif`;
  assert.equal(
    [1, 2, 3].map(size).map((words) => words.trim()),
    ['one', 'two', 'many'],
  );
});

test('a mistake in a conditional line gives an error', () => {
  assert.throws(() => wgsl`#if ${true} text`, /Mismatched #if/);
  assert.throws(() => wgsl`#endif`, /not preceeded by an #if/);
  assert.throws(() => wgsl`#if ${true} a #else b #else c #endif`, /#else not preceeded/);
  assert.throws(() => wgsl`#if true ${1} #endif`, /must be immediately followed/);
});

test('a template is made anew for values that differ only in type or in where one ends', () => {
  const choose = (condition: unknown) =>
    wgsl`#if ${condition}
yes
#else
no
#endif`.trim();
  for (let turn = 0; turn < 2; turn++) {
    assert.equal([false, 'false', 0, '0'].map(choose), ['no', 'yes', 'no', 'yes']);
  }
  const place = (a: string, b: string) => wgsl`<${a}> <${b}>`;
  assert.is(place('1 2', '3'), '<1 2> <3>');
  assert.is(place('1', '2 3'), '<1> <2 3>');
});

test('an unrolled loop has one line for each of its steps, and none for no steps', () => {
  assert.is(
    unroll(3, (i) => `sum += x${i};`),
    'sum += x0;\nsum += x1;\nsum += x2;',
  );
  assert.is(
    unroll(2, (i) => unroll(2, (j) => `m${i}${j},`)),
    'm00,\nm01,\nm10,\nm11,',
  );
  assert.is(
    unroll(0, () => 'never'),
    '',
  );
});

test('comments and unnecessary spaces are removed, and the number of lines stays', () => {
  const source = [
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: it is the source of a template
    "const quote = '`// no comment`'; // `a comment` {",
    'const f = (a: string) => `',
    '  // all of this goes',
    '  /** And this, *',
    '   * too. */ let x = -1.0 - -a[ 0 ]; // and this',
    '',
    '  if (x < 1.0 && x >= 0.0) { return ${a} - ${`y * ${1} // nested`}; }',
    '  // this goes on ${a} here',
    '}`;',
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: it is the source of a template
    'const after = 1;',
  ];
  const stripped = stripWgsl(source.join('\n'));
  assert.is(stripped.split('\n').indexOf('const after = 1;'), 9, 'a line keeps its number');
  assert.ok(stripped.startsWith(`${source[0]}\n`));
  const f = new Function('a', `return ${stripped.split('=> ')[1].split(';\nconst after')[0]}`);
  assert.is(f('z'), '\nlet x=-1.0- -a[0];\nif(x<1.0&&x>=0.0){return z - y* 1 ;}\n//this goes on z here\n}');
  assert.throws(() => stripWgsl('const a = `b'), /does not end/);
  assert.throws(() => stripWgsl('}'), /a closing bracket has no opening one/);
});

/** The tokens of WGSL without comments. A substitution counts as one token. */
const tokensOf = (text: string): string[] =>
  text.replace(/\/\/[^\n`]*/g, '').match(/[\w$]+|--|\+\+|<<|>>|&&|\|\||->|[-+*/%&|^<>=!]=|\S/g) ?? [];

test('every shader has the same tokens, and its file the same lines, after stripping', () => {
  const files = ['shaders', 'shaders/common'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, folder, name)),
  );
  let saved = 0;
  for (const file of files) {
    const source = readFileSync(file, 'utf8');
    const stripped = stripWgsl(source);
    const tokens = (text: string) => tokensOf(text.replace(/\/\*.*?\*\//gs, ''));
    assert.is(tokens(stripped).join(' '), tokens(source).join(' '), file);
    assert.is(stripped.split('\n').length, source.split('\n').length, file);
    saved += source.length - stripped.length;
  }
  assert.ok(saved > 10_000, `only ${saved} bytes saved`);
});

test('unroll joins terms to an expression, and no other file of shaders/ joins lists', () => {
  assert.is(
    unroll(3, (i) => `x${i}`, ' + '),
    'x0 + x1 + x2',
  );
  const folder = join(root, 'shaders');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  assert.ok(files.length > 40);
  const joining = files.filter((file) => readFileSync(join(folder, file), 'utf8').includes('.join('));
  assert.equal(joining, [join('common', 'unroll.ts')]);
});

test.run();

import './run-tests.js';

/*
 * Runs test files in Deno, whose globals are those of a browser. It reads their names, one per line, and writes the result of each
 * in a line that begins with MARK.
 */

declare const Deno: {
  stdin: { readable: ReadableStream<Uint8Array> };
  stdout: { writeSync(bytes: Uint8Array): number };
};

/** Marks the lines for the reading process; tests and uvu write other lines. */
const MARK = '\u0001';

const adapter = await navigator.gpu?.requestAdapter();
const tell = (value: unknown): void => {
  let bytes = new TextEncoder().encode(`\n${MARK}${JSON.stringify(value)}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
};
tell(adapter ? { description: adapter.info.description || adapter.info.device } : {});

let rest = '';
const text = Deno.stdin.readable.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>);
for await (const chunk of text as unknown as AsyncIterable<string>) {
  const lines = `${rest}${chunk}`.split('\n');
  rest = lines.pop()!;
  for (const name of lines) tell(await globalThis.runTestFile(`./${name}.js`));
}

// Serves this page's folder, the built package and its weights to browsers on this machine, until Ctrl-C: node serve.mjs [PORT]
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', mjs: 'text/javascript' };
const root = new URL('..', import.meta.url); // of the package

const server = createServer(async ({ url }, response) => {
  const path = url.replace(/\?.*/, '');
  // Files directly in these folders, and no others.
  if (!/^\/(examples|dist|models)\/[\w-]+\.(html|m?js|safetensors)$/.test(path)) return response.writeHead(404).end();
  try {
    const content = await readFile(new URL(path.slice(1), root));
    const type = TYPES[path.replace(/.*\./, '')] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(content);
  } catch {
    response.writeHead(404).end();
  }
});
server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => {
  console.log(`http://localhost:${server.address().port}/examples/in-a-page.html - open it in a browser with WebGPU`);
});

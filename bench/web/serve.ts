import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/data/files/package-root.js';

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript',
  css: 'text/css',
  json: 'application/json',
  safetensors: 'application/octet-stream',
  png: 'image/png',
  jpg: 'image/jpeg',
};

/**
 * Serves the files of a folder to this machine only.
 * @param port 0 takes a free one
 * @param files paths relative to the folder; nothing else is served
 * @param under path of the address below which the files are, such as "some/where/"
 * @throws Error if the port is taken
 */
export async function servePage(
  folder: string,
  port: number,
  files: readonly string[] = ['index.html', 'page.js'],
  under = '',
): Promise<{ server: Server; address: string }> {
  const server = createServer(async ({ url = '/' }, response) => {
    const path = url.replace(/\?.*/, '').slice(1);
    const name = path.startsWith(under) ? path.slice(under.length) || 'index.html' : '';
    if (!files.includes(name)) return response.writeHead(404).end('not found');
    try {
      const content = await readFile(join(folder, name));
      const headers = {
        'Content-Type': TYPES[name.replace(/.*\./, '')] ?? 'application/octet-stream',
        // With it, every browser can tell that a connection ended early.
        'Content-Length': content.length,
        'Cache-Control': 'no-store',
        // These two isolate the page. Browsers give isolated pages a clock of 5 µs in place of 100.
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      };
      response.writeHead(200, headers).end(content);
    } catch (error) {
      response.writeHead(500).end((error as Error).message);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  const at = server.address() as { port: number };
  return { server, address: `http://localhost:${at.port}/${under}` };
}

/**
 * Does the work of `npm run NAME [-- PORT]`: builds a page into a folder of `out/`, and serves it to browsers on this machine until
 * Ctrl-C. The port is 8080 if none is given.
 */
export async function serveBuilt(
  name: string,
  folderName: string,
  build: (folder: string) => Promise<readonly string[]>,
): Promise<void> {
  const text = process.argv[2] ?? '8080';
  const port = Number(text);
  try {
    if (!/^\d+$/.test(text) || port > 65_535)
      throw new Error(`"${text}" is not a port; expected an integer from 0 to 65535`);
    const folder = join(PACKAGE_ROOT, 'out', folderName);
    const files = await build(folder);
    const { address } = await servePage(folder, port, files);
    console.log(`${address} - open it in a browser with WebGPU; Ctrl-C stops the server`);
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

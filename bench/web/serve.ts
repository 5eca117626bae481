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
 * Serves the files of a folder to this machine only. Port 0: one that is free.
 * @param files paths from the folder; nothing else is served
 * @param under folder of the address that they lie in, such as "some/where/"
 * @throws Error where the port is taken
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
        // With it, every browser tells a connection that ended early.
        'Content-Length': content.length,
        'Cache-Control': 'no-store',
        // Browsers give isolated pages a finer clock: 5 µs where others get 100.
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
 * npm run NAME [-- PORT]: builds a page into a folder of `out/` and serves it to browsers on this machine, on port 8080 or
 * another one, until Ctrl-C.
 */
export async function serveBuilt(
  name: string,
  folderName: string,
  build: (folder: string) => Promise<readonly string[]>,
): Promise<void> {
  const text = process.argv[2] ?? '8080';
  const port = Number(text);
  try {
    if (!/^\d+$/.test(text) || port > 65_535) throw new Error(`"${text}" is not a port`);
    const folder = join(PACKAGE_ROOT, 'out', folderName);
    const files = await build(folder);
    const { address } = await servePage(folder, port, files);
    console.log(`${address} - open it in a browser with WebGPU; Ctrl-C ends it`);
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

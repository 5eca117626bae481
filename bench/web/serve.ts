import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

/** The files of the bench, with their types. */
const BENCH_FILES: Record<string, string> = { 'index.html': 'text/html; charset=utf-8', 'page.js': 'text/javascript' };

/**
 * Serves the page to this machine only, and nothing beside `files`, given with their types. Port 0: one that is free.
 * @throws Error where the port is taken
 */
export async function servePage(
  folder: string,
  port: number,
  files: Record<string, string> = BENCH_FILES,
): Promise<{ server: Server; address: string }> {
  const server = createServer(async ({ url = '/' }, response) => {
    const name = url.replace(/\?.*/, '').slice(1) || 'index.html';
    if (!Object.hasOwn(files, name)) return response.writeHead(404).end('not found');
    try {
      const content = await readFile(join(folder, name));
      const headers = {
        'Content-Type': files[name],
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
  return { server, address: `http://localhost:${at.port}/` };
}

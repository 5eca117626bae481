import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { findPackage } from './packages.js';

/** Paths of an unpacked SwiftShader. */
export interface SwiftShaderFiles {
  /** Vulkan ICD manifest of the driver. */
  icd: string;
  /** The Vulkan loader that comes with it, for machines that have none. */
  loader: string;
}

const ICD = 'vk_swiftshader_icd.json';
const LOADER = 'libvulkan.so.1';

/** Reads the regular files of a tar archive (the plain ustar layout: 512-byte headers, sizes in octal). */
function* tarFiles(tar: Uint8Array): Generator<{ name: string; data: Uint8Array }> {
  const text = (from: number, length: number) =>
    Buffer.from(tar.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8);
    const type = text(at + 156, 1);
    if (type === '0' || type === '') {
      yield { name: text(at, 100).replace(/^.*\//, ''), data: tar.subarray(at + 512, at + 512 + size) };
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

/** Folders to unpack to; the first one that can be written is used. Only CAMEO_CACHE if it is set. */
export function cacheRoots(): string[] {
  const named = process.env.CAMEO_CACHE;
  if (named) return [named];
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const user = process.getuid?.() ?? 0;
  return [join(home, 'cameo'), join(tmpdir(), `cameo-${user}`)];
}

/**
 * Unpacks the SwiftShader that npm `@sparticuz/chromium` carries, once, to the user's cache (CAMEO_CACHE, else
 * XDG_CACHE_HOME or ~/.cache, else the temporary folder). Needs no root and no Vulkan on the machine.
 *
 * @returns null if the package is not installed or this is not Linux x64, for which it is built
 */
export function unpackSwiftShader(): SwiftShaderFiles | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const installed = findPackage('@sparticuz/chromium');
  const packed = installed && join(installed.root, 'bin', 'swiftshader.tar.br');
  if (!packed || !existsSync(packed)) return null;
  for (const root of cacheRoots()) {
    const folder = join(root, `swiftshader-${installed.version}`);
    const files = { icd: join(folder, ICD), loader: join(folder, LOADER) };
    if (existsSync(files.icd)) return files;
    try {
      mkdirSync(root, { recursive: true });
      // Unpacked next to its place and renamed, so that two processes at once, or a kill, never leave half a folder.
      const fresh = mkdtempSync(join(root, 'unpack-'));
      try {
        for (const { name, data } of tarFiles(brotliDecompressSync(readFileSync(packed)))) {
          if (name.startsWith('libvk_swiftshader') || name === LOADER || name === ICD) {
            writeFileSync(join(fresh, name), data, { mode: 0o755 });
          }
        }
        renameSync(fresh, folder);
      } finally {
        rmSync(fresh, { recursive: true, force: true });
      }
    } catch {
      // Read-only or full, or another process was first: then its folder is there.
    }
    if (existsSync(files.icd)) return files;
  }
  return null;
}

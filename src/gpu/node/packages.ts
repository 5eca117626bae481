import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseJson } from '../../common/json.js';
import type { OptionalPackage } from '../../common/optional-packages.js';
import { decodeText } from '../../common/text.js';

/** Folder and version of an optional npm package; null if it is not installed. */
export function findPackage(name: OptionalPackage): { root: string; version: string } | null {
  try {
    for (
      let root = dirname(createRequire(import.meta.url).resolve(name));
      root !== dirname(root);
      root = dirname(root)
    ) {
      const manifest = join(root, 'package.json');
      if (!existsSync(manifest)) continue;
      const text = decodeText(readFileSync(manifest), manifest);
      const { name: found, version } = parseJson(text, manifest) as { name: string; version: string };
      if (found === name) return { root, version };
    }
  } catch {
    // Not installed, or without an entry point: unusable in both cases.
  }
  return null;
}

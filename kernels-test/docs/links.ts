import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from '../cli/cli-fixture.js';

/** A heading's anchor, as GitHub and TypeDoc make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[`*]/g, '')
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/**
 * What is wrong with the relative links and pictures of a page.
 * @param page path in the repository
 */
export function brokenLinks(page: string, text = readFileSync(join(ROOT, page), 'utf8')): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path, anchor] = target.split('#');
    const file = path ? normalize(join(dirname(page), path)) : page;
    const full = join(ROOT, file);
    if (!existsSync(full)) return [`${page}: ${target}: no such file`];
    if (anchor === undefined) return [];
    const headings = statSync(full).isFile() ? [...readFileSync(full, 'utf8').matchAll(/^#+ (.+)$/gm)] : [];
    const found = headings.some(([, heading]) => anchorOf(heading) === anchor);
    return found ? [] : [`${page}: ${target}: no such heading`];
  });
}

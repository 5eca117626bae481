import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from '../cli/cli-fixture.js';

/** The anchor of a heading, by the rules of GitHub and TypeDoc. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[`*]/g, '')
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/**
 * The relative links and pictures of a page that lead to no file or no heading, with the reason.
 * @param page path in `root`, which is the repository by default
 * @param text of the page
 */
export function brokenLinks(
  page: string,
  { root = ROOT, text = readFileSync(join(root, page), 'utf8') }: { root?: string; text?: string } = {},
): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path, anchor] = target.split('#');
    const file = path ? normalize(join(dirname(page), path)) : page;
    const full = join(root, file);
    if (!existsSync(full)) return [`${page}: ${target}: no such file`];
    if (anchor === undefined) return [];
    const headings = statSync(full).isFile() ? [...readFileSync(full, 'utf8').matchAll(/^#+ (.+)$/gm)] : [];
    const exists = headings.some(([, heading]) => anchorOf(heading) === anchor);
    return exists ? [] : [`${page}: ${target}: no such heading`];
  });
}

/*
 * What the page, the reports and the plots look like: colours, sizes of type and spaces, in one place. Texts have a contrast of
 * at least 4.5 on paper and band (WCAG 2, AA), light and dark.
 */

export interface Colours {
  /** Behind everything, and behind what stands out from it. */
  paper: string;
  band: string;
  /** Texts, texts of less weight, and thin lines. */
  ink: string;
  faint: string;
  line: string;
  /** What can be pressed, and the text on it. */
  accent: string;
  onAccent: string;
  /** Problems, and borders of what is typed into. */
  bad: string;
  edge: string;
}

export const LIGHT: Colours = {
  paper: '#ffffff',
  band: '#f3f5f8',
  ink: '#1b1d22',
  faint: '#565d69',
  line: '#d9dde3',
  accent: '#0f5f8f',
  onAccent: '#ffffff',
  bad: '#b3261e',
  edge: '#7d8592',
};

export const DARK: Colours = {
  paper: '#14161b',
  band: '#1e2129',
  ink: '#e8e9ec',
  faint: '#a9afba',
  line: '#343842',
  accent: '#6cb8ea',
  onAccent: '#0b1620',
  bad: '#ff9088',
  edge: '#7d8592',
};

/** Okabe and Ito's colours, told apart with any colour vision. */
export const SERIES_COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#808080'];

export const FONT = "system-ui,-apple-system,'Segoe UI',sans-serif";

const variables = ({ onAccent, ...colours }: Colours): string =>
  [...Object.entries(colours), ['on-accent', onAccent]].map(([name, value]) => `--${name}:${value}`).join(';');

/** As variables of CSS. Type grows by a quarter from step to step, spaces by about a half. */
export const LOOK = `
:root{color-scheme:light dark;${variables(LIGHT)};
--small:.875rem;--large:1.25rem;--larger:1.6rem;--space-1:.25rem;--space-2:.5rem;--space-3:1rem;--space-4:1.5rem;--space-5:2.5rem;--round:.5rem}
@media(prefers-color-scheme:dark){:root{${variables(DARK)}}}`;

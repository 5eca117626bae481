/** The style of the panel. It needs the style of reports, too. */
export const PANEL_STYLE = `
#form label{display:inline-block;min-width:9rem}#form input:not([type=checkbox]){font:inherit;max-width:100%}
fieldset{border:1px solid var(--line);border-radius:var(--round)}button{font:inherit;padding:.3rem 1.2rem}small{color:var(--faint);display:block}
progress{width:100%}svg{max-width:100%;height:auto}:focus-visible{outline:2px solid var(--accent);outline-offset:2px}`;

/** The command as it was typed, for reports. */
export function commandLine(): string {
  const words = process.argv.slice(2).map((word) => (/^[\w./:=@%+-]+$/.test(word) ? word : JSON.stringify(word)));
  return ['cameo', ...words].join(' ');
}

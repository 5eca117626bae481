/** A storage binding: its name, `r` (read) or `w` (read and write), and the type of its elements. */
export type TypedBinding = [name: string, access: 'r' | 'w', type: string];

/** Declares the storage bindings 0, 1, … in order, each with its own element type. */
export function typedBindings(...bindings: TypedBinding[]): string {
  return bindings
    .map(
      ([name, access, type], k) =>
        `@group(0) @binding(${k}) var<storage, ${access === 'r' ? 'read' : 'read_write'}> ${name}: array<${type}>;`,
    )
    .join('\n');
}

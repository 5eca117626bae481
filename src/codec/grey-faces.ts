/** Whether all pixels are grey: the restored face is then grey, too. */
export function isGrey(face: Uint8Array): boolean {
  for (let i = 0; i < face.length; i += 3) if (face[i] !== face[i + 1] || face[i] !== face[i + 2]) return false;
  return true;
}

/** The picture in grey, in place. */
export function greyed(face: Uint8Array): Uint8Array {
  for (let i = 0; i < face.length; i += 3) {
    face.fill(Math.round(0.299 * face[i] + 0.587 * face[i + 1] + 0.114 * face[i + 2]), i, i + 3);
  }
  return face;
}

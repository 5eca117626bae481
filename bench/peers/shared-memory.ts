/**
 * Makes a queue accept data in shared memory, such as the memory of WebAssembly with threads. Browsers accept it; Dawn's binding
 * for Node refuses it. Such data is copied first.
 * @returns a function that undoes the change
 */
export function acceptSharedMemory(queue: GPUQueue): () => void {
  const writeBuffer = queue.writeBuffer.bind(queue);
  queue.writeBuffer = (buffer, bufferOffset, data, dataOffset = 0, size?: number) => {
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data);
    if (!(view.buffer instanceof SharedArrayBuffer)) {
      // In Dawn's binding, an explicit undefined is not the same as a missing argument.
      if (size === undefined) writeBuffer(buffer, bufferOffset, data as ArrayBuffer, dataOffset);
      else writeBuffer(buffer, bufferOffset, data as ArrayBuffer, dataOffset, size);
      return;
    }
    // In a typed array, offset and size count elements, not bytes.
    const unit = 'BYTES_PER_ELEMENT' in view ? Number(view.BYTES_PER_ELEMENT) : 1;
    const length = size === undefined ? view.byteLength - dataOffset * unit : size * unit;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + dataOffset * unit, length);
    writeBuffer(buffer, bufferOffset, Uint8Array.from(bytes));
  };
  return () => {
    delete (queue as Partial<GPUQueue>).writeBuffer; // the method of the class shows again
  };
}

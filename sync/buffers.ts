/** Buffers that are used again and again: garbage of this size would pile up to several times what is in use. */
const free = new Map<number, Buffer[]>();
const smallest = 4096;
/** Bigger ones are no more than this too big. */
const step = 1024 * 1024;

/** A buffer of at least so many bytes, with anything in it. */
export function takeBuffer(sizeBytes: number): Buffer {
  const size = sizeOf(sizeBytes);
  return free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
}

/** Whoever took it has no use for it any more. */
export function giveBuffer(buffer: Buffer): void {
  const others = free.get(buffer.byteLength);
  if (others) others.push(buffer);
  else free.set(buffer.byteLength, [buffer]);
}

function sizeOf(sizeBytes: number): number {
  if (sizeBytes > step) return Math.ceil(sizeBytes / step) * step;
  let size = smallest;
  while (size < sizeBytes) size *= 2;
  return size;
}

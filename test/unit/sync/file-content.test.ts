import { expect, it } from "vitest";
import { partBytes } from "../../../domain/ports.ts";
import { partBytesOf } from "../../../sync/file-content.ts";

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

it.each([
  [0, partBytes],
  [1.5 * gibibyte, partBytes],
  [2.5 * gibibyte, partBytes],
  [2.5 * gibibyte + 1, partBytes + mebibyte],
  [5 * gibibyte, 10 * mebibyte],
  [5 * gibibyte + 1, 11 * mebibyte],
  [100 * gibibyte, 200 * mebibyte],
])("a file of %d bytes goes in parts of %d, of which there are never more than 512", (sizeBytes, bytesOfPart) => {
  expect(partBytesOf(sizeBytes)).toBe(bytesOfPart);
  expect(Math.ceil(sizeBytes / bytesOfPart)).toBeLessThanOrEqual(512);
});

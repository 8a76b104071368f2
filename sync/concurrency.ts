/** Runs `work` over all items, at most `limit` at once, and returns the results in the items' order. Stops at the first failure. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as Item);
    }
  };
  const failed = (error: unknown) => {
    next = items.length;
    throw error;
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, () => worker().catch(failed)));
  return results;
}

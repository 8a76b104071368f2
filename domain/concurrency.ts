export interface Limits<Item> {
  /** Items at once. */
  readonly items: number;
  /** What an item weighs, and how much all at once may weigh; one that is heavier than that goes alone. */
  readonly weightOf?: (item: Item) => number;
  readonly weight?: number;
}

/** Runs `work` over all items, as many at once as the limits allow, and returns the results in the items' order. Stops at the first failure. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  limits: Limits<Item>,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const { weightOf = () => 0, weight: maximum = 0 } = limits;
  const results: Result[] = [];
  let next = 0;
  let carried = 0;
  const waiting: (() => void)[] = [];

  const fits = (weight: number) => weight === 0 || carried === 0 || carried + weight <= maximum;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      const item = items[index] as Item;
      const weight = weightOf(item);
      while (!fits(weight)) await new Promise<void>((resolve) => waiting.push(resolve));
      carried += weight;
      try {
        results[index] = await work(item);
      } finally {
        carried -= weight;
        for (const wake of waiting.splice(0)) wake();
      }
    }
  };
  const failed = (error: unknown) => {
    next = items.length;
    throw error;
  };
  const outcomes = await Promise.allSettled(
    Array.from({ length: Math.min(limits.items, items.length) }, () => worker().catch(failed)),
  );
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
  return results;
}

import { Redis, type Command, type RedisOptions } from "ioredis";

type Options = Omit<RedisOptions, "replyMapping" | "commandTimeout">;

/**
 * Sends the commands of one turn of the event loop together, and fails those of them that are not answered in time.
 * ioredis' own ways cost more: what `enableAutoPipelining` keeps of a command outlives it until the next full
 * collection, and `commandTimeout` gives each a timer.
 */
export class RedisByTurns extends Redis {
  readonly #timeoutMs: number;
  #turn: Command[] | undefined;

  /** `url` may be in the options instead, as Sentinels. */
  constructor(timeoutMs: number, options: Options, url?: string) {
    super(...((url ? [url, options] : [options]) as [Options]));
    this.#timeoutMs = timeoutMs;
  }

  override sendCommand(...call: Parameters<Redis["sendCommand"]>): unknown {
    this.#turn ??= this.#beginTurn();
    this.#turn.push(call[0]);
    return super.sendCommand(...call);
  }

  #beginTurn(): Command[] {
    const { stream } = this;
    const turn: Command[] = [];
    stream?.cork();
    setImmediate(() => {
      this.#turn = undefined;
      stream?.uncork();
      this.#awaitAnswers(turn);
    });
    return turn;
  }

  #awaitAnswers(turn: readonly Command[]): void {
    const late = setTimeout(() => {
      for (const command of turn) if (!command.isSettled) command.reject(new Error("Command timed out"));
    }, this.#timeoutMs);
    const answered = () => {
      if (turn.every(({ isSettled }) => isSettled)) clearTimeout(late);
    };
    // Commands are answered in their order.
    turn.at(-1)?.promise.then(answered, answered);
  }
}

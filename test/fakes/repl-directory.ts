import { ReplError } from "../../domain/errors.ts";
import type { ReadTruth, ReplDirectory, SessionReport } from "../../domain/ports.ts";
import { byCreation, replFrom, type KnownRepl, type Repl, type Session } from "../../domain/repl.ts";

interface UserLookUps {
  readonly epoch: string;
  /** Of the server that was filled: another one may know less than was known before. */
  readonly history: number;
  readonly repls: Map<string, KnownRepl>;
  list?: readonly Repl[] | undefined;
}

/** The look-ups in memory. `flush` is what FLUSHALL does to the real ones, `dump` what their server can come back with. */
export function createFakeReplDirectory(readTruth: ReadTruth = async () => []) {
  let users = new Map<string, UserLookUps>();
  let epochs = 0;
  let history = 0;
  const isKnown = (userId: string) => users.get(userId)?.history === history;

  async function lookUpsOf(userId: string): Promise<UserLookUps> {
    if (!isKnown(userId)) {
      const known = await readTruth(userId);
      // Somebody else may have filled them meanwhile.
      if (!isKnown(userId)) {
        const repls = new Map(known.map((repl) => [repl.record.id, repl]));
        users.set(userId, { epoch: String(++epochs), history, repls });
      }
    }
    return users.get(userId) ?? lookUpsOf(userId);
  }

  async function change(session: Session, make: (known: KnownRepl) => KnownRepl): Promise<boolean> {
    const lookUps = await lookUpsOf(session.userId);
    const known = lookUps.repls.get(session.replId);
    if (!known || (known.session && known.session.id !== session.id)) return false;
    lookUps.repls.set(session.replId, make(known));
    lookUps.list = undefined;
    return true;
  }

  const reports = new Map<string, SessionReport>();

  const directory: ReplDirectory = {
    async reserve(record, session, limits, status) {
      const isCreating = status === "creating";
      const lookUps = await lookUpsOf(session.userId);
      const { epoch, repls } = lookUps;
      const known = repls.get(record.id);
      if (known?.session && known.session.id !== session.id)
        throw new ReplError("conflict", "Another session of this REPL is running.");
      if (!known && isCreating && repls.size >= limits.maxRepls)
        throw new ReplError("quota_exceeded", `You have ${limits.maxRepls} REPLs`);
      const active = [...repls.values()].filter((repl) => repl.session && repl.record.id !== record.id).length;
      if (!known?.session && active >= limits.maxActive)
        throw new ReplError("quota_exceeded", `You have ${limits.maxActive} REPLs open`);
      if (!known?.session)
        repls.set(record.id, {
          record: known?.record ?? record,
          session: { id: session.id, state: "starting" },
          isCreating,
        });
      lookUps.list = undefined;
      return { epoch, isCreating };
    },
    async publish(session, url, record, place, limits) {
      const lookUps = await lookUpsOf(session.userId);
      const { epoch, repls } = lookUps;
      const current = repls.get(record.id)?.session;
      if (current && current.id !== session.id) throw new ReplError("conflict", "Another session runs.");
      if (place.epoch !== "" && place.epoch !== epoch) {
        const others = [...repls.values()].filter((repl) => repl.record.id !== record.id);
        const isFull = place.isCreating && others.length >= limits.maxRepls;
        if (isFull || others.filter((repl) => repl.session).length >= limits.maxActive)
          throw new ReplError("quota_exceeded", "Others have taken the place meanwhile.");
      }
      repls.set(record.id, { record, session: { id: session.id, state: "running", url } });
      lookUps.list = undefined;
    },
    async setState(session, state, reason) {
      await change(session, (known) => ({
        ...known,
        session: { id: session.id, state, ...(reason ? { reason } : {}) },
      }));
    },
    async touch(session, { save, connections, lastActivityAt }, record) {
      const known = (await lookUpsOf(session.userId)).repls.get(session.replId);
      if (known?.session?.id !== session.id) return false;
      reports.set(session.id, { connections, lastActivityAt, reportedAt: new Date().toISOString() });
      const { unsaved: _, ...rest } = known.session;
      const unsaved = save?.unsaved ? { unsaved: save.unsaved } : {};
      return change(session, (before) => ({
        ...before,
        record: record ?? before.record,
        session: { ...rest, ...unsaved },
      }));
    },
    async withdraw(session, { repl, failure }) {
      await change(session, ({ record }) => ({ record: repl ?? record, ...(failure ? { failure } : {}) }));
    },
    async forget(userId, replId) {
      const lookUps = await lookUpsOf(userId);
      lookUps.repls.delete(replId);
      lookUps.list = undefined;
    },
    async list(userId) {
      const lookUps = await lookUpsOf(userId);
      lookUps.list ??= [...lookUps.repls.values()].map(replFrom).sort(byCreation);
      return lookUps.list;
    },
    async activeSession(userId, replId) {
      return (await lookUpsOf(userId)).repls.get(replId)?.session;
    },
    async reports(sessions) {
      return sessions.map(({ id }) => reports.get(id));
    },
    async *marks() {
      for (const [userId, { repls }] of users)
        yield [...repls.values()].flatMap(({ record, session }) =>
          session ? [{ id: session.id, replId: record.id, userId }] : [],
        );
    },
    async check() {},
  };
  return {
    directory,
    /** Sets what a runner has reported. */
    report: (session: Session, report: SessionReport) => void reports.set(session.id, report),
    flush() {
      users = new Map();
    },
    /** The returned function has the server come back with what it knows now. */
    dump(): () => void {
      const dumped = structuredClone(users);
      return () => {
        users = structuredClone(dumped);
        history++;
      };
    },
  };
}

-- Up Migration

create table repl (
  user_id text not null,
  id text not null,
  record jsonb not null,
  primary key (user_id, id)
);

comment on table repl is 'The registry: which REPLs there are, each with its newest save (domain/repl.ts, ReplRecord)';

create table repl_deletion (
  user_id text not null,
  id text not null,
  login text not null,
  begun_at timestamptz not null default now(),
  primary key (user_id, id)
);

comment on table repl_deletion is 'Deletions that have begun: there may still be files of them in the bucket';

-- Down Migration

drop table repl_deletion;
drop table repl;

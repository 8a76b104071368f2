-- Up Migration

alter table repl_deletion add column created_at text;

comment on column repl_deletion.created_at is 'Of the record that the deletion is about: another REPL of the same id is left alone';

-- Down Migration

alter table repl_deletion drop column created_at;

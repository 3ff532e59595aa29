import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planGlobals } from './globals.ts'

const SCRIPT = `--
-- PostgreSQL database cluster dump
--

\\restrict LECT8xmGAqg8COQaXhChvCMXtyH1ObWEBdM5wrLii6ibDthc9xcFyXSbhBnDyoi

SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c';
CREATE ROLE "odd ""role";
ALTER ROLE "odd ""role" WITH NOSUPERUSER NOLOGIN;
COMMENT ON ROLE "odd ""role" IS 'two
lines; -- no comment';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
ALTER ROLE postgres SET search_path TO 'x';

GRANT app TO postgres WITH INHERIT TRUE GRANTED BY postgres;
GRANT app TO "odd ""role" WITH INHERIT TRUE GRANTED BY postgres;

CREATE TABLESPACE ts OWNER postgres LOCATION '/ts';

\\unrestrict LECT8xmGAqg8COQaXhChvCMXtyH1ObWEBdM5wrLii6ibDthc9xcFyXSbhBnDyoi
`

test('roles that are not there are made with all that is said of them; others stay as they are', () => {
  const { statements, newRoles, leftOut } = planGlobals(SCRIPT, {
    isSuperuser: true,
    roles: new Set(['postgres']),
  })

  assert.deepEqual(statements, [
    'CREATE ROLE app',
    "ALTER ROLE app WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c'",
    'CREATE ROLE "odd ""role"',
    'ALTER ROLE "odd ""role" WITH',
    `COMMENT ON ROLE "odd ""role" IS 'two\nlines; -- no comment'`,
    'GRANT app TO "odd ""role" WITH INHERIT TRUE GRANTED BY postgres',
  ])
  assert.deepEqual([...newRoles], ['app', 'odd "role'])
  assert.deepEqual(leftOut, [
    "role 'postgres' is there and stays as it is",
    "tablespaces are not made: their directories are this host's",
  ])
})

test('who is no superuser names no attribute that he need not, and nobody else as the grantor', () => {
  const script = `
CREATE ROLE "a WITH b";
ALTER ROLE "a WITH b" WITH NOSUPERUSER NOINHERIT CREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 3 PASSWORD 'NOLOGIN';
GRANT app TO "a WITH b" WITH INHERIT TRUE GRANTED BY "post gres";
`
  const target = { isSuperuser: false, roles: new Set(['app']) }
  const { statements, leftOut } = planGlobals(script, target)

  assert.deepEqual(statements, [
    'CREATE ROLE "a WITH b"',
    `ALTER ROLE "a WITH b" WITH NOINHERIT CREATEROLE LOGIN CONNECTION LIMIT 3 PASSWORD 'NOLOGIN'`,
    'GRANT app TO "a WITH b" WITH INHERIT TRUE',
  ])
  assert.deepEqual(leftOut, [
    'memberships are granted by this user: only a superuser may name another one',
  ])
})

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
  const { statements, newRoles, leftOut } = planGlobals(SCRIPT, new Set(['postgres']))

  assert.deepEqual(statements, [
    'CREATE ROLE app',
    "ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c'",
    'CREATE ROLE "odd ""role"',
    'ALTER ROLE "odd ""role" WITH NOSUPERUSER NOLOGIN',
    `COMMENT ON ROLE "odd ""role" IS 'two\nlines; -- no comment'`,
    'GRANT app TO "odd ""role" WITH INHERIT TRUE GRANTED BY postgres',
  ])
  assert.deepEqual([...newRoles], ['app', 'odd "role'])
  assert.deepEqual(leftOut, [
    "role 'postgres' is there and stays as it is",
    "tablespaces are not made: their directories are this host's",
  ])
})

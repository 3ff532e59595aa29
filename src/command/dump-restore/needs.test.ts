import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseArchiveHead } from '../../format/archive-toc.ts'
import { needsOf } from './needs.ts'

const bytes = readFileSync(new URL('../../../test/fixtures/archives/18.head', import.meta.url))

test('the roles that an archive needs are those that own, are granted to, and are named in policies', () => {
  const { owners, grantees, defaulting, mentioned } = needsOf(
    parseArchiveHead(bytes)?.entries ?? [],
  )

  assert.deepEqual([...owners].toSorted(), ['app', 'postgres'])
  assert.deepEqual([...grantees].toSorted(), ['app', 'reader'])
  assert.deepEqual([...defaulting], ['app'])
  // Not `now`, which stands behind FROM in the condition.
  assert.deepEqual([...mentioned].toSorted(), ['odd TO role', 'reader'])
})

test('what only superusers may make is known by its kind, or by what pg_dump writes of it', () => {
  const entry = {
    dumpId: 1,
    oid: 1,
    tag: 'x',
    section: 'pre-data',
    schema: 's',
    tablespace: undefined,
    owner: undefined,
    dependencies: [],
  } as const
  const isOfSuperusers = (kind: string, definition: string): boolean =>
    needsOf([{ ...entry, kind, definition }]).ofSuperusers.length === 1
  const head = 'CREATE FUNCTION "s"."x"("a" integer) RETURNS integer\n'

  assert(isOfSuperusers('EVENT TRIGGER', ''))
  assert(isOfSuperusers('FUNCTION', `${head}    LANGUAGE "c" STRICT\n    AS 'x', 'y';`))
  assert(isOfSuperusers('FUNCTION', `${head}    LANGUAGE "sql" IMMUTABLE LEAKPROOF\n    AS $$x$$;`))
  assert(
    !isOfSuperusers('FUNCTION', `${head}    LANGUAGE "sql"\n    AS $$\n  LANGUAGE c LEAKPROOF$$;`),
  )
  assert(isOfSuperusers('TYPE', 'CREATE TYPE "s"."x" (\n    INTERNALLENGTH = 4,\n'))
  assert(!isOfSuperusers('TYPE', 'CREATE TYPE "s"."x" AS ENUM (\n    \'INTERNALLENGTH = \'\n'))
  assert(isOfSuperusers('ACL', 'SET SESSION AUTHORIZATION "app";\nGRANT ALL ON TABLE'))
  assert(!isOfSuperusers('ACL', 'GRANT ALL ON TABLE'))
})

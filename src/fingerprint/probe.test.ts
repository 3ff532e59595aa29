import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SchemaFact } from '../format/fingerprint.ts'
import { definitionOf } from './definition.ts'
import { type Probe, probeOf } from './probe.ts'

/** Of the first part. */
function probe(fact: Omit<SchemaFact, 'name'>): Probe {
  const restored = { name: 'x', oid: 7, tableOid: 8, ...fact }
  const [part] = definitionOf(restored).parts
  if (part === undefined) throw new Error('nothing is worded')
  return probeOf(part, restored)
}

const NAME = 'pg_temp."wording of pgsurety"'

test('an expression is asked as a view over what its columns are of', () => {
  const check = probe({ kind: 'constraint', definition: 'CHECK (("a" > \'b\'))' })
  assert.equal(
    check.statement,
    `'create temporary view ${NAME} as ' || 'select (("a" > ''b'')) as value' || ' from only ' || 8::regclass::text`,
  )
  assert.equal(check.question, `select pg_get_viewdef('${NAME}'::regclass)`)
  assert.match(probe({ kind: 'published table', definition: 'where "a"' }).statement, /oid = 7\)$/)
})

test('a rule is made on a table of the same columns, and nowhere else', () => {
  const definition =
    'CREATE RULE "r" AS\n    ON UPDATE TO "app"."t" DO INSTEAD  DELETE FROM "app"."t";'
  assert.equal(
    probe({ kind: 'rule', definition }).statement,
    `'create temporary table ${NAME} (like ' || 8::regclass::text || ');' || 'CREATE RULE "r" AS\n    ON UPDATE TO ${NAME} DO INSTEAD  DELETE FROM "app"."t";'`,
  )
})

test('a function keeps its name, by which its body may name parameters, and nothing that acts', () => {
  const definition =
    'CREATE OR REPLACE FUNCTION "app"."f"("a" integer)\n RETURNS integer\n LANGUAGE "sql"\n SECURITY DEFINER\n SET "role" TO \'x\'\nRETURN "f"."a"\n'
  assert.equal(
    probe({ kind: 'function', definition }).statement,
    `'create FUNCTION pg_temp."f"("a" integer)\n RETURNS integer language sql\nRETURN "f"."a"'`,
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Part } from './definition.ts'
import { staysOneStatement } from './one-statement.ts'

const expression = (text: string): Part => ({ kind: 'expression', text, over: 'nothing' })
const rule = (text: string): Part => ({ kind: 'rule', head: '', text })
const routine = (text: string, head = '()'): Part => ({
  kind: 'routine',
  what: 'FUNCTION',
  name: '"f"',
  head,
  text,
})

test('what servers write is one statement', () => {
  for (const part of [
    expression('(("a" > \'; drop\'::"text") AND ("b; --" IS NULL) AND ("c" = E\'\\\\\'\'\\\\\'))'),
    expression('($1 + $2)'),
    rule(' DO INSTEAD NOTHING;'),
    rule(' DO ( DELETE FROM "t";\n INSERT INTO "t" DEFAULT VALUES;\n);'),
    routine('RETURN ("a" - 1)'),
    routine('BEGIN ATOMIC\n SELECT CASE WHEN "a" THEN 1 END;\n DELETE FROM "END";\nEND'),
  ]) {
    assert.equal(staysOneStatement(part), true, JSON.stringify(part))
  }
})

test('what would become another statement is not', () => {
  for (const part of [
    expression('1) as value; drop table t; select (2'),
    expression('1); drop table t; select (2'),
    expression("E'\\'; drop table t; select '1'"),
    expression("'1' -- '"),
    expression("'1' /* '"),
    expression('$a$ $a$'),
    expression("$$'$$ || 1) as v; drop table t; select ('"),
    expression('$1$2; drop table t; $1$2'),
    expression("'not closed"),
    expression('(1'),
    rule(' DO NOTHING; drop table t;'),
    routine('RETURN 1; drop table t'),
    routine('BEGIN ATOMIC\n SELECT 1; END; drop table t; BEGIN;\nEND'),
    routine('BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END; end; drop table t;\nEND'),
    routine('RETURN 1', '() returns int return 1; drop table t'),
  ]) {
    assert.equal(staysOneStatement(part), false, JSON.stringify(part))
  }
})

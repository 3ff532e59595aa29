import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseDatabases, type FoundDatabase, objectPrefix } from './choose.ts'

function found(name: string, rest: Partial<FoundDatabase> = {}): FoundDatabase {
  return { name, oid: 1, sizeBytes: 1, isTemplate: false, closedBecause: undefined, ...rest }
}

const DATABASES = [
  found('a.b'),
  found('a_b'),
  found('a*'),
  found('x\ny'),
  found('template1', { isTemplate: true }),
  found('closed', { closedBecause: 'it does not allow connections' }),
]

function names(include: readonly string[], exclude: readonly string[] = []): readonly string[] {
  return chooseDatabases(DATABASES, { include, exclude }).chosen.map(({ name }) => name)
}

test('patterns fit whole names, and nothing in them but * and ? has a meaning', () => {
  assert.deepEqual(names(['a.b']), ['a.b'])
  assert.deepEqual(names(['a?b']), ['a.b', 'a_b'])
  assert.deepEqual(names(['a*']), ['a.b', 'a_b', 'a*'])
  assert.deepEqual(names(['x?y']), ['x\ny'])
  assert.deepEqual(names(['*'], ['a*']), ['x\ny'])
  assert.deepEqual(names(['template1']), ['template1'])
})

test('what is asked for and not there is an error, what is excluded and not there is told', () => {
  assert.throws(() => names(['a.b', 'b*']), { kind: 'db-missing', message: /'b\*'$/ })
  assert.throws(() => names(['a*'], ['a*']), { message: 'no database is left to dump' })
  const { idle } = chooseDatabases(DATABASES, { include: [], exclude: ['a*', 'nothing'] })
  assert.deepEqual(idle, ['nothing'])
})

test('every database that is not dumped is named with its reason', () => {
  const { skipped, closed } = chooseDatabases(DATABASES, { include: [], exclude: ['a*'] })

  assert.deepEqual(
    skipped.map(({ name, reason }) => `${name}: ${reason}`),
    ['a.b: excluded', 'a_b: excluded', 'a*: excluded', 'template1: a template'],
  )
  assert.deepEqual(
    closed.map(({ name }) => name),
    ['closed'],
  )
})

test('names of objects are safe, and say nothing where the repository is encrypted', () => {
  assert.equal(objectPrefix(0, '../a b', 'shown'), '0001-___a_b')
  assert.equal(objectPrefix(11, 'secret', 'hidden'), '0012')
})

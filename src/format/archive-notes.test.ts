import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import {
  addDropped,
  mergeDrops,
  type MissingNote,
  parseDrops,
  parseMissingNote,
  renderNote,
} from './archive-notes.ts'

const MISSING: MissingNote = {
  repoKey: 2,
  location: '/mnt/nås',
  sinceMs: 1_795_000_000_123,
  archiveId: '15-1',
  from: '000000010000000000000005',
  reason: '[073] "gone"\nHINT: where?',
}

test('notes are read as they were written', () => {
  assert.deepEqual(parseMissingNote(renderNote(MISSING)), MISSING)
  const drops = addDropped([], 'A', 1)
  assert.deepEqual(parseDrops(renderNote(drops)), drops)
})

test('what is no note is refused', () => {
  for (const text of ['', '[]', '{"repoKey":"2"}', '[1]', '{}', 'null']) {
    assert.throws(
      () => [parseMissingNote(Buffer.from(text)), parseDrops(Buffer.from(text))],
      (error) => isErrorKind(error, 'format'),
      text,
    )
  }
})

test('files dropped one after the other are one drop, and a new one begins where names begin again', () => {
  let drops = addDropped([], 'A1', 10)
  drops = addDropped(drops, 'A2', 20)
  drops = addDropped(drops, 'A1', 30)

  assert.deepEqual(drops, [
    { first: 'A1', last: 'A2', count: 2, firstMs: 10, lastMs: 20 },
    { first: 'A1', last: 'A1', count: 1, firstMs: 30, lastMs: 30 },
  ])
})

test('a drop that has grown since it was told replaces what was told', () => {
  const told = addDropped([], 'A', 10)
  const grown = addDropped(told, 'B', 20)
  const older = addDropped([], '0', 5)

  assert.deepEqual(mergeDrops([...told], [...older, ...grown]), [...older, ...grown])
})

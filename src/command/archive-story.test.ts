import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellArchiveStory } from './archive-story.ts'

test('the story of a repository that lags is one line, with what kept WAL from it', () => {
  const missing = {
    repoKey: 2,
    location: '/b',
    sinceMs: 0,
    archiveId: '15-1',
    from: '000000010000000000000007',
    reason: "[73] unable to load 'x' or 'x.copy':\nnot there\nnot there",
    heldBy: 1,
    count: 3,
  }

  assert.deepEqual(tellArchiveStory({ missing: [missing], drops: [] }), [
    "repo2 misses 3 WAL file(s) from 000000010000000000000007 on, since 1970-01-01T00:00:00Z; they will be copied from repo1: [73] unable to load 'x' or 'x.copy': not there",
  ])
})

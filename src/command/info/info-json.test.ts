import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  content,
  EVERYTHING,
  FULL,
  INCR,
  MANIFEST,
  PROGRESS,
  repo,
  stanza,
} from '../../../test/harness/info-facts.ts'
import { renderJson } from '../../format/json.ts'
import type { InfoFacts } from './facts.ts'
import { infoToJson } from './info-json.ts'

function render(facts: InfoFacts): string {
  return renderJson(infoToJson(facts))
}

test('a stanza with a full backup is told with every member, sorted', () => {
  const json = render({ question: EVERYTHING, stanzas: [stanza(repo(content()))] })

  assert.equal(
    json,
    '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000026","min":"000000010000000000000022"}],' +
      '"backup":[{"archive":{"start":"000000010000000000000023","stop":"000000010000000000000024"},' +
      '"backrest":{"format":5,"version":"2.60.0"},"database":{"id":1,"repo-key":1},"error":false,' +
      '"info":{"delta":24557453,"repository":{"delta":3510424,"size":3510424},"size":24557453},' +
      '"label":"20261122-182058F","lsn":{"start":"0/23000028","stop":"0/24000100"},"prior":null,"reference":null,' +
      '"timestamp":{"start":1795371658,"stop":1795371660},"type":"full"}],"cipher":"none",' +
      '"db":[{"id":1,"repo-key":1,"system-id":7711057360272275713,"version":"15"}],"name":"demo",' +
      '"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],' +
      '"status":{"code":0,"lock":{"backup":{"held":false},"restore":{"held":false}},"message":"ok"}}]',
  )
})

test('progress tells status and locks only', () => {
  const lock = { held: true, sizeBytes: 24491914, completeBytes: 10330000 }
  const running = stanza(repo({ kind: 'not-read' }, { backupLock: lock }))

  assert.equal(
    render({ question: PROGRESS, stanzas: [running] }),
    '[{"name":"demo","status":{"code":0,"lock":{"backup":{"held":true,' +
      '"repo":[{"key":1,"size":24491914,"size-cplt":10330000}],"size":24491914,"size-cplt":10330000},' +
      '"restore":{"held":false}},"message":"ok"}}]',
  )
})

test('a held lock without sizes is only held', () => {
  const lock = { held: true, sizeBytes: 0, completeBytes: 0 }
  const facts = { ...stanza(repo({ kind: 'not-read' }, { backupLock: lock })), restoreLock: lock }

  assert.match(
    render({ question: PROGRESS, stanzas: [facts] }),
    /"lock":\{"backup":\{"held":true\},"restore":\{"held":true\}\}/,
  )
})

test('with block maps the sizes of the maps replace the size of the set', () => {
  const entry = { ...INCR, repoSizeMapBytes: 900, repoSizeMapDeltaBytes: 90 }
  const json = render({
    question: EVERYTHING,
    stanzas: [stanza(repo(content({ backups: [entry] })))],
  })

  assert.match(json, /"repository":\{"delta":31816,"delta-map":90,"size-map":900\},/)
  assert.match(json, /"prior":"20261122-182058F","reference":\["20261122-182058F"\]/)
})

test('a backup asked for by label tells databases, links, tablespaces and annotations', () => {
  const entry = { ...FULL, annotations: new Map([['note', 'x']]) }
  const asked = repo(content({ backups: [entry], manifest: MANIFEST }))
  const json = render({
    question: { ...EVERYTHING, label: FULL.label },
    stanzas: [stanza(asked)],
  })

  assert.match(json, /"backup":\[\{"annotation":\{"note":"x"\},/)
  assert.match(json, /"database-ref":\[\{"name":"postgres","oid":5\}\],"error":false,/)
  assert.match(json, /"link":null,.*"tablespace":null,/)
})

test('a cluster without WAL and an offline backup of unknown health leave members out or null', () => {
  const entry = {
    ...FULL,
    archiveStart: undefined,
    archiveStop: undefined,
    lsnStart: undefined,
    error: undefined,
  }
  const json = render({
    question: EVERYTHING,
    stanzas: [
      stanza(
        repo(
          content({
            backups: [entry],
            databases: [
              { id: 1, systemId: 5n, version: '14', archive: undefined },
              { id: 2, systemId: 6n, version: '15', archive: { id: '15-2', range: undefined } },
            ],
          }),
        ),
      ),
    ],
  })

  assert.match(
    json,
    /^\[\{"archive":\[\{"database":\{"id":2,"repo-key":1\},"id":"15-2","max":null,"min":null\}\],/,
  )
  assert.match(json, /"backup":\[\{"archive":\{"start":null,"stop":null\},/)
  assert.doesNotMatch(json, /"error"|"lsn"/)
})

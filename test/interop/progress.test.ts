/** What `info` of either tool says of a backup that the other one is taking. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, runAs, spawnAs } from '../harness/run.ts'
import { type ArchivedCluster, startArchivedCluster } from '../scenario/archived-cluster.ts'

let bed: ArchivedCluster
let theirs: string

before(async () => {
  theirs = await pgBackRest('2.60')
  bed = await startArchivedCluster({
    version: '15',
  })
  // Progress is told file by file.
  for (let number = 1; number <= 8; number += 1) {
    await bed.cluster.psql(
      `create table wide${number} as select md5(n::text) || md5((-n)::text) as v from generate_series(1, 100000) n`,
    )
  }
})
after(async () => {
  await bed[Symbol.asyncDispose]()
})

/** What `reader` tells of the backup lock, once a backup by `writer` has copied something. */
async function seen(writer: string, reader: string): Promise<string> {
  const common = [`--config=${bed.config}`, '--stanza=demo']
  const quiet = [
    '--compress-type=gz',
    '--compress-level=9',
    // pgBackRest wants its own name in archive_command.
    '--no-archive-check',
    '--process-max=1',
    '--log-level-console=off',
  ]
  const child = spawnAs([writer, ...common, ...quiet, '--type=full', 'backup'])
  child.stdin.end()
  child.stdout.resume()
  const ended = once(child, 'close')
  let found = ''
  for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
    const { stdout } = await runAs([reader, ...common, '--output=json', 'info'])
    found = /"lock":\{"backup":(\{.*?\}),"restore"/.exec(stdout)?.[1] ?? ''
    if (/"size-cplt":[1-9]/.test(found)) break
    await setTimeout(20)
  }
  child.kill('SIGTERM')
  await ended
  return found
}

test('pgBackRest shows how far our backup is, and we show how far its is', async () => {
  const running = /^\{"held":true,.*"size":[1-9]\d*,"size-cplt":[1-9]\d*\}$/

  assert.match(await seen(launcher(), theirs), running)
  assert.match(await seen(theirs, launcher()), running)
})

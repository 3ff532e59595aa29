import assert from 'node:assert/strict'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { PEAK_MIB_MAX, peakMib } from '../harness/peak-memory.ts'
import { launcher, temporaryFolder, unprivileged, type Folder } from '../harness/run.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'

/** Files of one page, as a cluster with many small relations has them. */
const FILE_COUNT = process.env['PGSURETY_TEST_FULL'] === undefined ? 20_000 : 100_000

let folder: Folder
let cluster: Cluster
let config: string

before(async () => {
  folder = await temporaryFolder('memory')
  config = join(folder.path, 'pgsurety.conf')
  cluster = await startCluster({
    version: '17',
    settings: {
      archive_mode: 'on',
      archive_command: `${launcher()} --config=${config} --stanza=many archive-push %p`,
    },
  })
  await writeFile(
    config,
    `[global]
repo1-path=${folder.path}/repo
lock-path=${folder.path}/lock
log-level-file=off
log-level-console=warn
compress-type=zst
process-max=2
start-fast=y
[many]
pg1-path=${cluster.dataDir}
pg1-port=${cluster.port}
pg1-socket-path=${cluster.socketDir}
pg1-user=postgres
`,
  )
  await addFiles(join(cluster.dataDir, 'base', '90000'))
  await peak(['stanza-create'])
})

after(async () => {
  await cluster[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

/** Files that PostgreSQL does not know and a backup takes all the same; an empty page is a valid one. */
async function addFiles(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 })
  await chown(directory, unprivileged.uid, unprivileged.gid)
  const page = Buffer.alloc(8192)
  for (let number = 0; number < FILE_COUNT; number += 1) {
    const path = join(directory, String(100_000 + number))
    await writeFile(path, page, { mode: 0o600 })
    await chown(path, unprivileged.uid, unprivileged.gid)
  }
}

async function peak(argv: readonly string[]): Promise<number> {
  return await peakMib([`--config=${config}`, '--stanza=many', ...argv])
}

test('backups, info and restores of many files stay below 300 MB', async (context) => {
  for (const argv of [
    ['--type=full', 'backup'],
    ['--type=incr', 'backup'],
    ['--output=json', 'info'],
    [`--pg1-path=${folder.path}/restored`, 'restore'],
    ['--delta', `--pg1-path=${folder.path}/restored`, 'restore'],
  ]) {
    const mib = await peak(argv)
    context.diagnostic(`${argv.at(-1) ?? ''}: ${mib.toFixed(0)} MiB at most`)
    assert(mib > 20, 'the measurement works')
    assert(mib < PEAK_MIB_MAX, `${argv.join(' ')} took ${mib.toFixed(0)} MiB`)
  }
})

import assert from 'node:assert/strict'
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { launcher, spawnAs, temporaryFolder, unprivileged, type Folder } from '../harness/run.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'

/** What no command may pass, whatever the cluster's size. */
const PEAK_MIB_MAX = 300e6 / 1024 / 1024
/** Files of one page, as a cluster with many small relations has them. */
const FILE_COUNT = process.env['PGSURETY_TEST_FULL'] === undefined ? 20_000 : 100_000
const SAMPLE_MS = 20

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
  await peakMib(['stanza-create'])
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

/** The highest resident memory of one command, threads included, as the kernel counts it. */
async function peakMib(argv: readonly string[]): Promise<number> {
  const child = spawnAs([launcher(), `--config=${config}`, '--stanza=many', ...argv])
  child.stdin.end()
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = new Promise((resolve) => {
    child.once('close', resolve)
  })
  let peakKib = 0
  while (child.exitCode === null && child.signalCode === null) {
    peakKib = Math.max(peakKib, await readPeakKib(child.pid))
    await Promise.race([ended, setTimeout(SAMPLE_MS)])
  }
  assert.equal(await ended, 0, said)
  return peakKib / 1024
}

async function readPeakKib(pid: number | undefined): Promise<number> {
  // Gone between two samples: the last one stands.
  const status = await readFile(`/proc/${pid ?? 0}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}

test('backups, info and restores of many files stay below 300 MB', async (context) => {
  for (const argv of [
    ['--type=full', 'backup'],
    ['--type=incr', 'backup'],
    ['--output=json', 'info'],
    [`--pg1-path=${folder.path}/restored`, 'restore'],
    ['--delta', `--pg1-path=${folder.path}/restored`, 'restore'],
  ]) {
    const peak = await peakMib(argv)
    context.diagnostic(`${argv.at(-1) ?? ''}: ${peak.toFixed(0)} MiB at most`)
    assert(peak > 20, 'the measurement works')
    assert(peak < PEAK_MIB_MAX, `${argv.join(' ')} took ${peak.toFixed(0)} MiB`)
  }
})

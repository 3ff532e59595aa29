/** Recovery must not end, and call itself complete, because the repository could not be asked for the next segment. */
import assert from 'node:assert/strict'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type ArchivedCluster, archiveAll, startArchivedCluster } from './archived-cluster.ts'

let source: ArchivedCluster

before(async () => {
  source = await startArchivedCluster({ version: '17' })
  await source.cluster.psql('create table note(id int)')
  // With its own WAL inside, the backup becomes consistent without the archive.
  await source.run('--type=full', '--archive-copy', 'backup')
  await source.cluster.psql('insert into note values (1)')
  await archiveAll(source.cluster)
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

test('a repository that is gone stops the server instead of ending recovery, and back again it goes on', async () => {
  await using restored = await source.restore('restored')
  const repo = join(source.folder, 'repo')
  await rename(repo, `${repo}-gone`)
  await assert.rejects(restored.start())
  await assert.rejects(restored.psql('select pg_is_in_recovery()'))
  await rename(`${repo}-gone`, repo)

  await restored.start()
  assert.equal(await restored.psql('select count(*) from note'), '1')
})

test('a restored standby waits for a repository that is gone', async () => {
  const { dataDir } = await source.restoreFiles('standby', '--type=standby')
  const settings = await readFile(join(dataDir, 'postgresql.auto.conf'), 'utf8')
  assert.match(settings, /^restore_command = '.* archive-get %f "%p"'$/m)
})

/** stanza-delete: removes all a stanza has in one repository. It must be stopped, and its cluster too unless forced. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, errnoOf } from '../base/error.ts'
import {
  archiveInfoKey,
  archivePrefix,
  backupInfoKey,
  backupPrefix,
  copyKeyOf,
} from '../format/repo-path.ts'
import { listDumpSets } from '../repo/dump-sets.ts'
import { openRepos, type Repo } from '../repo/repo.ts'
import { hasStopFile, removeStopFile } from '../repo/stop-file.ts'
import { type Context, stanzaOf } from './command.ts'
import { lockStanza } from './stanza-lock.ts'

export async function stanzaDelete(context: Context): Promise<number> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  const repo = onlyRepo(context)
  await using _lock = await lockStanza(context, ['archive', 'backup', 'restore'], [repo.key])
  // Dumps do not need the stanza: they outlive the backups of a cluster that is given up.
  if ((await listDumpSets(repo, stanza)).length > 0) {
    log.warn(
      `the dump sets of stanza '${stanza}' stay\n` +
        "HINT: 'info' lists them; 'expire --set=LABEL' removes one.",
    )
  }
  if (!(await isThere(repo, stanza))) return 0
  if (await holdsAnything(repo, stanza)) {
    assertStopped(config.text('lock-path'), stanza)
    if (!config.flag('force')) {
      await assertNotRunning(config.text('pg-path', 1), `'${stanza}' on repo${repo.key}`)
    }
  }
  // What makes it a stanza goes first: from then on nobody takes what is left for whole.
  for (const key of [archiveInfoKey(stanza), backupInfoKey(stanza)]) {
    await repo.storage.remove(key)
    await repo.storage.remove(copyKeyOf(key))
  }
  await repo.storage.removeAll(backupPrefix(stanza))
  await repo.storage.removeAll(archivePrefix(stanza))
  // Last: a run that was cut off can be repeated without another stop.
  removeStopFile(config.text('lock-path'), stanza)
  return 0
}

/** Removing from several repositories at once is never meant by leaving an option out. */
function onlyRepo(context: Context): Repo {
  const repos = openRepos(context.config, context.openStorage)
  const [repo] = repos
  if (repo !== undefined && repos.length === 1) return repo
  throw new AppError('option-required', 'stanza-delete command requires option: repo', {
    hint: 'this command requires a specific repository to operate on',
  })
}

async function isThere(repo: Repo, stanza: string): Promise<boolean> {
  const listings = [await repo.storage.names('archive'), await repo.storage.names('backup')]
  return listings.flat().some(({ name }) => name === stanza)
}

async function holdsAnything(repo: Repo, stanza: string): Promise<boolean> {
  const archive = await repo.storage.names(archivePrefix(stanza))
  const backup = await repo.storage.names(backupPrefix(stanza))
  return archive.length > 0 || backup.length > 0
}

function assertStopped(lockPath: string, stanza: string): void {
  if (hasStopFile(lockPath, stanza)) return
  throw new AppError('file-missing', `stop file does not exist for stanza '${stanza}'`, {
    hint: `run 'pgsurety --stanza=${stanza} stop' on this server first.`,
  })
}

async function assertNotRunning(dataDir: string, what: string): Promise<void> {
  const path = join(dataDir, 'postmaster.pid')
  try {
    await stat(path)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT') return
    throw new AppError('file-open', `unable to get info for '${path}': ${errno ?? String(cause)}`, {
      cause,
    })
  }
  throw new AppError(
    'pg-running',
    `postmaster.pid exists - looks like PostgreSQL is running. To delete stanza ${what}, ` +
      'shut down PostgreSQL for the stanza and try again, or use --force',
  )
}

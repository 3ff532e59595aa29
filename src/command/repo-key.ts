/** Which passphrase a file of a repository is encrypted with: its path alone tells (pgBackRest 2.60). */
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { toHumanText } from '../base/text.ts'
import { openDumps } from '../repo/dump-sets.ts'
import { loadArchiveInfo, loadBackupInfo, loadManifest, type Repo } from '../repo/repo.ts'
import type { Context } from './command.ts'
import type { RepoArgument } from './repo-argument.ts'

/** Undefined in a repository without encryption, and with --raw. */
export async function passOf(
  context: Context,
  { repo, key }: RepoArgument,
): Promise<Secret | undefined> {
  if (repo.cipherPass === undefined || context.config.flag('raw')) return undefined
  const [area = '', stanza = '', ...rest] = key.split('/')
  if (!['archive', 'backup', 'dump'].includes(area) || rest.length === 0) {
    throw new AppError(
      'option-invalid-value',
      `unable to determine cipher passphrase for '${toHumanText(key)}'`,
    )
  }
  if ((context.config.stanza ?? stanza) !== stanza) {
    throw new AppError(
      'option-invalid-value',
      `stanza name '${context.config.stanza}' given in option doesn't match the given path`,
    )
  }
  if (/^(?:archive|backup|dump)\.info(?:\.copy)?$/.test(rest.join('/'))) return repo.cipherPass
  if (area === 'dump') return (await openDumps(repo, stanza)).pass
  if (area === 'archive') return (await loadArchiveInfo(repo, stanza)).cipherPass
  return await backupPass(repo, stanza, rest)
}

async function backupPass(
  repo: Repo,
  stanza: string,
  [label = '', ...rest]: readonly string[],
): Promise<Secret | undefined> {
  const { cipherPass } = await loadBackupInfo(repo, stanza)
  const isManifest = rest.length === 1 && /^backup\.manifest(?:\.copy)?$/.test(rest[0] ?? '')
  if (label === 'backup.history' || isManifest) return cipherPass
  return (await loadManifest(repo, stanza, label, cipherPass)).cipherPass
}

/** repo-rm: removes one object, or everything below a prefix. What recovery needs stays unless forced. */
import { AppError } from '../base/error.ts'
import { toHumanText } from '../base/text.ts'
import { isLabel } from '../format/label.ts'
import { manifestKey } from '../format/repo-path.ts'
import type { Context } from './command.ts'
import { repoArgument, type RepoArgument } from './repo-argument.ts'

export async function repoRm(context: Context): Promise<number> {
  const { config } = context
  const argument = repoArgument(context)
  const { repo, key } = argument
  const { storage } = repo
  const isObject = key !== '' && (await storage.stat(key)) !== undefined
  if (!isObject && !config.flag('recurse') && (await isFilled(argument))) {
    throw new AppError('option-invalid', 'recurse option must be used to delete non-empty path')
  }
  if (!config.flag('force') && (await isNeeded(argument))) {
    throw new AppError(
      'option-invalid',
      `'${toHumanText(key)}' is needed to recover from backups`,
      {
        hint: [
          "'expire' and 'stanza-delete' remove what is no longer wanted.",
          'use --force to remove it nevertheless.',
        ],
      },
    )
  }
  if (isObject) await storage.remove(key)
  else await storage.removeAll(key)
  return 0
}

async function isFilled({ repo, key }: RepoArgument): Promise<boolean> {
  return (await repo.storage.names(key)).length > 0 || (await repo.storage.links(key)).length > 0
}

/** Everything of a stanza but what does not belong to a backup that exists, and is no WAL. */
async function isNeeded(argument: RepoArgument): Promise<boolean> {
  const { repo, key } = argument
  const [area = '', stanza, label] = key.split('/')
  if (key !== '' && area !== 'archive' && area !== 'backup') return false
  if (stanza === undefined || label === undefined) return await isFilled(argument)
  if (area === 'archive' || /^backup\.info(?:\.copy)?$/.test(label)) return true
  return isLabel(label) && (await repo.storage.stat(manifestKey(stanza, label))) !== undefined
}

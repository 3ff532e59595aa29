/** The one repository of commands that write to one only. */
import { AppError } from '../base/error.ts'
import { openRepos, type Repo } from '../repo/repo.ts'
import type { Context } from './command.ts'

/** `--repo`, else the lowest configured repository. */
export function firstRepo(context: Context): Repo {
  const [repo, ...others] = openRepos(context.config, context.openStorage)
  if (repo === undefined) throw new AppError('assert', 'no repository is configured')
  if (others.length > 0)
    context.log.info(`repo option not specified, defaulting to repo${repo.key}`)
  return repo
}

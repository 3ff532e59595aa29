/** The path that a repo-… command is given: which repository, and which key in it. */
import { posix } from 'node:path'
import { AppError } from '../base/error.ts'
import { toByteString } from '../base/text.ts'
import { openRepos, type Repo } from '../repo/repo.ts'
import type { Context } from './command.ts'

export interface RepoArgument {
  readonly repo: Repo
  /** `''` is the root. */
  readonly key: string
}

/** Relative to the repository's root or, as pgBackRest 2.60 allows, absolute. Throws `param-invalid` for what leads out. */
export function repoArgument(context: Context): RepoArgument {
  const [repo] = openRepos(context.config, context.openStorage)
  if (repo === undefined) throw new AppError('assert', 'there is a repository')
  const path = context.config.parameters[0] ?? ''
  return { repo, key: toByteString(keyOf(path, repo.storage.location)) }
}

function keyOf(path: string, root: string): string {
  if (path.includes('//')) throw new AppError('param-invalid', `path '${path}' cannot contain //`)
  const isAbsolute = path.startsWith('/')
  if (isAbsolute && path !== root && !path.startsWith(`${root}/`)) {
    throw new AppError('param-invalid', `absolute path '${path}' is not in base path '${root}'`)
  }
  const relative = isAbsolute ? path.slice(root.length + 1) : path
  const key = posix.normalize(relative === '' ? '.' : relative).replace(/\/$/, '')
  if (key === '..' || key.startsWith('../')) {
    throw new AppError('param-invalid', `path '${path}' leads out of the repository`)
  }
  return key === '.' ? '' : key
}

/** What every step of expire works with, for one repository. */
import type { Repo } from '../../repo/repo.ts'
import type { Context } from '../command.ts'
import type { Changes } from './changes.ts'
import type { ExpireRequest } from './request.ts'

export interface RepoWork {
  readonly context: Context
  readonly request: ExpireRequest
  readonly repo: Repo
  readonly stanza: string
  readonly changes: Changes
  /** Lines that begin with what they are about: `[DRY-RUN] repo1: …`. */
  readonly say: Say
}

export interface Say {
  warn(text: string): void
  info(text: string): void
  detail(text: string): void
}

export function sayFor({ log }: Context, mode: ExpireRequest['mode'], repoKey: number): Say {
  const prefix = `${mode === 'dry-run' ? '[DRY-RUN] ' : ''}repo${repoKey}: `
  return {
    warn: (text) => {
      log.warn(`${prefix}${text}`)
    },
    info: (text) => {
      log.info(`${prefix}${text}`)
    },
    detail: (text) => {
      log.detail(`${prefix}${text}`)
    },
  }
}

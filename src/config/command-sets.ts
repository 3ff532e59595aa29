/** The command lists that several options share (pgBackRest 2.60). */
import type { CommandName } from './command-table.ts'

/** Commands that touch a repository. */
export const REPOSITORY_COMMANDS = [
  'advise',
  'annotate',
  'archive-get',
  'archive-push',
  'backup',
  'check',
  'dump',
  'dump-restore',
  'dump-verify',
  'expire',
  'file-get',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
  'restore',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
  'verify',
] as const satisfies readonly CommandName[]

/** Every pgBackRest command but help and version, and ours that touch a stanza. */
export const ALL_COMMANDS = [
  'advise',
  'annotate',
  'archive-get',
  'archive-push',
  'backup',
  'check',
  'dump',
  'dump-restore',
  'dump-verify',
  'expire',
  'file-get',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
  'restore',
  'server',
  'server-ping',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
  'start',
  'stop',
  'verify',
] as const satisfies readonly CommandName[]

/** Every command that reads or writes anything but lock and stop files. */
export const WORKING_COMMANDS = [
  'advise',
  'annotate',
  'archive-get',
  'archive-push',
  'backup',
  'check',
  'dump',
  'dump-restore',
  'dump-verify',
  'expire',
  'file-get',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
  'restore',
  'server',
  'server-ping',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
  'verify',
] as const satisfies readonly CommandName[]

/** Commands that may work with a cluster on another host. */
export const PG_HOST_COMMANDS = [
  'backup',
  'check',
  'manifest',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
] as const satisfies readonly CommandName[]

/** Commands that work with a data directory. */
export const PG_COMMANDS = [
  'archive-get',
  'archive-push',
  'backup',
  'check',
  'manifest',
  'restore',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
] as const satisfies readonly CommandName[]

/** Commands that connect to PostgreSQL. */
export const DATABASE_COMMANDS = [
  'backup',
  'check',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
] as const satisfies readonly CommandName[]

/** Commands that copy files in parallel. */
export const COPY_COMMANDS = [
  'archive-get',
  'archive-push',
  'backup',
  'restore',
  'verify',
] as const satisfies readonly CommandName[]

/** Commands that work on one stanza. */
export const STANZA_COMMANDS = [
  'advise',
  'annotate',
  'archive-get',
  'archive-push',
  'backup',
  'check',
  'dump',
  'dump-restore',
  'dump-verify',
  'expire',
  'file-get',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
  'restore',
  'stanza-create',
  'stanza-delete',
  'stanza-upgrade',
  'start',
  'stop',
  'verify',
] as const satisfies readonly CommandName[]

/** Commands that reach a server through libpq's own programs. */
export const CLIENT_COMMANDS = [
  'advise',
  'dump',
  'dump-restore',
] as const satisfies readonly CommandName[]

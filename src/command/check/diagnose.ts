/** Why WAL does not arrive: from facts to one verdict, and one thing to do about it. Rules are tried in order. */
import type { ErrorKind } from '../../base/error.ts'
import { formatSize } from '../../base/units.ts'
import type { ArchiverFailure } from './server-log.ts'

export interface Facts {
  readonly stanza: string
  /** The SQL that has the server archive with this program and this configuration. */
  readonly useCommand: string
  /** What check itself failed with: `archive-timeout` when a segment did not come. */
  readonly failure: { readonly kind: ErrorKind; readonly message: string }
  /** The segment that was waited for; undefined when it did not get that far. */
  readonly segment: string | undefined
  readonly segmentSizeBytes: number
  readonly archiver: ArchiverFacts
  /** The last failure in the server's log; undefined when it cannot be read, or archiving does not fail. */
  readonly logged: ArchiverFailure | undefined
  /** The user who runs the server and its archive_command; undefined when it cannot be told. */
  readonly serverUser: string | undefined
  readonly serverVersion: string
  readonly repos: readonly RepoFacts[]
}

export interface ArchiverFacts {
  readonly command: string
  /** Empty: the command is used. */
  readonly library: string
  /** Since the statistics were reset, as pg_stat_archiver counts. */
  readonly archivedCount: number
  readonly failedCount: number
  /** Empty when there is none. */
  readonly lastArchived: string
  readonly lastFailed: string
  /** The last failure is later than the last success. */
  readonly isFailing: boolean
  /** Segments with a `.ready` file; undefined when that cannot be told. */
  readonly waitingCount: number | undefined
}

/** What can be seen of a repository on disk; undefined where it cannot be told. */
export interface RepoFacts {
  readonly key: number
  readonly location: string
  /** The first directory or file on the way to the WAL that the server's user cannot use. */
  readonly blocked: BlockedPath | undefined
  /** Where the file system is mounted, if only for reading. */
  readonly readOnlyMount: string | undefined
  readonly freeBytes: number | undefined
  readonly freeInodes: number | undefined
  /** PostgreSQL version of the stanza there. */
  readonly stanzaVersion: string | undefined
}

export interface BlockedPath {
  readonly path: string
  readonly owner: string
  /** Whether the path belongs to the server's user, whose mode bits are then wrong. */
  readonly belongsTo: 'the server' | 'another user'
}

export type Cause =
  | 'archive-library'
  | 'clock'
  | 'cluster'
  | 'command-fails'
  | 'command-missing'
  | 'disk-full'
  | 'elsewhere'
  | 'no-inodes'
  | 'owner'
  | 'passphrase'
  | 'permission'
  | 'read-only'
  | 'repository-missing'
  | 'slow'
  | 'stanza'
  | 'stanza-missing'
  | 'stopped'
  | 'upgrade'

export interface Verdict {
  readonly cause: Cause
  /** One sentence without its full stop. */
  readonly summary: string
  /** One command, in a shell or in SQL. */
  readonly fix: string
}

type Rule = (facts: Facts) => Verdict | undefined

export function diagnose(facts: Facts): Verdict {
  for (const rule of RULES) {
    const verdict = rule(facts)
    if (verdict !== undefined) return verdict
  }
  return {
    cause: 'slow',
    summary:
      'archive_command has not ended, with or without success: it is slow or waits, or the archiver process is gone',
    fix: "SELECT pid, wait_event, state_change FROM pg_stat_activity WHERE backend_type = 'archiver'",
  }
}

const clock: Rule = ({ failure }) =>
  failure.kind === 'clock'
    ? { cause: 'clock', summary: failure.message, fix: 'timedatectl set-ntp true' }
    : undefined

const library: Rule = ({ archiver }) =>
  archiver.library === ''
    ? undefined
    : {
        cause: 'archive-library',
        summary: `archive_library is '${archiver.library}': PostgreSQL does not use archive_command`,
        fix: "ALTER SYSTEM SET archive_library = ''; SELECT pg_reload_conf();",
      }

/** A shell gives 127 for what it cannot find, and 126 for what it may not run. */
const commandMissing: Rule = ({ logged, useCommand }) =>
  logged?.exitCode === 127 || logged?.exitCode === 126
    ? {
        cause: 'command-missing',
        summary: `the server cannot run archive_command: ${logged.text}`,
        fix: useCommand,
      }
    : undefined

const stopped: Rule = (facts) =>
  kindOf(facts) === 'stop'
    ? {
        cause: 'stopped',
        summary: 'a stop file forbids archiving',
        fix: `pgsurety --stanza=${facts.stanza} start`,
      }
    : undefined

const passphrase: Rule = (facts) =>
  kindOf(facts) === 'crypto'
    ? {
        cause: 'passphrase',
        summary: `the passphrase or the cipher type ${whose(facts)} is not the one the repository was created with`,
        fix: `set repo1-cipher-pass right, until this says ok: pgsurety --stanza=${facts.stanza} info`,
      }
    : undefined

const otherStanza: Rule = ({ archiver, stanza }) => {
  const used = stanzaOfCommand(archiver.command)
  if (used === undefined || used === stanza) return undefined
  const right = archiver.command.replace(/--stanza[= ]"?[^\s"]+"?/, `--stanza=${stanza}`)
  return {
    cause: 'stanza',
    summary: `archive_command pushes to stanza '${used}', not to '${stanza}'`,
    fix: `ALTER SYSTEM SET archive_command = '${right.replaceAll("'", "''")}'; SELECT pg_reload_conf();`,
  }
}

const otherCluster: Rule = (facts) => {
  const kind = kindOf(facts)
  if (kind !== 'file-invalid' && kind !== 'archive-mismatch' && kind !== 'backup-mismatch') {
    return undefined
  }
  const { stanza, serverVersion } = facts
  const older = facts.repos.find(
    ({ stanzaVersion }) => stanzaVersion !== undefined && stanzaVersion !== serverVersion,
  )
  if (older !== undefined) {
    return {
      cause: 'upgrade',
      summary: `stanza '${stanza}' is of PostgreSQL ${older.stanzaVersion}, the server is ${serverVersion}`,
      fix: `pgsurety --stanza=${stanza} stanza-upgrade`,
    }
  }
  return {
    cause: 'cluster',
    summary: `stanza '${stanza}' belongs to another cluster than the one that runs here`,
    fix: `give this cluster a stanza of its own: pgsurety --stanza=<new name> stanza-create`,
  }
}

const readOnly: Rule = ({ repos, logged }) => {
  const repo = repos.find(({ readOnlyMount }) => readOnlyMount !== undefined)
  if (repo === undefined && !/EROFS|Read-only file system/i.test(logged?.text ?? ''))
    return undefined
  const mount = repo?.readOnlyMount ?? repos[0]?.location ?? ''
  return {
    cause: 'read-only',
    summary: `the file system of ${repo === undefined ? 'the repository' : `repo${repo.key}`} is mounted for reading only`,
    fix: `mount -o remount,rw ${mount}`,
  }
}

const blocked: Rule = ({ repos, serverUser }) => {
  const repo = repos.find((one) => one.blocked !== undefined)
  if (repo?.blocked === undefined) return undefined
  const { path, owner, belongsTo } = repo.blocked
  const user = serverUser ?? 'the server'
  return belongsTo === 'another user'
    ? {
        cause: 'owner',
        summary: `'${path}' of repo${repo.key} belongs to '${owner}', and '${user}', who runs the server, may not use it`,
        fix: isAbove(path, repo.location)
          ? `chmod o+x ${path}`
          : `chown -R ${user} ${repo.location}`,
      }
    : {
        cause: 'permission',
        summary: `'${user}', who runs the server, may not use '${path}' of repo${repo.key}, which belongs to it`,
        fix: `chmod u+rwX ${path}`,
      }
}

function isAbove(path: string, location: string): boolean {
  return location.startsWith(`${path}/`)
}

const full: Rule = ({ repos, logged, stanza, segmentSizeBytes }) => {
  const isSaid = /ENOSPC|No space left on device/i.test(logged?.text ?? '')
  const noInode = repos.find(({ freeInodes }) => freeInodes === 0)
  if (noInode !== undefined) {
    return {
      cause: 'no-inodes',
      summary: `no file can be made in '${noInode.location}' of repo${noInode.key}: its file system has no inode left`,
      fix: `pgsurety --stanza=${stanza} expire`,
    }
  }
  const limit = isSaid ? segmentSizeBytes : 0
  const tight = repos.find(({ freeBytes }) => freeBytes !== undefined && freeBytes <= limit)
  if (tight === undefined && !isSaid) return undefined
  const { key = 1, location = '', freeBytes = 0 } = tight ?? repos[0] ?? {}
  return {
    cause: 'disk-full',
    summary: `the disk of repo${key} is full: ${formatSize(freeBytes)} free in '${location}'`,
    fix: `pgsurety --stanza=${stanza} expire`,
  }
}

const missing: Rule = (facts) => {
  const kind = kindOf(facts)
  if (kind === 'path-missing') {
    return {
      cause: 'repository-missing',
      summary: `the repository is not there ${whose(facts)}: ${messageOf(facts)}`,
      fix: `mount it, or correct repo1-path; then: pgsurety --stanza=${facts.stanza} check`,
    }
  }
  if (kind !== 'file-missing') return undefined
  return {
    cause: 'stanza-missing',
    summary: `the repository has no stanza '${facts.stanza}'`,
    fix: `pgsurety --stanza=${facts.stanza} stanza-create`,
  }
}

const fails: Rule = ({ archiver, logged, serverUser }) =>
  archiver.isFailing
    ? {
        cause: 'command-fails',
        summary: `archive_command fails: ${logged?.text ?? 'its error is in the PostgreSQL server log, where it could not be read from here'}`,
        fix: `run it by hand to see: sudo -u ${serverUser ?? 'postgres'} ${archiver.command.replaceAll('%p', `pg_wal/${archiver.lastFailed}`)}`,
      }
    : undefined

/** History and backup files are archived too; only a segment tells how far the archiver has come. */
const elsewhere: Rule = ({ archiver, segment, useCommand }) =>
  segment !== undefined &&
  /^[0-9A-F]{24}$/.test(archiver.lastArchived) &&
  archiver.lastArchived >= segment
    ? {
        cause: 'elsewhere',
        summary: `archive_command succeeded for WAL segment ${archiver.lastArchived}, but pushes to another repository or configuration than this one`,
        fix: useCommand,
      }
    : undefined

/** What is certain comes before what is likely; what the program itself said before what its surroundings suggest. */
const RULES: readonly Rule[] = [
  clock,
  library,
  commandMissing,
  stopped,
  passphrase,
  otherStanza,
  otherCluster,
  readOnly,
  blocked,
  full,
  missing,
  fails,
  elsewhere,
]

/** The error that explains it: check's own, or when only time ran out, that of archive_command. */
function kindOf({ failure, logged }: Facts): ErrorKind | undefined {
  return failure.kind === 'archive-timeout' ? logged?.kind : failure.kind
}

function messageOf({ failure, logged }: Facts): string {
  return failure.kind === 'archive-timeout' ? (logged?.text ?? '') : failure.message
}

/** Which of the two configurations is at fault. */
function whose({ failure }: Facts): string {
  return failure.kind === 'archive-timeout' ? 'that archive_command uses' : 'in this configuration'
}

/** The stanza that an archive_command names. */
function stanzaOfCommand(command: string): string | undefined {
  return /--stanza[= ]"?([^\s"]+)/.exec(command)?.[1]
}

/** The facts that a verdict rests on, for people. */
export function describeFacts({ archiver, repos, logged }: Facts): readonly string[] {
  return [
    `pg_stat_archiver: ${archiver.archivedCount} WAL segment(s) archived${last(archiver.lastArchived)}, ${archiver.failedCount} failure(s)${last(archiver.lastFailed)}.`,
    ...(archiver.waitingCount === undefined
      ? []
      : [`${archiver.waitingCount} WAL segment(s) wait in pg_wal/archive_status (.ready).`]),
    ...(logged === undefined ? [] : [`last error in the server log: ${logged.text}`]),
    archiver.library === ''
      ? `archive_command is '${archiver.command}'.`
      : `archive_library is '${archiver.library}'.`,
    ...repos.flatMap(({ key, freeBytes, freeInodes }) =>
      freeBytes === undefined
        ? []
        : [
            `repo${key} has ${formatSize(freeBytes)}${freeInodes === undefined ? '' : ` and ${freeInodes} inodes`} free.`,
          ],
    ),
  ]
}

function last(name: string): string {
  return name === '' ? '' : `, last ${name}`
}

/** Every option: the rows of options/ in one table, with the companions of secrets. */
import type { CommandName } from './command-table.ts'
import type { OptionRow } from './option-row.ts'
import { ARCHIVE_OPTIONS } from './options/archive.ts'
import { BACKUP_OPTIONS } from './options/backup.ts'
import { COMMAND_LINE_OPTIONS } from './options/command-line.ts'
import { DUMP_OPTIONS } from './options/dump.ts'
import { GENERAL_OPTIONS } from './options/general.ts'
import { LOG_OPTIONS } from './options/log.ts'
import { PG_OPTIONS } from './options/pg.ts'
import { REPO_AZURE_OPTIONS } from './options/repo-azure.ts'
import { REPO_GCS_OPTIONS } from './options/repo-gcs.ts'
import { REPO_HOST_OPTIONS } from './options/repo-host.ts'
import { REPO_S3_OPTIONS } from './options/repo-s3.ts'
import { REPO_SFTP_OPTIONS } from './options/repo-sftp.ts'
import { REPO_STORAGE_OPTIONS } from './options/repo-storage.ts'
import { REPO_OPTIONS } from './options/repo.ts'
import { RESTORE_OPTIONS } from './options/restore.ts'
import { TLS_OPTIONS } from './options/tls.ts'

const DECLARED = {
  ...COMMAND_LINE_OPTIONS,
  ...GENERAL_OPTIONS,
  ...LOG_OPTIONS,
  ...ARCHIVE_OPTIONS,
  ...BACKUP_OPTIONS,
  ...RESTORE_OPTIONS,
  ...DUMP_OPTIONS,
  ...PG_OPTIONS,
  ...REPO_OPTIONS,
  ...REPO_HOST_OPTIONS,
  ...REPO_STORAGE_OPTIONS,
  ...REPO_S3_OPTIONS,
  ...REPO_AZURE_OPTIONS,
  ...REPO_GCS_OPTIONS,
  ...REPO_SFTP_OPTIONS,
  ...TLS_OPTIONS,
} as const

type Declared = typeof DECLARED

/** Options whose value is a secret. */
export type SecretName = {
  [Name in keyof Declared]: Declared[Name] extends { readonly secret: true } ? Name : never
}[keyof Declared]

/** Names without index: `repo-path` stands for `repo1-path`, `repo2-path` … */
export type OptionName = keyof Declared | `${SecretName}-file` | `${SecretName}-command`

/** Name → row, companions included. */
export const OPTIONS: ReadonlyMap<string, OptionRow> = new Map(withCompanions(DECLARED))

/** Every option, in byte order of the names (pgBackRest's order wherever it lists options). */
export const OPTION_NAMES: readonly OptionName[] = [...OPTIONS.keys()]
  .filter(isOptionName)
  .toSorted()

export function isOptionName(name: string): name is OptionName {
  return OPTIONS.has(name)
}

export function optionRow(name: OptionName): OptionRow {
  const row = OPTIONS.get(name)
  if (row === undefined) throw new TypeError(`no row for '${name}'`)
  return row
}

/** True when `command` accepts the option. */
export function isValidFor(row: OptionRow, command: CommandName): boolean {
  return row.commands.includes(command)
}

/** The names of the two options that can give a secret instead of `name` itself. */
export function companionsOf(name: OptionName): readonly OptionName[] {
  return [`${name}-file`, `${name}-command`].filter(isOptionName)
}

export interface OptionTopic {
  readonly title: string
  readonly names: readonly OptionName[]
}

/** Headings for help and reference, with the options below each. */
export function optionTopics(): readonly OptionTopic[] {
  return [
    topic('Command', COMMAND_LINE_OPTIONS),
    topic('General', GENERAL_OPTIONS),
    topic('Log', LOG_OPTIONS),
    topic('Archive', ARCHIVE_OPTIONS),
    topic('Backup', BACKUP_OPTIONS),
    topic('Restore', RESTORE_OPTIONS),
    topic('Dump', DUMP_OPTIONS),
    topic('PostgreSQL', PG_OPTIONS),
    topic('Repository', REPO_OPTIONS),
    topic('Repository host', REPO_HOST_OPTIONS),
    topic('Object store', REPO_STORAGE_OPTIONS),
    topic('S3', REPO_S3_OPTIONS),
    topic('Azure', REPO_AZURE_OPTIONS),
    topic('GCS', REPO_GCS_OPTIONS),
    topic('SFTP', REPO_SFTP_OPTIONS),
    topic('TLS', TLS_OPTIONS),
  ]
}

function topic(title: string, declared: Readonly<Record<string, OptionRow>>): OptionTopic {
  const names = withCompanions(declared).map(([name]) => name)
  return { title, names: names.filter(isOptionName).toSorted() }
}

/** A secret may also come from a file or from the output of a program, so that it need not stand in a shared file. */
function withCompanions(
  declared: Readonly<Record<string, OptionRow>>,
): readonly (readonly [string, OptionRow])[] {
  return Object.entries(declared).flatMap(([name, row]): (readonly [string, OptionRow])[] => {
    if (row.secret !== true) return [[name, row]]
    const { commands, group, section, depends, support } = row
    const companion = {
      commands,
      ...(group === undefined ? {} : { group }),
      ...(section === undefined ? {} : { section }),
      ...(depends === undefined ? {} : { depends }),
      ...(support === undefined ? {} : { support }),
      origin: 'pgsurety',
    } as const
    const what = `'${name}'`
    return [
      [name, row],
      [
        `${name}-file`,
        { ...companion, kind: 'path', summary: `File that holds the value of ${what}.` },
      ],
      [
        `${name}-command`,
        {
          ...companion,
          kind: 'string',
          summary: `Shell command that prints the value of ${what}.`,
        },
      ],
    ]
  })
}

/**
 * Every command: argv parsing, help, completion and docs/reference come from this table. A new one goes into the file of its
 * family in commands/, and into the sets of command-sets.ts that it belongs to.
 */
import type { CommandRow } from './command-row.ts'
import { ARCHIVE_ROWS } from './commands/archive.ts'
import { BACKUP_ROWS } from './commands/backup.ts'
import { DUMP_ROWS } from './commands/dump.ts'
import { PROGRAM_ROWS } from './commands/program.ts'
import { REPO_ROWS } from './commands/repo.ts'
import { STANZA_ROWS } from './commands/stanza.ts'

export const COMMANDS = {
  ...BACKUP_ROWS,
  ...ARCHIVE_ROWS,
  ...STANZA_ROWS,
  ...DUMP_ROWS,
  ...REPO_ROWS,
  ...PROGRAM_ROWS,
} as const satisfies Readonly<Record<string, CommandRow>>

export type CommandName = keyof typeof COMMANDS

export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name)
}

/** In alphabetical order. */
export const COMMAND_NAMES: readonly CommandName[] = Object.keys(COMMANDS)
  .filter(isCommandName)
  .toSorted()

/** Fewest and most parameters a command takes. */
export function parameterCount(row: CommandRow): { readonly min: number; readonly max: number } {
  const min = row.parameters.filter((name) => !name.startsWith('[')).length
  return { min, max: row.parameters.length }
}

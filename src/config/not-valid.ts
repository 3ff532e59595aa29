/** The refusal of an option that a command does not take, which may be that of another command. */
import { AppError } from '../base/error.ts'
import type { CommandName } from './command-table.ts'
import type { OptionName } from './option-table.ts'

type Instead = { readonly [Name in OptionName]?: OptionName }

/** What people mean by an option of another command. */
const INSTEAD: { readonly [Name in CommandName]?: Instead } = {
  backup: { jobs: 'process-max' },
  dump: { database: 'db-include', 'process-max': 'jobs' },
  'dump-restore': { 'db-include': 'database', 'process-max': 'jobs' },
  restore: { database: 'db-include', jobs: 'process-max' },
  verify: { jobs: 'process-max' },
}

export function notValid(name: OptionName, command: CommandName): AppError {
  const instead = INSTEAD[command]?.[name]
  return new AppError('option-invalid', `option '${name}' not valid for command '${command}'`, {
    hint: instead === undefined ? undefined : `'${command}' has '${instead}' for that.`,
  })
}

/** What a dump-restore was asked for. */
import { AppError } from '../../base/error.ts'
import { nearestName } from '../../base/text.ts'
import type { Config } from '../../config/config.ts'
import type { DumpedDatabase, DumpManifest } from '../../format/dump-manifest.ts'
import { isDumpLabel } from '../../format/label.ts'
import type { Asked, TableName } from './selection.ts'

export interface Request {
  /** Undefined: the newest. */
  readonly label: string | undefined
  /** Source databases: one by name, all of the set, or the only one. */
  readonly databases:
    | { readonly kind: 'one'; readonly name: string }
    | { readonly kind: 'all' }
    | { readonly kind: 'only' }
  readonly asked: Asked
  /** Undefined: the source's own name. */
  readonly toName: string | undefined
  readonly replace: string | undefined
  readonly owners: 'kept' | 'left-out'
  readonly privileges: 'kept' | 'left-out'
  readonly role: string | undefined
  readonly globals: 'restored' | 'left-out'
  /** `only`: compares a database that is there, and restores nothing. */
  readonly proof: 'afterwards' | 'none' | 'only'
  /** Undefined: what suits. */
  readonly jobs: number | undefined
}

/** Throws `option-invalid-value` and `option-invalid`. */
export function requestOf(config: Config): Request {
  const set = config.text('set')
  if (set !== 'latest' && !isDumpLabel(set)) {
    throw new AppError('option-invalid-value', `'${set}' is not the label of a dump set`, {
      hint: "'info' prints the labels there are; they look like 20260502-100007L.",
    })
  }
  const request: Request = {
    label: set === 'latest' ? undefined : set,
    databases: databasesAsked(config),
    asked: askedOf(config),
    toName: config.optionalText('to-database'),
    replace: config.optionalText('replace'),
    owners: config.flag('owner') ? 'kept' : 'left-out',
    privileges: config.flag('privileges') ? 'kept' : 'left-out',
    role: config.optionalText('role'),
    globals: config.flag('globals') ? 'restored' : 'left-out',
    proof: config.flag('prove-only') ? 'only' : config.flag('prove') ? 'afterwards' : 'none',
    jobs: config.optionalInteger('jobs'),
  }
  assertPossible(request, config)
  return request
}

function databasesAsked(config: Config): Request['databases'] {
  const name = config.optionalText('database')
  if (name !== undefined && config.flag('all')) {
    throw new AppError('option-invalid', "options 'all' and 'database' cannot be used together")
  }
  if (name !== undefined) return { kind: 'one', name }
  return { kind: config.flag('all') ? 'all' : 'only' }
}

function askedOf(config: Config): Asked {
  const schemas = config.list('schema')
  const tables = config.list('table').map(tableName)
  return schemas.length + tables.length === 0 ? { kind: 'all' } : { kind: 'some', schemas, tables }
}

/** `schema.table`, each exactly as it is, or in double quotes. */
function tableName(text: string): TableName {
  const [, ...parts] =
    /^(?:"((?:[^"]|"")+)"|([^".]+))\.(?:"((?:[^"]|"")+)"|([^"]+))$/.exec(text) ?? []
  const [quotedSchema, plainSchema, quotedName, plainName] = parts
  const schema = quotedSchema?.replaceAll('""', '"') ?? plainSchema
  const name = quotedName?.replaceAll('""', '"') ?? plainName
  if (schema !== undefined && name !== undefined) return { schema, name }
  throw new AppError('option-invalid-value', `'${text}' is not a table's name with its schema`, {
    hint: 'Example: --table=public.orders, or --table=\'"My Schema"."My.Table"\'.',
  })
}

function assertPossible(request: Request, config: Config): void {
  const { databases, asked, toName, replace, proof } = request
  if (databases.kind === 'all') {
    const other =
      toName !== undefined ? 'to-database' : replace !== undefined ? 'replace' : undefined
    if (other !== undefined) {
      throw new AppError('option-invalid', `option '${other}' is for one database, not for --all`)
    }
    if (asked.kind === 'some') {
      throw new AppError(
        'option-invalid',
        "options 'schema' and 'table' are of one database, not of --all",
      )
    }
  }
  if (proof !== 'only') return
  const other =
    RESTORE_ONLY.find((name) => config.has(name)) ??
    RESTORE_ONLY_FLAGS.find((name) => config.flag(name)) ??
    (config.flag('prove') ? undefined : 'no-prove')
  if (other !== undefined) {
    throw new AppError(
      'option-invalid',
      `option '${other}' is for a restore; --prove-only compares a whole database and changes nothing`,
    )
  }
}

const RESTORE_ONLY = ['replace', 'role', 'schema', 'table'] as const
const RESTORE_ONLY_FLAGS = ['globals', 'plan'] as const

/** Throws `db-missing` when the set does not have it, `option-required` when it is not clear which one is meant. */
export function chosenDatabases(
  request: Request,
  manifest: DumpManifest,
): readonly DumpedDatabase[] {
  const { databases } = manifest
  const names = databases.map(({ name }) => name)
  const asked = request.databases
  if (asked.kind === 'all') return databases
  if (asked.kind === 'one') {
    const found = databases.find(({ name }) => name === asked.name)
    if (found !== undefined) return [found]
    const near = nearestName(asked.name, names)
    throw new AppError('db-missing', `dump set ${manifest.label} has no database '${asked.name}'`, {
      hint: [
        near === undefined ? `It has: ${names.join(', ')}.` : `Did you mean '${near}'?`,
        "'info' tells which dump sets there are, and what is in each (--set).",
      ],
    })
  }
  const [only, ...others] = databases
  if (only !== undefined && others.length === 0) return [only]
  throw new AppError(
    'option-required',
    `dump set ${manifest.label} has ${databases.length} databases: which one (--database)?`,
    { hint: [`It has: ${names.join(', ')}.`, '--all restores every one under its own name.'] },
  )
}

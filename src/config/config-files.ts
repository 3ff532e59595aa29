/** The files that configuration is read from: an interface so that tests need no /etc, and where to look. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { AppError, errnoOf, type ErrorKind } from '../base/error.ts'
import { compareBytes } from '../base/text.ts'
import { givenOption, type GivenOptions } from './given.ts'
import type { OptionName } from './option-table.ts'

export interface ConfigFiles {
  /** The text, or undefined when there is no such file. Throws `file-open` when it cannot be read. */
  read(path: string): string | undefined
  /** Names in a directory, or undefined when there is no such directory. Throws `path-open`. */
  list(path: string): readonly string[] | undefined
  /** Permission bits, or undefined when there is no such file. */
  mode(path: string): number | undefined
  /** Standard output of a shell command. Throws `execute` when it fails. */
  run(shellCommand: string): string
}

export const systemFiles: ConfigFiles = {
  read: (path) => unlessMissing('file-open', path, () => readFileSync(path, 'utf8')),
  list: (path) => unlessMissing('path-open', path, () => readdirSync(path)),
  mode: (path) => unlessMissing('file-open', path, () => statSync(path).mode & 0o777),
  run: (shellCommand) => {
    try {
      // Loaded only here: archive-push reads its configuration for every segment, and rarely needs a command for it.
      const { execFileSync } = process.getBuiltinModule('node:child_process')
      return execFileSync('/bin/sh', ['-c', shellCommand], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      })
    } catch {
      // The error of execFileSync carries the output, which may be a part of the secret: it is not a cause.
      throw new AppError('execute', `command '${shellCommand}' failed`)
    }
  },
}

function unlessMissing<T>(kind: ErrorKind, path: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    throw new AppError(kind, `unable to read '${path}': ${errno ?? 'unknown error'}`, {
      cause: error,
    })
  }
}

/** One place where configuration may be: a main file and a directory of further files. */
interface Place {
  readonly main: readonly string[]
  readonly include: string
}

/** The first place that has anything counts; places are never mixed. The last two are pgBackRest's. */
const PLACES: readonly Place[] = [
  { main: ['/etc/pgsurety/pgsurety.conf'], include: '/etc/pgsurety/conf.d' },
  {
    main: ['/etc/pgbackrest/pgbackrest.conf', '/etc/pgbackrest.conf'],
    include: '/etc/pgbackrest/conf.d',
  },
]

export interface FileText {
  readonly path: string
  readonly text: string
}

/**
 * The configuration files that apply, in the order they are read. Throws `file-missing` and `path-missing` for those
 * that were asked for by name, and `option-invalid-value` for a relative path.
 */
export function readConfigFiles(files: ConfigFiles, options: GivenOptions): readonly FileText[] {
  const config = givenOption(options, 'config', 1)
  const path = valueOf(options, 'config-path')
  const include = valueOf(options, 'config-include-path')
  const place = path === undefined ? chooseSystemPlace(files) : placeAt(path)
  const main = readMain({
    files,
    place,
    asked: config?.values[0],
    isRefused: config?.form === 'negated',
  })
  if (include !== undefined) return [...main, ...readIncluded(files, include, { missing: 'error' })]
  if (config !== undefined && path === undefined) return main
  return [...main, ...readIncluded(files, place.include, { missing: 'nothing' })]
}

function valueOf(options: GivenOptions, name: OptionName): string | undefined {
  const value = givenOption(options, name, 1)?.values[0]
  if (value !== undefined && !value.startsWith('/')) {
    throw new AppError('option-invalid-value', `'${value}' must begin with / for '${name}' option`)
  }
  return value === '/' ? '' : value?.replace(/\/$/, '')
}

function placeAt(path: string): Place {
  return { main: [`${path}/pgsurety.conf`, `${path}/pgbackrest.conf`], include: `${path}/conf.d` }
}

function chooseSystemPlace(files: ConfigFiles): Place {
  const found = PLACES.find(
    ({ main, include }) =>
      main.some((path) => files.mode(path) !== undefined) ||
      configNames(files.list(include)).length > 0,
  )
  return found ?? placeAt('/etc/pgsurety')
}

interface MainInput {
  readonly files: ConfigFiles
  readonly place: Place
  /** Path from --config. */
  readonly asked: string | undefined
  /** --no-config. */
  readonly isRefused: boolean
}

function readMain({ files, place, asked, isRefused }: MainInput): readonly FileText[] {
  if (isRefused) return []
  if (asked !== undefined) {
    const text = files.read(asked)
    if (text === undefined) {
      throw new AppError('file-missing', `unable to open missing file '${asked}' for read`)
    }
    return [{ path: asked, text }]
  }
  for (const path of place.main) {
    const text = files.read(path)
    if (text !== undefined) return [{ path, text }]
  }
  return []
}

function readIncluded(
  files: ConfigFiles,
  path: string,
  { missing }: { readonly missing: 'error' | 'nothing' },
): readonly FileText[] {
  const names = files.list(path)
  if (names === undefined && missing === 'error') {
    throw new AppError('path-missing', `unable to list file info for missing path '${path}'`)
  }
  return configNames(names).flatMap((name) => {
    const text = files.read(`${path}/${name}`)
    return text === undefined ? [] : [{ path: `${path}/${name}`, text }]
  })
}

function configNames(names: readonly string[] | undefined): readonly string[] {
  return (names ?? []).filter((name) => name.endsWith('.conf')).toSorted(compareBytes)
}

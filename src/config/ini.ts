/**
 * pgBackRest's configuration files: `[section]`, `key=value`, `#` comments on lines of their own.
 *
 * Not for info files and manifests: their values are JSON, and blanks and `#` mean something there.
 */
import { AppError } from '../base/error.ts'

/** Section → key → values in order. A section that appears twice is one section. */
export type Ini = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

/** The blanks pgBackRest trims. */
const TRIM = /^[ \t\r\n]+|[ \t\r\n]+$/g

/** Reads several files as one; each must be right on its own. Throws `format` with file and line. */
export function parseIni(files: readonly { readonly path: string; readonly text: string }[]): Ini {
  const ini = new Map<string, Map<string, string[]>>()
  for (const { path, text } of files) {
    let section: Map<string, string[]> | undefined
    for (const [index, raw] of text.split('\n').entries()) {
      const line = raw.replace(TRIM, '')
      if (line === '' || line.startsWith('#')) continue
      const where = `line ${index + 1} of '${path}'`
      if (line.startsWith('[')) {
        const name = parseSection(line, where)
        section = ini.get(name) ?? new Map()
        ini.set(name, section)
        continue
      }
      const { key, value } = parseKeyValue(line, where)
      if (section === undefined) throw bad(`key '${key}' is outside of any section at ${where}`)
      section.set(key, [...(section.get(key) ?? []), value])
    }
  }
  return ini
}

function parseSection(line: string, where: string): string {
  if (!line.endsWith(']')) throw bad(`section does not end with ']' at ${where}`)
  const name = line.slice(1, -1)
  if (name === '') throw bad(`section without name at ${where}`)
  return name
}

function parseKeyValue(
  line: string,
  where: string,
): { readonly key: string; readonly value: string } {
  const equals = line.indexOf('=')
  // The line may hold a secret, so it is not shown.
  if (equals === -1) throw bad(`missing '=' at ${where}`)
  const key = line.slice(0, equals).replace(TRIM, '')
  if (key === '') throw bad(`missing key before '=' at ${where}`)
  return { key, value: line.slice(equals + 1).replace(TRIM, '') }
}

function bad(message: string): AppError {
  return new AppError('format', message)
}

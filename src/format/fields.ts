/**
 * Typed reads of the members of parsed JSON objects.
 *
 * A member that is missing or `null` counts as absent. A wrong type is `format` (with the member's name; the reader of
 * the file adds which file and entry).
 */
import { AppError } from '../base/error.ts'
import { isArray, type JsonObject, type JsonValue } from './json.ts'

/** The member's value; undefined when it is missing or null. */
export function memberOf(object: JsonObject, name: string): JsonValue | undefined {
  if (!Object.hasOwn(object, name)) return undefined
  return object[name] ?? undefined
}

export function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value)
}

export function asObject(value: JsonValue): JsonObject {
  if (isObject(value)) return value
  throw new AppError('format', 'value is not an object')
}

function required<T>(name: string, value: T | undefined): T {
  if (value === undefined) throw new AppError('format', `'${name}' is missing`)
  return value
}

export function text(object: JsonObject, name: string): string {
  return required(name, optionalText(object, name))
}

export function optionalText(object: JsonObject, name: string): string | undefined {
  const value = memberOf(object, name)
  if (value === undefined || typeof value === 'string') return value
  throw new AppError('format', `'${name}' is not a string`)
}

/** Whole numbers of 0 or more that are exact: sizes, times, ids, OIDs. */
export function count(object: JsonObject, name: string): number {
  return required(name, optionalCount(object, name))
}

export function optionalCount(object: JsonObject, name: string): number | undefined {
  const value = memberOf(object, name)
  if (value === undefined || isCount(value)) return value
  throw new AppError('format', `'${name}' is not a whole number of 0 or more`)
}

export function isCount(value: JsonValue): value is number {
  return typeof value === 'number' && value >= 0
}

/** Whole numbers of either sign: times before 1970, compression levels. */
export function optionalInteger(object: JsonObject, name: string): number | undefined {
  const value = memberOf(object, name)
  if (value === undefined || typeof value === 'number') return value
  throw new AppError('format', `'${name}' is not a whole number`)
}

export function integer(object: JsonObject, name: string): number {
  return required(name, optionalInteger(object, name))
}

/** Unsigned 64-bit identifiers, such as PostgreSQL's system identifier. */
export function identifier(object: JsonObject, name: string): bigint {
  const value = required(name, memberOf(object, name))
  if ((typeof value === 'number' || typeof value === 'bigint') && value >= 0) return BigInt(value)
  throw new AppError('format', `'${name}' is not an identifier`)
}

export function optionalFlag(object: JsonObject, name: string): boolean | undefined {
  const value = memberOf(object, name)
  if (value === undefined || typeof value === 'boolean') return value
  throw new AppError('format', `'${name}' is not a boolean`)
}

/** An object whose members are all strings; empty when absent. */
export function textMap(object: JsonObject, name: string): ReadonlyMap<string, string> {
  const value = memberOf(object, name)
  if (value === undefined) return new Map()
  if (!isObject(value)) throw new AppError('format', `'${name}' is not an object`)
  return new Map(Object.keys(value).map((key) => [key, text(value, key)]))
}

/** An array of strings; undefined when absent. */
export function optionalTexts(object: JsonObject, name: string): readonly string[] | undefined {
  const value = memberOf(object, name)
  if (value === undefined) return undefined
  if (isArray(value)) {
    const texts = value.filter((item) => typeof item === 'string')
    if (texts.length === value.length) return texts
  }
  throw new AppError('format', `'${name}' is not a list of strings`)
}

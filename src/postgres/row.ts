/** Typed reading of one column of a row, for values the server was asked to give as text. */
import { AppError } from '../base/error.ts'

export type Row = Readonly<Record<string, unknown>>

/** The column's text. Throws `db-query` for NULL and for a type the query did not promise. */
export function textColumn(row: Row | undefined, column: string): string {
  const value = row?.[column]
  if (typeof value === 'string') return value
  throw new AppError('db-query', `the server gave no text for column '${column}'`)
}

/** The column's whole number, which the query casts to text so that no driver rounds it. */
export function integerColumn(row: Row | undefined, column: string): number {
  const text = textColumn(row, column)
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value
  throw new AppError('db-query', `the server gave '${text}' for the number '${column}'`)
}

import { AppError } from '../base/error.ts'
import { toHumanText } from '../base/text.ts'

const BAD_PART = /(?:^|\/)(?:\.{0,2})(?:\/|$)|[\0\u0100-\uffff]/

/**
 * Throws `param-invalid` unless `key` can name an object: parts between single `/`, none empty, `.` or `..`, no NUL, one
 * byte a character. Names from a manifest come from outside, so this is what keeps them inside the repository.
 */
export function checkKey(key: string): void {
  if (BAD_PART.test(key)) {
    throw new AppError('param-invalid', `'${toHumanText(key)}' is not a storage key`)
  }
}

/** As `checkKey`, but `''`, the root, is a prefix too. */
export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix)
}

/** The prefix that holds `key`; `''` for a key at the root. */
export function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')))
}

/** `name` below `prefix`, which may be the root. */
export function joinKey(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}/${name}`
}

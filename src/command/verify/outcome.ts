/** What came of checking one thing. Damage, absence and "it could not be read" never become one another. */
import { asAppError, isErrorKind } from '../../base/error.ts'

/**
 * `missing`: certainly not there. `checksum`, `size`: not the bytes that were written. `content`: the bytes are not what
 * they should be; without a checksum nothing more precise can be said.
 */
const DAMAGE_KINDS = ['missing', 'checksum', 'size', 'content'] as const
export type DamageKind = (typeof DAMAGE_KINDS)[number]

export type Outcome =
  /** The size is that of a WAL segment's content. */
  | { readonly state: 'valid'; readonly segmentSizeBytes: number | undefined }
  | { readonly state: 'damaged'; readonly kind: DamageKind; readonly detail: string }
  /** Unreachable, not permitted, an error of the disk: nothing is known. */
  | { readonly state: 'unreadable'; readonly detail: string }

export const VALID: Outcome = { state: 'valid', segmentSizeBytes: undefined }

export function damaged(kind: DamageKind, detail: string): Outcome {
  return { state: 'damaged', kind, detail }
}

/** What an error tells that came while something was read or parsed. */
export function outcomeOf(error: unknown): Exclude<Outcome, { state: 'valid' }> {
  const { message } = asAppError(error)
  if (isErrorKind(error, 'file-missing')) {
    return { state: 'damaged', kind: 'missing', detail: 'it is not there' }
  }
  // `param-invalid`: a name that cannot be stored, and so was not written by a backup.
  if (isErrorKind(error, 'format', 'checksum', 'crypto', 'json-format', 'param-invalid')) {
    return { state: 'damaged', kind: 'content', detail: message }
  }
  return { state: 'unreadable', detail: message }
}

export function isOutcome(value: unknown): value is Outcome {
  if (typeof value !== 'object' || value === null || !('state' in value)) return false
  switch (value.state) {
    case 'valid':
      return true
    case 'damaged':
      return 'kind' in value && DAMAGE_KINDS.some((kind) => kind === value.kind)
    case 'unreadable':
      return 'detail' in value && typeof value.detail === 'string'
    default:
      return false
  }
}

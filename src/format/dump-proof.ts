/** The record of one restore of a dump set, kept beside it: whether it was proved, and how long it took. */
import { AppError } from '../base/error.ts'
import type { JsonValue } from './json.ts'
import { asObject, count, integer, memberOf, text } from './fields.ts'

export type ProofVerdict =
  /** Every row and every fact is the same. */
  | 'proved'
  /** As far as they were compared, of large tables only a sample or their number. */
  | 'proved, sampled'
  | 'differs'
  /** Something could not be compared. Never a pass. */
  | 'incomplete'
  /** pg_restore had errors, after which nothing was compared. */
  | 'had errors'
  /** It was asked not to be. */
  | 'not asked'

const VERDICTS: readonly ProofVerdict[] = [
  'proved',
  'proved, sampled',
  'differs',
  'incomplete',
  'had errors',
  'not asked',
]

export interface DumpProof {
  readonly version: 1
  /** Of the dump set. */
  readonly label: string
  /** Name at the source. */
  readonly database: string
  /** `selection`: some schemas or tables. `comparison`: nothing was restored, a database that was there was compared. */
  readonly extent: 'whole' | 'selection' | 'comparison'
  readonly atMs: number
  /** Of the server it was restored to: `17.11`. */
  readonly serverVersion: string
  /** Of pg_restore. */
  readonly clientVersion: string
  readonly jobs: number
  /** At the source. */
  readonly sizeBytes: number
  /** Schema and rows; indexes, constraints and grants; the comparison. */
  readonly dataMs: number
  readonly finishMs: number
  readonly proveMs: number
  readonly verdict: ProofVerdict
  /** SHA-256 of the fingerprint of the set; null when there is none. */
  readonly fingerprintSha256: string | null
}

const EXTENTS: readonly DumpProof['extent'][] = ['whole', 'selection', 'comparison']

/** Throws `format`, and `version-not-supported` for a record of a version that is not known yet. */
export function readDumpProof(value: JsonValue): DumpProof {
  const members = asObject(value)
  const version = count(members, 'version')
  if (version !== 1) {
    throw new AppError('version-not-supported', `a proof of version '${version}' is not known`)
  }
  return {
    version,
    label: text(members, 'label'),
    database: text(members, 'database'),
    extent: oneOf(EXTENTS, text(members, 'extent')),
    atMs: integer(members, 'atMs'),
    serverVersion: text(members, 'serverVersion'),
    clientVersion: text(members, 'clientVersion'),
    jobs: count(members, 'jobs'),
    sizeBytes: count(members, 'sizeBytes'),
    dataMs: count(members, 'dataMs'),
    finishMs: count(members, 'finishMs'),
    proveMs: count(members, 'proveMs'),
    verdict: oneOf(VERDICTS, text(members, 'verdict')),
    fingerprintSha256:
      memberOf(members, 'fingerprintSha256') === undefined
        ? null
        : text(members, 'fingerprintSha256'),
  }
}

function oneOf<T extends string>(known: readonly T[], found: string): T {
  const value = known.find((one) => one === found)
  if (value !== undefined) return value
  throw new AppError('format', `'${found}' is not one of: ${known.join(', ')}`)
}

/** How far recovery goes: reading what people ask for, without guessing. Pure but for the zone `local`. */
import { AppError } from '../base/error.ts'
import { formatUtcOffset, offsetAtMs, offsetOfWallTime, parseUtcOffset } from './local-time.ts'

/** A point to stop at that needs a value. */
export type RecoveryTarget =
  /** Microseconds since the epoch, PostgreSQL's resolution. */
  | { readonly kind: 'time'; readonly atUs: bigint; readonly original: string }
  | { readonly kind: 'xid'; readonly xid: bigint }
  | { readonly kind: 'lsn'; readonly lsn: bigint }
  /** Of `pg_create_restore_point`; human text. */
  | { readonly kind: 'name'; readonly name: string }

export interface ParseTargetOptions {
  readonly type: RecoveryTarget['kind']
  /** Human text. */
  readonly text: string
  /** Zone of a time that states none: an IANA name, an offset or `local`. Undefined: such a time is refused. */
  readonly zone: string | undefined
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?$/i
const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

const XID_MAX = 2n ** 64n - 1n
/** PostgreSQL's MAXFNAMELEN less its final NUL. */
const NAME_BYTES_MAX = 63

/** Throws `option-invalid-value`, naming what the text looks like instead. */
export function parseTarget({ type, text, zone }: ParseTargetOptions): RecoveryTarget {
  switch (type) {
    case 'time':
      return { kind: 'time', atUs: parseTimeUs(text, zone), original: text }
    case 'xid':
      return { kind: 'xid', xid: parseXid(text) }
    case 'lsn':
      return { kind: 'lsn', lsn: parseLsnTarget(text) }
    case 'name':
      return { kind: 'name', name: parseName(text) }
  }
}

function parseTimeUs(text: string, zone: string | undefined): bigint {
  const found = TIME.exec(text)
  if (found === null) {
    throw invalid(`'${text}' is not a time`, {
      hint: "Write it as '2026-05-02 14:29:59+02:00'.",
    })
  }
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = found
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const wallMs = Date.parse(iso)
  // Date.parse takes 24:00:00 and, for some months, a 31st that does not exist.
  if (Number.isNaN(wallMs) || new Date(wallMs).toISOString() !== iso) {
    throw invalid(`'${text}' is not a time that exists`)
  }
  const offsetS = offsetOf(text, { stated: found[8], zone, wallMs })
  const fractionUs = BigInt((found[7] ?? '').padEnd(6, '0'))
  return BigInt(wallMs - offsetS * 1000) * 1000n + fractionUs
}

function offsetOf(
  text: string,
  options: { stated: string | undefined; zone: string | undefined; wallMs: number },
): number {
  const { stated, zone, wallMs } = options
  if (stated !== undefined) {
    const offsetS = parseUtcOffset(stated)
    if (offsetS !== undefined) return offsetS
    throw invalid(`'${stated}' in '${text}' is not an offset from UTC`)
  }
  if (zone !== undefined) return offsetOfWallTime(zone, wallMs)
  throw invalid(`time '${text}' states no zone`, {
    hint: `Server, repository and you may be in different zones. Add an offset, as in '${text}+02:00', or 'Z'.`,
  })
}

/**
 * PostgreSQL up to 15 reads any text as a number in any base, as far as it looks like one: an LSN becomes transaction 0,
 * `010` becomes 8. Then it replays everything, or does not start.
 */
function parseXid(text: string): bigint {
  if (LSN.test(text))
    throw invalid(`'${text}' is an LSN, not a transaction id`, { hint: 'Use type lsn.' })
  if (TIME.test(text))
    throw invalid(`'${text}' is a time, not a transaction id`, { hint: 'Use type time.' })
  if (/^0x[0-9a-f]+$/i.test(text)) {
    throw invalid(`transaction id '${text}' is hexadecimal`, { hint: 'Write it in decimal.' })
  }
  if (!/^[1-9]\d{0,19}$/.test(text) || BigInt(text) > XID_MAX) {
    throw invalid(`'${text}' is not a transaction id from 1 to ${XID_MAX}`)
  }
  const xid = BigInt(text)
  // Recovery compares the lower half; the upper half is the epoch.
  if (BigInt.asUintN(32, xid) === 0n) throw invalid(`no transaction can have the id '${text}'`)
  return xid
}

function parseLsnTarget(text: string): bigint {
  const found = LSN.exec(text)
  if (found === null) {
    throw invalid(`'${text}' is not an LSN`, { hint: "Write it as '16/B374D848'." })
  }
  return (BigInt(`0x${found[1] ?? ''}`) << 32n) | BigInt(`0x${found[2] ?? ''}`)
}

function parseName(text: string): string {
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes === 0) throw invalid('the name of a restore point cannot be empty')
  if (sizeBytes > NAME_BYTES_MAX) {
    throw invalid(
      `restore point '${text}' has ${sizeBytes} bytes but PostgreSQL allows ${NAME_BYTES_MAX}`,
    )
  }
  return text
}

function invalid(message: string, options: { readonly hint?: string } = {}): AppError {
  return new AppError('option-invalid-value', message, options)
}

/** `2026-05-02 12:29:59.5+00` and the same instant in the process's zone; both with offset, for PostgreSQL and people. */
export function formatTargetTime(us: bigint): { readonly utc: string; readonly local: string } {
  const localOffsetS = offsetAtMs('local', Number(us / 1000n))
  return { utc: formatAtOffset(us, 0), local: formatAtOffset(us, localOffsetS) }
}

function formatAtOffset(us: bigint, offsetS: number): string {
  const fractionUs = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n
  const wallMs = Number((us - fractionUs) / 1000n) + offsetS * 1000
  const shown = new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')
  const fraction = String(fractionUs).padStart(6, '0').replace(/0+$/, '')
  return `${shown}${fraction === '' ? '' : `.${fraction}`}${formatUtcOffset(offsetS)}`
}

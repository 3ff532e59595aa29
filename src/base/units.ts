/** Byte sizes and durations: constants, and the two spellings in which people read and write them. */

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB
export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

const SIZE_UNITS = [
  { name: 'B', bytes: 1 },
  { name: 'KB', bytes: KIB },
  { name: 'MB', bytes: MIB },
  { name: 'GB', bytes: GIB },
] as const

/** `123B`, `23.4MB`: powers of 1024 up to GB, one decimal rounded from two truncated ones, `.0` dropped (pgBackRest 2.60). */
export function formatSize(sizeBytes: number): string {
  if (sizeBytes < KIB) return `${sizeBytes}B`
  const unit = SIZE_UNITS.findLast(({ bytes }) => sizeBytes >= bytes) ?? SIZE_UNITS[0]
  const tenths = Math.round(Math.floor((sizeBytes / unit.bytes) * 100) / 10)
  return `${Math.floor(tenths / 10)}${tenths % 10 === 0 ? '' : `.${tenths % 10}`}${unit.name}`
}

/** `850ms`, `3.2s`, `4m12s`, `2h05m`: for people, never parsed. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)}ms`
  if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)}s`
  const seconds = Math.round(ms / SECOND_MS)
  if (ms < HOUR_MS) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`
  return `${Math.floor(seconds / 3600)}h${String(Math.floor(seconds / 60) % 60).padStart(2, '0')}m`
}

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  b: 1,
  k: KIB,
  m: MIB,
  g: GIB,
  t: 1024 * GIB,
  p: 1024 * 1024 * GIB,
}

/** Bytes from `64`, `64b`, `1k`, `1KiB`, `2GB` (all powers of 1024, any case), or undefined. */
export function parseSize(text: string): number | undefined {
  const found = /^(\d+)(b|[kmgtp](?:i?b)?)?$/i.exec(text)
  if (found === null) return undefined
  const bytes = Number(found[1]) * (SIZE_FACTORS[(found[2] ?? 'b').charAt(0).toLowerCase()] ?? 1)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

const TIME_FACTORS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
}

/** Milliseconds from `10` (seconds), `100ms`, `5m`, `2d` … (any case; old decimals like `0.5` too), or undefined. */
export function parseTimeMs(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)(ms|[smhdw])?$/i.exec(text)
  if (found === null) return undefined
  const ms = Number(found[1]) * (TIME_FACTORS_MS[(found[2] ?? 's').toLowerCase()] ?? 1)
  return Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : undefined
}

/** `2026-11-22 18:20:58+00`: local time with its offset, minutes only when there are some (pgBackRest 2.60). */
export function formatLocalTime(seconds: number): string {
  const at = new Date(seconds * SECOND_MS)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  const offset = at.getTimezoneOffset()
  const hours = two(Math.floor(Math.abs(offset) / 60))
  const minutes = Math.abs(offset) % 60
  return `${day} ${time}${offset > 0 ? '-' : '+'}${hours}${minutes === 0 ? '' : `:${two(minutes)}`}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** From a wall-clock time and a zone to an instant, and back. Pure but for the process's own zone, called `local`. */
import { AppError } from '../base/error.ts'

const MINUTE_S = 60
const HOUR_S = 60 * MINUTE_S
const DAY_MS = 24 * HOUR_S * 1000

/** PostgreSQL accepts offsets below 16 hours. */
const OFFSET_HOURS_MAX = 15

/**
 * Seconds east of UTC of `Z`, `UTC`, `+HH`, `+HHMM` or `+HH:MM`; undefined for other text, including offsets that
 * PostgreSQL refuses.
 */
export function parseUtcOffset(text: string): number | undefined {
  if (/^(?:z|utc)$/i.test(text)) return 0
  const found = /^([+-])(\d\d)(?::?(\d\d))?$/.exec(text)
  if (found === null) return undefined
  const hours = Number(found[2])
  const minutes = Number(found[3] ?? 0)
  if (hours > OFFSET_HOURS_MAX || minutes > 59) return undefined
  return (found[1] === '-' ? -1 : 1) * (hours * HOUR_S + minutes * MINUTE_S)
}

/** `+00`, `+05:30`, `-00:01:15`: as short as PostgreSQL prints it. */
export function formatUtcOffset(offsetS: number): string {
  const rest = Math.abs(offsetS)
  const parts = [Math.floor(rest / HOUR_S), Math.floor(rest / MINUTE_S) % 60, rest % MINUTE_S].map(
    (part) => String(part).padStart(2, '0'),
  )
  while (parts.length > 1 && parts.at(-1) === '00') parts.pop()
  return `${offsetS < 0 ? '-' : '+'}${parts.join(':')}`
}

/** Seconds east of UTC that hold in `zone` (`local`, an offset or an IANA name) at an instant. */
export function offsetAtMs(zone: string, ms: number): number {
  return offsetsOf(zone)(ms)
}

/**
 * The offset that a wall clock in `zone` has when it shows `wallMs` (the shown time, read as if it were UTC). Throws
 * `option-invalid-value` when it never shows that, when it shows it twice, and when the zone is unknown.
 */
export function offsetOfWallTime(zone: string, wallMs: number): number {
  const offsetAt = offsetsOf(zone)
  // A zone's clock changes at most once within two days.
  const candidates = new Set([-DAY_MS, 0, DAY_MS].map((distance) => offsetAt(wallMs + distance)))
  const offsets = [...candidates].filter((offsetS) => offsetAt(wallMs - offsetS * 1000) === offsetS)
  const [offsetS, another] = offsets
  const shown = new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')
  if (offsetS === undefined) {
    throw new AppError('option-invalid-value', `time '${shown}' does not exist in zone '${zone}'`, {
      hint: 'The clocks were put forward over it. State an offset, as in +02:00.',
    })
  }
  if (another !== undefined) {
    const choices = offsets.map(formatUtcOffset).join(' or ')
    throw new AppError('option-invalid-value', `time '${shown}' occurs twice in zone '${zone}'`, {
      hint: `The clocks were put back over it. State the offset: ${choices}.`,
    })
  }
  return offsetS
}

function offsetsOf(zone: string): (ms: number) => number {
  const fixed = parseUtcOffset(zone)
  if (fixed !== undefined) return () => fixed
  const format = zoneFormat(zone)
  return (ms) => {
    const parts = format.formatToParts(ms)
    const name = parts.find((part) => part.type === 'timeZoneName')?.value ?? ''
    const found = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name)
    if (found === null) throw new AppError('assert', `unexpected zone name '${name}'`)
    const [, sign, hours = 0, minutes = 0, seconds = 0] = found
    const size = Number(hours) * HOUR_S + Number(minutes) * MINUTE_S + Number(seconds)
    return sign === '-' ? -size : size
  }
}

function zoneFormat(zone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone === 'local' ? undefined : zone,
      timeZoneName: 'longOffset',
    })
  } catch (cause) {
    throw new AppError('option-invalid-value', `unknown time zone '${zone}'`, {
      cause,
      hint: "Use a name like 'Europe/Berlin', an offset like '+02:00', or 'local'.",
    })
  }
}

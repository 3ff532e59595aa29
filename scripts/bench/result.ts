/** What was measured, and what follows from it. Pure. */

/** One run. */
export interface Sample {
  readonly seconds: number
  /** Of all processes; undefined where the machine does not tell. */
  readonly cpuSeconds: number | undefined
  readonly peakBytes: number
  /** What reached the disk until it was at rest again. */
  readonly writtenBytes: number
}

export const TOOLS = [
  'pgsurety',
  'pgbackrest',
  'pg_basebackup',
  'pg_dump',
  'pg_restore',
  'no fingerprint',
  'limit',
] as const
export type ToolName = (typeof TOOLS)[number]

/** pgsurety's figure divided by the peer's must not be above this. */
export interface Goals {
  readonly wall: number
  readonly cpu?: number
  /** What the limit's time divided by ours must not be below. */
  readonly share?: number
}

/** One work, as every program did it. */
export interface Row {
  readonly name: string
  readonly what: string
  readonly settings: string
  readonly goals: Goals
  /** Whom the ratios are to; default pgBackRest. */
  readonly peer?: ToolName
  /** Of the size that `what` says. */
  readonly scale: number
  /** How many of the counted things one run does, such as segments; 1 when it is about the whole. */
  readonly count: number
  readonly samples: Readonly<Partial<Record<ToolName, readonly Sample[]>>>
}

/** Of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  const high = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  return (low + high) / 2
}

export function medianOf(row: Row, tool: ToolName): Sample | undefined {
  const samples = row.samples[tool]
  if (samples === undefined || samples.length === 0) return undefined
  const cpu = samples.map(({ cpuSeconds }) => cpuSeconds)
  return {
    seconds: median(samples.map(({ seconds }) => seconds)),
    cpuSeconds: cpu.some((value) => value === undefined)
      ? undefined
      : median(cpu.map((value) => value ?? Number.NaN)),
    peakBytes: median(samples.map(({ peakBytes }) => peakBytes)),
    writtenBytes: median(samples.map(({ writtenBytes }) => writtenBytes)),
  }
}

/** Undefined where one side is missing. */
export interface Ratios {
  readonly wall: number | undefined
  readonly cpu: number | undefined
  readonly share: number | undefined
}

export function ratiosOf(row: Row): Ratios {
  const ours = medianOf(row, 'pgsurety')
  const theirs = medianOf(row, row.peer ?? 'pgbackrest')
  return {
    wall: divided(ours?.seconds, theirs?.seconds),
    cpu: divided(ours?.cpuSeconds, theirs?.cpuSeconds),
    share: divided(medianOf(row, 'limit')?.seconds, ours?.seconds),
  }
}

function divided(above: number | undefined, below: number | undefined): number | undefined {
  return above === undefined || below === undefined || below === 0 ? undefined : above / below
}

/** `unknown`: a peer is missing. */
export type Verdict = 'met' | 'missed' | 'unknown'

export function verdictOf(row: Row): Verdict {
  const { wall, cpu, share } = ratiosOf(row)
  const { goals } = row
  const checks = [
    { found: wall, isMet: (value: number) => value <= goals.wall },
    ...(goals.cpu === undefined
      ? []
      : [{ found: cpu, isMet: (value: number) => value <= (goals.cpu ?? 0) }]),
    ...(goals.share === undefined
      ? []
      : [{ found: share, isMet: (value: number) => value >= (goals.share ?? 0) }]),
  ]
  if (checks.some(({ found, isMet }) => found !== undefined && !isMet(found))) return 'missed'
  return checks.some(({ found }) => found === undefined) ? 'unknown' : 'met'
}

/** Earlier rows, each replaced by a new one of its name; the order is that of `names`. */
export function merged<Named extends { readonly name: string }>(
  earlier: readonly Named[],
  now: readonly Named[],
  names: readonly string[],
): readonly Named[] {
  const known = new Map([...earlier, ...now].map((row) => [row.name, row]))
  return names.flatMap((name) => known.get(name) ?? [])
}

/** pgsurety alone, with 1, 4 and 16 times as much to do. */
export interface Growth {
  readonly name: string
  readonly what: string
  readonly points: readonly {
    readonly count: number
    readonly sample: Sample
  }[]
}

/** By how much one more costs more at the end than at the beginning: 1 is linear. Undefined below three points. */
export function bendOf({ points }: Growth): number | undefined {
  const [first, second] = points
  const [before, last] = points.slice(-2)
  if (points.length < 3 || first === undefined || second === undefined) return undefined
  if (before === undefined || last === undefined) return undefined
  const slope = (from: Growth['points'][number], to: Growth['points'][number]): number =>
    (to.sample.seconds - from.sample.seconds) / (to.count - from.count)
  return slope(before, last) / slope(first, second)
}

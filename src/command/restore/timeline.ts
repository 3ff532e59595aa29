/** Which timeline a restore follows, and whether the backup lies on it. Pure. */
import { AppError } from '../../base/error.ts'
import { parseHistory } from '../../format/history.ts'
import {
  formatLsn,
  parseLsn,
  parseSegmentName,
  segmentAt,
  type SegmentName,
  timelineOf,
} from '../../format/wal.ts'

/** One stretch of the way from the backup to the target: this timeline from this WAL position on. */
export interface TimelineStretch {
  readonly timeline: number
  readonly fromLsn: bigint
}

export interface TimelineQuestion {
  readonly label: string
  /** First segment of the backup. */
  readonly archiveStart: string
  readonly lsnStart: string
  /** `latest`, `current`, or a timeline number in decimal or 0x-hexadecimal. */
  readonly wanted: string
  /** Timeline number → text of its history file. */
  readonly histories: ReadonlyMap<number, string>
}

/** The timelines recovery goes through, oldest first; the last one is the target. `db-mismatch` when there is no way. */
export function timelinePath(question: TimelineQuestion): readonly TimelineStretch[] {
  const { archiveStart, histories } = question
  const own = timelineOf(parseSegmentName(archiveStart))
  const target = targetTimeline(question, own)
  if (target === own) return [{ timeline: own, fromLsn: 0n }]
  const text = histories.get(target)
  if (text === undefined) {
    throw new AppError('db-mismatch', `timeline ${target} has no history file in the archive`, {
      hint: `timelines with a history: ${[...histories.keys()].join(', ') || 'none'}`,
    })
  }
  const history = parseHistory(text)
  const ownLine = history.find(({ timeline }) => timeline === own)
  if (ownLine === undefined || ownLine.switchLsn <= parseLsn(question.lsnStart)) {
    throw new AppError(
      'db-mismatch',
      whyNotOnTimeline(question, { own, target, switchLsn: ownLine?.switchLsn }),
      {
        hint: `use --target-timeline=current to stay on timeline ${own}, or choose another backup with --set.`,
      },
    )
  }
  const stretches: TimelineStretch[] = []
  let fromLsn = 0n
  for (const line of history) {
    stretches.push({ timeline: line.timeline, fromLsn })
    fromLsn = line.switchLsn
  }
  stretches.push({ timeline: target, fromLsn })
  return stretches.filter(({ timeline }) => timeline >= own)
}

function targetTimeline({ wanted, histories }: TimelineQuestion, own: number): number {
  if (wanted === 'current') return own
  if (wanted === 'latest') return Math.max(own, ...histories.keys())
  const number = /^(?:\d+|0x[0-9a-f]+)$/i.test(wanted) ? Number(wanted) : Number.NaN
  if (number >= 1 && number <= 0xffffffff) return number
  throw new AppError(
    'option-invalid-value',
    `'${wanted}' is not a valid value for option 'target-timeline'`,
    {
      hint: "give 'latest', 'current', or a timeline number such as 3 or 0x3.",
    },
  )
}

function whyNotOnTimeline(
  { label, lsnStart }: TimelineQuestion,
  {
    own,
    target,
    switchLsn,
  }: { readonly own: number; readonly target: number; readonly switchLsn: bigint | undefined },
): string {
  const what = `backup '${label}' (timeline ${own}, lsn start ${lsnStart}) is not on the way to timeline ${target}`
  return switchLsn === undefined
    ? `${what}: timeline ${target} did not come from timeline ${own}`
    : `${what}: timeline ${own} was left at ${formatLsn(switchLsn)}, before the backup began`
}

/** The segment that recovery reads for a WAL position: where timelines meet, the newer one's. */
export function segmentOnPath(
  path: readonly TimelineStretch[],
  lsn: bigint,
  segmentSizeBytes: number,
): SegmentName {
  const size = BigInt(segmentSizeBytes)
  const number = lsn / size
  const stretch = path.findLast(({ fromLsn }) => fromLsn / size <= number)
  return segmentAt(lsn, stretch?.timeline ?? 1, segmentSizeBytes)
}

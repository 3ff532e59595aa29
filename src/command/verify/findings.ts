/** What verify found in one repository, while it finds it. */
import type { DamageKind, Outcome } from './outcome.ts'

/** `inconsistent`: two things that can be read contradict each other. `duplicate`: two versions of one WAL segment. */
export type ProblemKind = DamageKind | 'inconsistent' | 'duplicate' | 'unreadable'

export interface Problem {
  /** Key of the object, a byte string. */
  readonly object: string
  /** Name in the manifest of the file in the object, where an object holds several; a byte string. */
  readonly file: string | undefined
  readonly kind: ProblemKind
  /** For people. */
  readonly detail: string
  /** Labels of the backups that need it, ascending. */
  readonly backups: string[]
}

/** How many things were checked, and how they were. */
export interface Tally {
  checked: number
  valid: number
  missing: number
  checksum: number
  size: number
  /** Damaged in another way. */
  other: number
  unreadable: number
}

/** Further problems are counted, not kept: a repository without its files has as many as files. */
const PROBLEMS_MAX = 10_000

export interface Findings {
  /** The first of them, in the order they were found. */
  readonly problems: readonly Problem[]
  /** All of them, by state. */
  readonly counts: { readonly invalid: number; readonly unreadable: number }
  add(problem: Problem): void
  /** Takes back what concerns these backups and no other. */
  forget(labels: ReadonlySet<string>): void
}

export function openFindings(tell: (problem: Problem) => void): Findings {
  const problems: Problem[] = []
  const counts = { invalid: 0, unreadable: 0 }
  return {
    problems,
    counts,
    add: (problem) => {
      counts[stateOf(problem.kind)] += 1
      if (problems.length >= PROBLEMS_MAX) return
      problems.push(problem)
      tell(problem)
    },
    forget: (labels) => {
      for (let at = problems.length - 1; at >= 0; at -= 1) {
        const { backups, kind } = problems[at] ?? { backups: [], kind: 'missing' }
        if (backups.length === 0 || !backups.every((label) => labels.has(label))) continue
        counts[stateOf(kind)] -= 1
        problems.splice(at, 1)
      }
    },
  }
}

function stateOf(kind: ProblemKind): 'invalid' | 'unreadable' {
  return kind === 'unreadable' ? 'unreadable' : 'invalid'
}

export function emptyTally(): Tally {
  return { checked: 0, valid: 0, missing: 0, checksum: 0, size: 0, other: 0, unreadable: 0 }
}

/** Undefined stands for `valid`. */
export function count(tally: Tally, kind: ProblemKind | undefined): void {
  tally.checked += 1
  switch (kind) {
    case undefined:
      tally.valid += 1
      break
    case 'missing':
    case 'checksum':
    case 'size':
    case 'unreadable':
      tally[kind] += 1
      break
    case 'content':
    case 'inconsistent':
    case 'duplicate':
      tally.other += 1
      break
  }
}

/** The problem that an outcome is, if it is one. */
export function problemOf(
  outcome: Outcome,
  where: {
    readonly object: string
    readonly file?: string | undefined
    readonly backups: readonly string[]
  },
): Problem | undefined {
  if (outcome.state === 'valid') return undefined
  return {
    object: where.object,
    file: where.file,
    kind: outcome.state === 'damaged' ? outcome.kind : 'unreadable',
    detail: outcome.detail,
    backups: [...where.backups],
  }
}

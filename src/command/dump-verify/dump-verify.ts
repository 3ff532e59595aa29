/** dump-verify: whether dump sets are what was written, to the last byte. Takes no lock, and needs no server. */
import { AppError, asAppError, ERROR_EXIT_CODES, isErrorKind } from '../../base/error.ts'
import { formatSize } from '../../base/units.ts'
import { dumpManifestKey } from '../../format/repo-path.ts'
import { type DumpPlace, listDumpSets, openDumps } from '../../repo/dump-sets.ts'
import { openRepos, type Repo } from '../../repo/repo.ts'
import { askedDumpLabel } from '../asked-label.ts'
import { clientPrograms } from '../client-server.ts'
import { type Context, stanzaOf } from '../command.ts'
import { outcomeOf } from '../verify/outcome.ts'
import { type CheckedSet, checkSet, type SetProblem } from './check-set.ts'

type Status = 'ok' | 'error' | 'unverified'

/** The JSON output is `{"sets":[…]}` of these: a documented shape, to which members may be added. */
interface SetReport extends CheckedSet {
  readonly repo: number
  readonly status: Status
}

/** As those of verify. */
const EXIT_CODES: Readonly<Record<Status, number>> = {
  ok: 0,
  error: ERROR_EXIT_CODES['repo-invalid'],
  unverified: ERROR_EXIT_CODES.access,
}

export async function dumpVerify(context: Context): Promise<number> {
  const { config, log, print } = context
  const asked = askedDumpLabel(config)
  const reports: SetReport[] = []
  for (const repo of openRepos(config, context.openStorage)) {
    reports.push(...(await verifyRepo(context, repo, asked)))
  }
  if (reports.length === 0) {
    const what = asked === undefined ? 'there is no dump set' : `dump set ${asked} does not exist`
    throw new AppError('backup-set-invalid', what, { hint: "'info' lists the dump sets." })
  }
  if (config.text('output') === 'json') print(`${JSON.stringify({ sets: reports })}\n`)
  else print(reports.map(reportText).join(''))
  const states = new Set(reports.map(({ status }) => status))
  const worst = states.has('error') ? 'error' : states.has('unverified') ? 'unverified' : 'ok'
  if (worst !== 'ok') {
    const bad = reports.filter(({ status }) => status !== 'ok').length
    log.info(`${bad} of ${reports.length} dump set(s) not verified as right`)
  }
  return EXIT_CODES[worst]
}

async function verifyRepo(
  context: Context,
  repo: Repo,
  asked: string | undefined,
): Promise<readonly SetReport[]> {
  const stanza = stanzaOf(context)
  const reports: SetReport[] = []
  const sets = (await listDumpSets(repo, stanza)).filter(
    ({ label }) => asked === undefined || label === asked,
  )
  let place: DumpPlace | undefined
  for (const { label, state } of sets) {
    if (state === 'left') {
      context.log.info(`repo${repo.key}: dump set ${label} was not finished, so it is none`)
      continue
    }
    try {
      place ??= await openDumps(repo, stanza)
    } catch (error) {
      reports.push(unopened(repo, label, error))
      continue
    }
    context.log.info(`repo${repo.key}: verify dump set ${label}`)
    const checking = { context, place, programs: await clientPrograms(context) }
    const checked = await checkSet(checking, label)
    // Expired meanwhile: that is no problem of the repository.
    if (state === 'whole' && (await isGone(place, checked))) continue
    reports.push({ repo: repo.key, status: statusOf(checked), ...checked })
  }
  return reports
}

function unopened(repo: Repo, label: string, error: unknown): SetReport {
  const outcome = outcomeOf(error)
  // It may as well be another passphrase, with which nothing can be read.
  const isUnknown = outcome.state === 'unreadable' || isErrorKind(error, 'crypto')
  const kind: SetProblem['kind'] = isUnknown ? 'unreadable' : outcome.kind
  const problems = [{ object: '../dump.info', kind, detail: asAppError(error).text }]
  const checked = { label, databases: 0, readBytes: 0, problems }
  return { repo: repo.key, status: statusOf(checked), ...checked }
}

async function isGone(place: DumpPlace, { label, problems }: CheckedSet): Promise<boolean> {
  if (problems.length === 0) return false
  const manifest = place.storage.stat(dumpManifestKey(place.stanza, label))
  return await manifest.then(
    (found) => found === undefined,
    () => false,
  )
}

function statusOf({ problems }: CheckedSet): Status {
  if (problems.some(({ kind }) => kind !== 'unreadable')) return 'error'
  return problems.length > 0 ? 'unverified' : 'ok'
}

const WORDS: Readonly<Record<Status, string>> = {
  ok: 'ok',
  error: 'damaged',
  unverified: 'could not be verified',
}

function reportText({ repo, label, status, databases, readBytes, problems }: SetReport): string {
  const lines = problems.map(({ object, kind, detail }) => {
    return `    ${object}: ${kind}: ${detail.replaceAll('\n', '\n        ')}\n`
  })
  const size = formatSize(readBytes)
  const what = `${databases} ${databases === 1 ? 'database' : 'databases'}, ${size} read`
  return `repo${repo} ${label}: ${WORDS[status]}, ${what}\n${lines.join('')}`
}

/**
 * verify: reads everything a stanza has in a repository and says what is not as it was written, which backups that spoils,
 * and which stretch of time can no longer be reached.
 *
 * Takes no lock: what comes or goes meanwhile is no problem of the repository. Unlike pgBackRest 2.60, whose exit code is 0
 * whatever it finds: 0 is "all of it was read and is right", and what could not be read is never that.
 */
import { AppError, ERROR_EXIT_CODES } from '../../base/error.ts'
import { openRepos } from '../../repo/repo.ts'
import { askedLabel } from '../asked-label.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { Problem } from './findings.ts'
import { reportToJson } from './report-json.ts'
import { problemToText, reportsToText } from './report-text.ts'
import { type RepoReport, statusOf, verifyRepo } from './verify-repo.ts'

/** Something is damaged or missing. */
const INVALID_EXIT_CODE = ERROR_EXIT_CODES['repo-invalid']
/** Nothing is known to be wrong, but not all of it could be read. */
const UNVERIFIED_EXIT_CODE = ERROR_EXIT_CODES.access

export async function verify(context: Context): Promise<number> {
  const { config, log } = context
  const output = config.text('output')
  const set = askedLabel(config)
  const tell = (problem: Problem): void => {
    // The report repeats them; without a report the log is all there is.
    if (output === 'none') log.warn(problemToText(problem))
    else log.info(problemToText(problem))
  }
  const reports: RepoReport[] = []
  for (const repo of openRepos(config, context.openStorage)) {
    reports.push(await verifyRepo(context, { repo, stanza: stanzaOf(context), set, tell }))
  }
  if (set !== undefined && reports.every(({ backups }) => backups.length === 0)) {
    throw new AppError('backup-set-invalid', `backup set ${set} is not valid`, {
      hint: "use 'info' for a list of backups.",
    })
  }
  const detail = config.flag('verbose') ? 'everything' : 'problems'
  if (output === 'text') context.print(reportsToText(reports, detail))
  if (output === 'json') context.print(JSON.stringify(reportToJson(reports)))
  return conclude(context, reports)
}

function conclude({ config, log }: Context, reports: readonly RepoReport[]): number {
  const states = new Set(reports.map(statusOf))
  const exitCode = states.has('error')
    ? INVALID_EXIT_CODE
    : states.has('unverified')
      ? UNVERIFIED_EXIT_CODE
      : 0
  if (exitCode === 0) return 0
  const sum = (count: (report: RepoReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0)
  const invalid = sum(({ counts }) => counts.invalid)
  const unreadable = sum(({ counts }) => counts.unreadable)
  const text =
    invalid === 0
      ? `unable to verify all of the repository: ${unreadable} object(s) could not be read`
      : `${invalid} problem(s) found in the repository` +
        (unreadable === 0 ? '' : `, and ${unreadable} object(s) could not be read`)
  // On standard output it would spoil the JSON.
  if (config.text('output') === 'json') log.info(text)
  else log.error(exitCode, text)
  return exitCode
}

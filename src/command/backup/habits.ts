/**
 * What options that are not set mean for a backup (decision 009): in a repository without backups what works well, later
 * what its newest backup did.
 */
import { availableParallelism } from 'node:os'
import { asAppError, assertThat } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { type OptionName, optionRow } from '../../config/option-table.ts'
import type { Manifest } from '../../format/manifest.ts'
import { COMPRESS_LEVELS, COMPRESS_TYPES, type CompressType } from '../../pipe/compress-type.ts'
import { loadManifest } from '../../repo/repo.ts'
import { threadsFor } from '../../worker/worker.ts'
import type { Context } from '../command.ts'
import type { Completion } from './complete.ts'

export interface Habits {
  readonly compressType: CompressType
  readonly compressLevel: number
  readonly bundle: boolean
  readonly block: boolean
  readonly processMax: number
}

/** Of the first backup in a repository. */
export function newHabits(processors: number): Habits {
  const compressType = compressTypeOf(whenNew('compress-type'))
  return {
    compressType,
    compressLevel: COMPRESS_LEVELS[compressType].default,
    bundle: whenNew('repo-bundle') === 'y',
    block: whenNew('repo-block') === 'y',
    processMax: threadsFor(processors),
  }
}

function whenNew(name: OptionName): string {
  const { whenNew: text } = optionRow(name)
  assertThat(text !== undefined, `option '${name}' has a value for new repositories`)
  return text
}

/** pgBackRest's: for when it cannot be known what the newest backup did. */
export const PLAIN_HABITS: Habits = {
  compressType: 'gz',
  compressLevel: COMPRESS_LEVELS.gz.default,
  bundle: false,
  block: false,
  processMax: 1,
}

/** Of the newest backup, by whatever program. */
export function habitsOf({ options, bundle, blockIncr }: Manifest): Habits {
  const { compressType, compressLevel, processMax = 1 } = options
  return {
    compressType,
    compressLevel: compressLevel ?? COMPRESS_LEVELS[compressType].default,
    bundle,
    block: blockIncr,
    processMax,
  }
}

/** The options, and the habits where they are not set. */
export function withOptions(config: Config, repoKey: number, habits: Habits): Habits {
  const typed = isTypeSet(config)
  const compressType = typed ? compressTypeOf(config.text('compress-type')) : habits.compressType
  const level = compressType === 'none' ? 0 : config.integer('compress-level')
  const bundle = isBundleSet(config, repoKey) ? config.flag('repo-bundle', repoKey) : habits.bundle
  const block = isSet(config, 'repo-block', repoKey)
    ? config.flag('repo-block', repoKey)
    : habits.block
  return {
    compressType,
    compressLevel: typed ? level : habits.compressLevel,
    bundle,
    block: bundle && block,
    processMax: isSet(config, 'process-max') ? config.integer('process-max') : habits.processMax,
  }
}

/** Whether every option is set for which a habit would count. */
export function isSettled(config: Config, repoKey: number): boolean {
  return (
    isTypeSet(config) &&
    isBundleSet(config, repoKey) &&
    (isSet(config, 'repo-block', repoKey) || !config.flag('repo-bundle', repoKey)) &&
    isSet(config, 'process-max')
  )
}

/** A level was chosen for the type that pgBackRest takes when none is set. */
function isTypeSet(config: Config): boolean {
  return (
    isSet(config, 'compress-type') || isSet(config, 'compress') || isSet(config, 'compress-level')
  )
}

/** Hard links and bundles exclude each other. */
function isBundleSet(config: Config, repoKey: number): boolean {
  return isSet(config, 'repo-bundle', repoKey) || config.flag('repo-hardlink', repoKey)
}

function isSet(config: Config, name: OptionName, index = 1): boolean {
  return config.source(name, index) !== 'default'
}

function compressTypeOf(text: string): CompressType {
  const type = COMPRESS_TYPES.find((known) => known === text)
  assertThat(type !== undefined, 'the option table allows only known compression types')
  return type
}

const spelled = (flag: boolean): string => (flag ? 'y' : 'n')

/** What a backup does for options that are not set, for the log. */
function unsetText(config: Config, repoKey: number, habits: Habits): string {
  const { compressType, bundle, block, processMax } = habits
  return [
    ...(isTypeSet(config) ? [] : [`compress-type=${compressType}`]),
    ...(isBundleSet(config, repoKey) ? [] : [`repo${repoKey}-bundle=${spelled(bundle)}`]),
    ...(isSet(config, 'repo-block', repoKey) ? [] : [`repo${repoKey}-block=${spelled(block)}`]),
    ...(isSet(config, 'process-max') ? [] : [`process-max=${processMax}`]),
  ].join(', ')
}

/** `prior`: the manifest that is loaded already. */
export async function readHabits(
  { config, log }: Context,
  { repo, stanza, info }: Completion,
  prior: Manifest | undefined,
): Promise<Habits> {
  if (isSettled(config, repo.key)) return withOptions(config, repo.key, PLAIN_HABITS)
  const newest = info.backups.at(-1)
  if (newest === undefined) {
    const habits = withOptions(config, repo.key, newHabits(availableParallelism()))
    log.info(`first backup in repo${repo.key}, ${unsetText(config, repo.key, habits)}`)
    return habits
  }
  try {
    const manifest =
      newest.label === prior?.label
        ? prior
        : await loadManifest(repo, stanza, newest.label, info.cipherPass)
    const habits = withOptions(config, repo.key, habitsOf(manifest))
    log.info(`as in backup ${newest.label}, ${unsetText(config, repo.key, habits)}`)
    return habits
  } catch (error) {
    // A damaged backup is no reason not to take another one.
    const failed = asAppError(error)
    log.warn(`the newest backup cannot be asked for what no option says: ${failed.text}`)
    return withOptions(config, repo.key, PLAIN_HABITS)
  }
}

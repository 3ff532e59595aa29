/**
 * Going on with a backup that an interrupted run left: which of its files are as good as copied now.
 *
 * A stored file counts when the cluster's file has the size and time it had then, for what changes later has a newer time;
 * where times are not trusted, when it has the content. What is stored is read once more before it is relied on.
 */
import { type AppError, assertThat, isErrorKind } from '../../base/error.ts'
import { WRITER_VERSION } from '../../format/format.ts'
import type { BackupKind } from '../../format/label.ts'
import type { Manifest, ManifestFile, ManifestOptions } from '../../format/manifest.ts'
import { backupPrefix, copyKeyOf, fileKey, manifestKey } from '../../format/repo-path.ts'
import { listBackupLabels } from '../../repo/reconstruct.ts'
import { loadDraft } from '../../repo/repo.ts'
import { together } from '../../worker/batch.ts'
import type { Context } from '../command.ts'
import { type Times, trustedBeforeS } from './compare.ts'
import type { Completion } from './complete.ts'
import { formOf, type Layout } from './layout.ts'
import type { BackupPlan } from './plan.ts'

/** The backup that is about to be made. */
export interface Resuming {
  readonly kind: BackupKind
  readonly prior: Pick<Manifest, 'bundleRaw' | 'label'> | undefined
  readonly layout: Layout
  readonly options: ManifestOptions
  readonly historyId: number
}

/**
 * Looks for what interrupted runs left: directories without `backup.manifest`, which nothing refers to. All go but the
 * newest, if the new backup can go on with it; its manifest.
 */
export async function findLeftover(
  context: Context,
  completion: Completion,
  resuming: Resuming,
): Promise<Manifest | undefined> {
  const { repo, stanza } = completion
  let leftover: Manifest | undefined
  for (const [index, label] of (await listBackupLabels(repo, stanza)).toReversed().entries()) {
    if ((await repo.storage.stat(manifestKey(stanza, label))) !== undefined) continue
    const found =
      index === 0
        ? await examine(context, completion, { label, resuming })
        : 'a later backup was made since'
    if (typeof found !== 'string') {
      leftover = found
      context.log.warn(
        `resumable backup ${label} of same type exists -- invalid files will be removed then the backup will resume`,
      )
      continue
    }
    context.log.warn(`backup '${label}' cannot be resumed: ${found}`)
    await repo.storage.removeAll(backupPrefix(stanza, label))
  }
  return leftover
}

/** The manifest of an unfinished backup to go on with, or why not. A repository that cannot be read is an error. */
async function examine(
  { config }: Context,
  { repo, stanza, info }: Completion,
  { label, resuming }: { readonly label: string; readonly resuming: Resuming },
): Promise<Manifest | string> {
  if ((await repo.storage.stat(copyKeyOf(manifestKey(stanza, label)))) === undefined) {
    return 'partially deleted by prior resume or invalid'
  }
  if (!config.flag('resume')) return 'resume is disabled'
  try {
    const draft = await loadDraft(repo, stanza, label, info.cipherPass)
    return whyUnfit(draft, resuming) ?? draft
  } catch (error) {
    if (!isUnreadable(error)) throw error
    return `unable to read backup.manifest.copy: ${error.message}`
  }
}

function isUnreadable(error: unknown): error is AppError {
  return isErrorKind(error, 'format', 'checksum', 'crypto', 'json-format')
}

type Draft = Pick<Manifest, 'blockIncr' | 'bundle' | 'bundleRaw' | 'kind' | 'options' | 'prior'> & {
  readonly db: Pick<Manifest['db'], 'historyId'>
}

/** Why a backup cannot go on where another one was interrupted; undefined when it can. */
export function whyUnfit(draft: Draft, resuming: Resuming): string | undefined {
  const { options } = resuming
  const { bundle, bundleRaw, blockIncr } = formOf(resuming.layout, resuming.prior)
  return (
    mismatch('backup type', resuming.kind, draft.kind) ??
    mismatch('prior backup label', resuming.prior?.label ?? '<undef>', draft.prior ?? '<undef>') ??
    mismatch('compression', options.compressType, draft.options.compressType) ??
    mismatch('bundle', bundle, draft.bundle) ??
    mismatch('bundle-raw', bundleRaw, draft.bundleRaw) ??
    mismatch('block', blockIncr, draft.blockIncr) ??
    mismatch('checksum-page', options.checksumPage, draft.options.checksumPage) ??
    // pgBackRest fills it in at the end.
    (draft.db.historyId === 0
      ? undefined
      : mismatch('database history id', resuming.historyId, draft.db.historyId))
  )
}

function mismatch<T extends string | number | boolean>(
  what: string,
  now: T,
  before: T,
): string | undefined {
  if (now === before) return undefined
  return `new ${what} '${now}' does not match resumable ${what} '${before}'`
}

interface Left {
  readonly leftover: (Times & Pick<Manifest, 'writerVersion'>) | undefined
  readonly delta: boolean
}

/** What the interrupted run stored of a file, if its content may still be that; `file` is as listed now. */
export function storedBefore(
  file: ManifestFile,
  stored: ManifestFile | undefined,
  { leftover, delta }: Left,
): ManifestFile | undefined {
  if (leftover === undefined || stored === undefined || !isStoredThere(stored)) return undefined
  if (file.sizeBytes === 0 || file.sizeBytes !== stored.sizeBytes) return undefined
  if (delta) return stored
  const sameTime = file.timestampS === stored.timestampS
  // pgBackRest says only at the end that it copied from a standby, which then must be assumed.
  const options = { backupStandby: leftover.writerVersion !== WRITER_VERSION }
  const trustedS = Math.min(trustedBeforeS(leftover), trustedBeforeS({ ...leftover, options }))
  return sameTime && file.timestampS < trustedS ? stored : undefined
}

/** Copied, and as large as it was listed: not taken from another backup, where it is looked up again. */
function isStoredThere({ checksum, reference, originalSizeBytes }: ManifestFile): boolean {
  return checksum !== undefined && reference === undefined && originalSizeBytes === undefined
}

/** The entry of a file that the interrupted run has stored already. */
export function keptFile(file: ManifestFile, stored: ManifestFile | undefined): ManifestFile {
  assertThat(stored !== undefined, 'only what an interrupted run stored is kept')
  const { timestampS, user, group, mode } = file
  return { ...stored, timestampS, user, group, mode }
}

/** Removes from the interrupted backup everything but its manifest and the files that the new one may keep. Nobody else writes. */
export async function cleanLeftover(
  { repo, stanza }: Completion,
  { label, options }: Manifest,
  { work }: BackupPlan,
): Promise<void> {
  const keys = new Set([copyKeyOf(manifestKey(stanza, label))])
  for (const { stored } of work.values()) {
    if (stored !== undefined) keys.add(fileKey(stanza, stored, label, options.compressType))
  }
  const prefix = backupPrefix(stanza, label)
  const found = (await repo.storage.listAll(prefix)).map(({ name }) => `${prefix}/${name}`)
  const doomed = found.filter((key) => !keys.has(key))
  await together(doomed, async (key) => {
    await repo.storage.remove(key)
  })
  await repo.storage.removeLeftOvers(prefix, Number.MAX_SAFE_INTEGER)
}

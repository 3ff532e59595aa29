/** restore: a cluster from a backup, told how far to recover. Plans, prints the plan, and only then touches anything. */
import { rm } from 'node:fs/promises'
import { formatLogTime } from '../../base/log.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { formatSize } from '../../base/units.ts'
import type { Manifest } from '../../format/manifest.ts'
import { renderManifest } from '../../format/manifest-write.ts'
import { recoverySettings } from '../../postgres/recovery.ts'
import type { Context } from '../command.ts'
import { clearSpool } from '../spool/spool.ts'
import { lockStanza } from '../stanza-lock.ts'
import { listDirectory, remove } from './clean.ts'
import { MARKER_NAME } from './destination.ts'
import { finish, writeLikeDataDir } from './finish.ts'
import { dataDirOf } from './mapping.ts'
import { readOwnership } from './owners.ts'
import { buildTree, type OwnerOf, syncDirectory } from './place.ts'
import { placeFiles } from './place-files.ts'
import { planRestore, type RestorePlan } from './plan.ts'
import { type Placed, planJson, planText } from './plan-text.ts'
import { restoreCommand } from './restore-command.ts'

export async function restore(context: Context): Promise<number> {
  const { config, log } = context
  await using lock = await lockStanza(context, ['restore'], config.indexes('repo'))
  const plan = await planRestore(context)
  if (config.flag('plan')) {
    context.print(config.text('output') === 'json' ? planJson(plan) : planText(plan))
    return 0
  }
  if (config.text('output') !== 'json') context.print(planText(plan))
  for (const line of plan.remaps) log.info(line)
  if (plan.forgotten.length > 0) {
    log.warn(
      `${plan.forgotten.join(' and ')} of the standby in '${config.text('pg-path', 1)}' is not kept; give it with --recovery-option, or the standby follows only through the archive`,
    )
  }
  for (const name of plan.dissolved) {
    log.warn(
      `contents of link '${toHumanText(name)}' will be restored inside the data directory; use --link-all to keep links`,
    )
  }
  const { ownerOf, warnings } = await readOwnership(plan.manifest, config.text('pg-path', 1))
  for (const warning of warnings) log.warn(warning)
  log.info(`repo${plan.repoKey}: restore backup set ${plan.manifest.label}`)
  await clearSpool(context)
  await prepare(plan, ownerOf)
  const placed = await placeFiles(context, { plan, ownerOf, lock })
  await finish({
    manifest: plan.manifest,
    type: plan.request.type,
    settings: settingsOf(context, plan),
    nowText: formatLogTime(context.clock.nowMs()).slice(0, 19),
    online: plan.manifest.options.online ? 'online' : 'offline',
  })
  report(context, plan, placed)
  return 0
}

/** From here on the cluster in the data directory cannot start until `finish` has put pg_control back. */
async function prepare(plan: RestorePlan, ownerOf: OwnerOf): Promise<void> {
  const { manifest } = plan
  const dataDir = dataDirOf(manifest)
  await buildTree(
    { ...manifest, paths: manifest.paths.filter(({ name }) => name === 'pg_data'), links: [] },
    ownerOf,
  )
  await writeLikeDataDir(dataDir, MARKER_NAME, renderManifest(withoutSecret(manifest)))
  await rm(toBytes(`${dataDir}/global/pg_control`), { force: true })
  if ((await listDirectory(`${dataDir}/global`)).length > 0)
    await syncDirectory(`${dataDir}/global`)
  await remove(plan.removals)
  await buildTree(manifest, ownerOf)
}

/** The marker lies in the data directory unencrypted: the backup set's key does not belong there. */
function withoutSecret(manifest: Manifest): Manifest {
  return { ...manifest, cipherPass: undefined }
}

function settingsOf(
  context: Context,
  { request, manifest }: RestorePlan,
): ReturnType<typeof recoverySettings> {
  const { config } = context
  return recoverySettings({
    version: manifest.db.version,
    type: request.type,
    target: request.target,
    exclusive: request.exclusive,
    action: request.action,
    timeline: request.timeline,
    restoreCommand: restoreCommand(config, request.type),
    recoveryOptions: config.map('recovery-option'),
    archiveMode: config.text('archive-mode') === 'off' ? 'off' : 'preserve',
  })
}

function report(context: Context, plan: RestorePlan, placed: Placed): void {
  const { log, config } = context
  const { keptFiles, writtenBytes } = placed
  log.info(
    `restore size = ${formatSize(plan.totalBytes)}, file total = ${plan.manifest.files.length}` +
      (keptFiles > 0 ? `, ${keptFiles} already right, ${formatSize(writtenBytes)} written` : ''),
  )
  if (config.text('output') === 'json') {
    context.print(planJson(plan, placed))
    return
  }
  context.print(
    `restored; start PostgreSQL to recover: pg_ctl -D ${config.text('pg-path', 1)} start\n`,
  )
}

/** Command name → its implementation, imported only when it runs: archive-push must not load what restore needs. */
import { AppError } from '../base/error.ts'
import type { Command } from '../command/command.ts'
import type { CommandRole } from '../config/command-line.ts'
import type { CommandName } from '../config/command-table.ts'

const IMPLEMENTATIONS: Partial<Record<CommandName, () => Promise<Command>>> = {
  advise: async () => (await import('../command/advise/advise.ts')).advise,
  annotate: async () => (await import('../command/annotate.ts')).annotate,
  'archive-get': async () => (await import('../command/archive-get/archive-get.ts')).archiveGet,
  'archive-push': async () => (await import('../command/archive-push/archive-push.ts')).archivePush,
  backup: async () => (await import('../command/backup/backup.ts')).backup,
  check: async () => (await import('../command/check/check.ts')).check,
  dump: async () => (await import('../command/dump/dump.ts')).dump,
  'dump-restore': async () => (await import('../command/dump-restore/dump-restore.ts')).dumpRestore,
  'dump-verify': async () => (await import('../command/dump-verify/dump-verify.ts')).dumpVerify,
  expire: async () => (await import('../command/expire/expire.ts')).expire,
  'file-get': async () => (await import('../command/file-get.ts')).fileGet,
  info: async () => (await import('../command/info/info.ts')).info,
  manifest: async () => (await import('../command/manifest/manifest.ts')).manifest,
  'repo-get': async () => (await import('../command/repo-get.ts')).repoGet,
  'repo-ls': async () => (await import('../command/repo-ls.ts')).repoLs,
  'repo-put': async () => (await import('../command/repo-put.ts')).repoPut,
  'repo-rm': async () => (await import('../command/repo-rm.ts')).repoRm,
  restore: async () => (await import('../command/restore/restore.ts')).restore,
  'stanza-create': async () => (await import('../command/stanza-create.ts')).stanzaCreate,
  'stanza-delete': async () => (await import('../command/stanza-delete.ts')).stanzaDelete,
  'stanza-upgrade': async () => (await import('../command/stanza-upgrade.ts')).stanzaUpgrade,
  start: async () => (await import('../command/start.ts')).start,
  stop: async () => (await import('../command/stop.ts')).stop,
  verify: async () => (await import('../command/verify/verify.ts')).verify,
}

const BACKGROUND_IMPLEMENTATIONS: Partial<Record<CommandName, () => Promise<Command>>> = {
  'archive-get': async () => (await import('../command/archive-get/background.ts')).fetchAhead,
  'archive-push': async () => (await import('../command/archive-push/background.ts')).pushReady,
}

export async function implementationOf(
  name: CommandName,
  role: CommandRole = 'main',
): Promise<Command> {
  const load = (role === 'async' ? BACKGROUND_IMPLEMENTATIONS : IMPLEMENTATIONS)[name]
  if (load === undefined) {
    throw new AppError('command-invalid', `command '${name}' is not yet supported`)
  }
  return await load()
}

/** Command name → its implementation, imported only when it runs: archive-push must not load what restore needs. */
import { AppError } from '../base/error.ts'
import type { Command } from '../command/command.ts'
import type { CommandName } from '../config/command-table.ts'

const IMPLEMENTATIONS: Partial<Record<CommandName, () => Promise<Command>>> = {
  'archive-get': async () => (await import('../command/archive-get.ts')).archiveGet,
  'archive-push': async () => (await import('../command/archive-push.ts')).archivePush,
  backup: async () => (await import('../command/backup/backup.ts')).backup,
  check: async () => (await import('../command/check.ts')).check,
  info: async () => (await import('../command/info/info.ts')).info,
  restore: async () => (await import('../command/restore/restore.ts')).restore,
  'stanza-create': async () => (await import('../command/stanza-create.ts')).stanzaCreate,
}

export async function implementationOf(name: CommandName): Promise<Command> {
  const load = IMPLEMENTATIONS[name]
  if (load === undefined) {
    throw new AppError('command-invalid', `command '${name}' is not yet supported`)
  }
  return await load()
}

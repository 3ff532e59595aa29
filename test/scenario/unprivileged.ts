import { unprivileged } from '../harness/run.ts'

/**
 * Makes this process the unprivileged user for good, so that what commands write in here belongs to the user who also runs
 * the server and its archive_command. Call it after the set-up that needs root, such as fetching real peers.
 */
export function dropPrivileges(): void {
  if (process.getuid?.() !== 0) return
  process.setgroups?.([unprivileged.gid])
  process.setgid?.(unprivileged.gid)
  process.setuid?.(unprivileged.uid)
}

import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A file without a name, for this process and the programs it is given to (`ProgramCall.files`). It goes away with the last of
 * them, however they end.
 */
export async function openNamelessFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `pgsurety-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
  } catch (error) {
    await file.close()
    throw error
  }
  return file
}

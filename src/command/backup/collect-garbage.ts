/** Before the long part of a backup: what was needed to plan it need not stay in memory until its end. */
import { Session } from 'node:inspector/promises'

/**
 * Lets V8 look for garbage now. Left alone it waits until the heap has doubled: planning 100,000 files leaves 60 MB of garbage
 * beside 50 MB that are in use. It takes some milliseconds for each of these 10 MB.
 */
export async function collectGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}

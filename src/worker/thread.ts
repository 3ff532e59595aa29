/** The entry of a worker thread: loads its job module, then does the jobs it is sent, one after the other. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { AppError } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import {
  type Did,
  END_MESSAGE,
  flattenError,
  type OpenJobs,
  parseJobMessage,
  parseThreadSetup,
  type ThreadMessage,
} from './message.ts'

/** How often the pool hears how far a job is. */
const TELL_EVERY_BYTES = 8 * MIB

const port = parentPort
if (port === null) throw new AppError('assert', 'not a worker thread')

const answer = (message: ThreadMessage): void => {
  port.postMessage(message)
}

/** The job at work. */
let atWork = { id: 0, doneBytes: 0, toldBytes: 0 }

void start(port)

/** Never rejects: what fails is answered. */
async function start(parent: MessagePort): Promise<void> {
  try {
    const { ending, jobModule, setup } = parseThreadSetup(workerData)
    const doJob = await (await loadJobs(jobModule))(setup, telling(ending))
    let before = Promise.resolve()
    parent.on('message', (value: unknown) => {
      if (value === END_MESSAGE) endThread()
      else before = doOne(value, doJob, before)
    })
    answer({ kind: 'ready' })
  } catch (error) {
    answer({ kind: 'failed', error: flattenError(error) })
  }
}

/** Ends this thread, not the process. */
function endThread(): never {
  process.exit()
}

/** A job that reads and writes without waiting never lets a message in: so it also looks here whether it is to end. */
function telling(ending: Int32Array): Did {
  return (bytes) => {
    if (Atomics.load(ending, 0) !== 0) endThread()
    atWork.doneBytes += bytes
    if (atWork.doneBytes - atWork.toldBytes < TELL_EVERY_BYTES) return
    atWork.toldBytes = atWork.doneBytes
    answer({ kind: 'progress', id: atWork.id, doneBytes: atWork.doneBytes })
  }
}

/** Does a job when the one before it is done. Never rejects. */
async function doOne(
  value: unknown,
  doJob: (job: unknown) => Promise<unknown>,
  before: Promise<void>,
): Promise<void> {
  await before
  try {
    const { id, job } = parseJobMessage(value)
    atWork = { id, doneBytes: 0, toldBytes: 0 }
    answer({ kind: 'done', id, result: await doJob(job) })
  } catch (error) {
    answer({ kind: 'failed', error: flattenError(error) })
  }
}

async function loadJobs(url: string): Promise<OpenJobs> {
  const module: unknown = await import(url)
  if (typeof module === 'object' && module !== null && 'openJobs' in module) {
    const { openJobs } = module
    if (isOpenJobs(openJobs)) return openJobs
  }
  throw new AppError('assert', `module '${url}' exports no openJobs`)
}

function isOpenJobs(value: unknown): value is OpenJobs {
  return typeof value === 'function'
}

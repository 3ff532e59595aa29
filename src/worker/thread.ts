/** The entry of a worker thread: loads its job module, then does the jobs it is sent, one after the other. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { AppError } from '../base/error.ts'
import {
  flattenError,
  type OpenJobs,
  parseJobMessage,
  parseThreadSetup,
  type ThreadMessage,
} from './message.ts'

const port = parentPort
if (port === null) throw new AppError('assert', 'not a worker thread')

const answer = (message: ThreadMessage): void => {
  port.postMessage(message)
}

void start(port)

/** Never rejects: what fails is answered. */
async function start(parent: MessagePort): Promise<void> {
  try {
    const { jobModule, setup } = parseThreadSetup(workerData)
    const doJob = await (await loadJobs(jobModule))(setup)
    let before = Promise.resolve()
    parent.on('message', (value: unknown) => {
      before = doOne(value, doJob, before)
    })
    answer({ kind: 'ready' })
  } catch (error) {
    answer({ kind: 'failed', error: flattenError(error) })
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

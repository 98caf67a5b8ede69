/**
 * Cluster: shows the cluster of a home folder, and makes its parts fail: `node infra/local/cluster.ts ls|kill|cut|start [NAME] [--home DIR]`.
 * One JSON line on stdout lists the parts, or says what became of NAME.
 *
 * `kill` is the power switch of an agent, or SIGKILL for a process, which its keeper starts again; `cut` breaks an agent's
 * connection to the master while its tasks continue; `start` brings an agent back.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { infraError } from '../errors.ts'
import { type AgentOrder, type AgentSeen, agentOrders } from '../minimesos/index.ts'
import { isAlive } from '../process.ts'
import { runCommand, type Words } from './command.ts'
import type { Home } from './home.ts'
import { readUpFile, refuseCopy, type UpFile } from './up-file.ts'

const answerMs = 3_000

interface Member {
  readonly name: string
  readonly state: string
  /** Of a process. */
  readonly pid?: number
  /** Of an agent. */
  readonly attributes?: Readonly<Record<string, string>>
  readonly tasks?: number
}

async function cluster({ home, words: [verb = '', name = ''] }: Words): Promise<object> {
  const file = await readUpFile(home)
  if (file === undefined || !isAlive(file.up))
    throw infraError('ERR_NOTHING_UP', `Nothing is up in ${home.root}: start it with 'concord cluster up'`)
  await refuseCopy(home, file)
  if (verb === 'ls') return await list(home, file)
  const order = agentOrders.find((each) => each === verb)
  if (order === undefined) throw infraError('ERR_USAGE', `Cannot '${verb}': expected ls, kill, cut or start`)
  return await obey(home, file, name, order)
}

/** All of it; the agents are known to the minimesos that leads, and to nobody else. */
async function list(home: Home, file: UpFile): Promise<Member[]> {
  const answer = await ask(home, file, 'GET', '').catch((error: Error) => error)
  if (answer instanceof Error)
    return [...processesOf(file), { name: 'agents', state: 'unknown: no minimesos answers that leads' }]
  const agents = (await answer.response.json()) as AgentSeen[]
  return [
    ...processesOf(file, answer.master),
    ...agents.map(({ name, condition, attributes, tasks }) => ({
      ...{ name, state: condition, tasks: tasks.length },
      attributes: Object.fromEntries(attributes.flatMap(attributeOf)),
    })),
  ]
}

function processesOf(file: UpFile, master?: string): Member[] {
  const leaders = [file.leader, ...(Object.keys(file.masters ?? {}).length > 1 ? [master] : [])]
  return Object.entries(file.processes).map(([name, id]) => ({
    name,
    state: !isAlive(id) ? 'down' : leaders.includes(name) ? 'leads' : 'up',
    pid: id.pid,
  }))
}

async function obey(home: Home, file: UpFile, said: string, order: AgentOrder): Promise<Member> {
  const name = said === 'leader' ? (file.leader ?? said) : said
  const id = file.processes[name]
  if (id === undefined) return await obeyAgent(home, file, name, order)
  if (order !== 'kill')
    throw infraError(
      'ERR_USAGE',
      `Cannot ${order} '${name}': that is a process; agents can be cut off and started`,
    )
  if (isAlive(id)) process.kill(id.pid, 'SIGKILL')
  return { name, state: 'killed', pid: id.pid }
}

async function obeyAgent(home: Home, file: UpFile, name: string, order: AgentOrder): Promise<Member> {
  const { response: answer } = await ask(home, file, 'POST', `/${encodeURIComponent(name)}/${order}`)
  if (!answer.ok) {
    const names = (await list(home, file)).map((member) => member.name).join(', ')
    const text = `Cannot ${order} '${name}': there is none of that name; there are ${names}`
    throw infraError('ERR_MEMBER_UNKNOWN', text)
  }
  const { condition } = (await answer.json()) as { condition: string }
  return { name, state: condition }
}

/** Asks the minimesos that leads. */
async function ask(
  home: Home,
  file: UpFile,
  method: string,
  path: string,
): Promise<{ readonly response: Response; readonly master: string }> {
  const { principal, secret } = JSON.parse(await readFile(home.minimesosCredentials, 'utf8')) as {
    principal: string
    secret: string
  }
  const authorization = `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`
  let cause: unknown
  for (const [master, port] of Object.entries(file.masters ?? {})) {
    const url = `http://127.0.0.1:${port}/minimesos/agents${path}`
    try {
      const signal = AbortSignal.timeout(answerMs) // it may stand still
      const response = await fetch(url, { method, headers: { authorization }, redirect: 'manual', signal })
      if (response.status !== 307 && response.status !== 503) return { response, master }
    } catch (error) {
      cause = error
    }
  }
  throw infraError('ERR_NOTHING_UP', 'No minimesos answers that leads; try again in a second', { cause })
}

function attributeOf(attribute: unknown): [string, string][] {
  const { name, text } = attribute as { readonly name: string; readonly text?: { readonly value: string } }
  return text === undefined ? [] : [[name, text.value]]
}

await runCommand('ask the cluster', 2, cluster)

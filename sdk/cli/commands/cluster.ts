/**
 * concord cluster up | ls | kill | cut | start | down: several agents and schedulers on this machine, to try out
 * fail-over.
 * @module
 */
import { Option } from 'commander'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import { oneOrThree, wholeNumber } from '../numbers.ts'
import { askPlatform } from '../platform.ts'
import { print, printJson, table } from '../terminal.ts'
import { type DownOptions, down } from './down.ts'
import { portsOption, type UpOptions, up } from './up.ts'

interface HomeOptions extends CommonOptions {
  readonly home?: string
}

/** A process or agent, as infra/local/cluster.ts describes it. */
interface Member {
  readonly name: string
  readonly state: string
  readonly pid?: number
  readonly attributes?: Readonly<Record<string, string>>
  readonly tasks?: number
}

const homeText = 'state folder (default: CONCORD_HOME, else ~/.concord)'

export function addCluster(program: CliCommand, installation: Installation): void {
  const cluster = program
    .command('cluster')
    .description('A cluster on this machine: start, inspect, kill parts of it, stop.')
  cluster
    .command('up')
    .description('Start a platform with several agents (each with a zone and a rack) and several schedulers.')
    .option('--agents <n>', 'how many agents', wholeNumber(1), 3)
    .option('--schedulers <n>', 'how many schedulers; one leads, the others are standbys', wholeNumber(1), 2)
    .addOption(
      new Option('--zookeeper [servers]', 'keep the store on real ZooKeeper servers: 1 or 3')
        .argParser(oneOrThree)
        .preset('1'),
    )
    .option(
      '--masters <n>',
      'how many Mesos masters; one leads, the others are standbys; needs --zookeeper',
      wholeNumber(1),
    )
    .option('--nats <servers>', 'how many nats-servers: 1, or a cluster of 3', oneOrThree)
    .option(
      '-d, --detach',
      'run in the background and return when it is ready; `concord cluster down` stops it',
    )
    .option('--home <folder>', homeText)
    .addOption(portsOption())
    .printsData('what is ready, and where, as one JSON line')
    .example(
      'concord cluster up --agents 3 --schedulers 2 --zookeeper --detach',
      'concord cluster up --zookeeper 3 --masters 2 --nats 3 --detach',
    )
    .action((options: UpOptions) => up(installation, options))
  cluster
    .command('ls')
    .description('List the processes and agents.')
    .option('--home <folder>', homeText)
    .printsData('an array of processes and agents')
    .action((options: HomeOptions) => list(installation, options))
  const agent = 'an agent from `concord cluster ls`'
  const orders = [
    [
      'kill',
      'Kill (SIGKILL) a process, which restarts, or an agent with all its tasks.',
      "a name from `concord cluster ls`; 'leader' is the leading scheduler",
    ],
    ['cut', 'Disconnect an agent from the master; its tasks continue.', agent],
    ['start', 'Bring back an agent that was killed or cut off.', agent],
  ] as const
  for (const [order, description, name] of orders)
    cluster
      .command(order)
      .description(description)
      .argument('<name>', name)
      .option('--home <folder>', homeText)
      .printsData('the result')
      .action((name: string, options: HomeOptions) => obey(installation, order, name, options))
  cluster
    .command('down')
    .description('Stop it; deployed functions are kept.')
    .option('--home <folder>', homeText)
    .printsData()
    .action((options: DownOptions) => down(installation, options))
}

async function list(installation: Installation, options: HomeOptions): Promise<void> {
  const members = await ask<readonly Member[]>(installation, options, 'ls')
  if (options.json) return await printJson(members)
  const rows = members.map(({ name, state, pid, attributes = {}, tasks }) => [
    name,
    state,
    pid === undefined ? '-' : String(pid),
    tasks === undefined ? '-' : String(tasks),
    Object.entries(attributes)
      .map(([key, value]) => `${key}:${value}`)
      .join(' '),
  ])
  await print(table([['NAME', 'STATE', 'PID', 'TASKS', 'ATTRIBUTES'], ...rows]))
}

async function obey(
  installation: Installation,
  order: string,
  name: string,
  options: HomeOptions,
): Promise<void> {
  const member = await ask<Member>(installation, options, order, name)
  await (options.json ? printJson(member) : print(`${member.name}: ${member.state}`))
}

function ask<T>(installation: Installation, options: HomeOptions, ...words: string[]): Promise<T> {
  return askPlatform<T>(installation, 'infra/local/cluster.ts', [...words, '--home', homeFolder(options)])
}

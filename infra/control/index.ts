/** What goes with the messages of the control plane (messages.ts, a door itself). */
export { HeartbeatJoiner, splitHeartbeat } from './heartbeat-parts.ts'

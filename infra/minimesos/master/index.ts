export { Master, type MasterOptions } from './master.ts'
export { type Credentials, createMasterServer } from './server.ts'

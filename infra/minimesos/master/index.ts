export { Master, type MasterOptions } from './master.ts'
export { masterInfo } from './master-info.ts'
export { type Credentials, createMasterServer } from './server.ts'

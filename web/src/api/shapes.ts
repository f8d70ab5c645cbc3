import type { components as lab } from './lab-schema';
import type { components as shop } from './schema';

// The page's names for what the contract describes. Generated, never typed by hand:
// when openapi.yaml changes, whatever no longer fits stops compiling.
type Shape = shop['schemas'];

export type Problem = Shape['Problem'];
export type Concert = Shape['Concert'];
export type Catalogue = Shape['Catalogue'];
export type Sandbox = Shape['Sandbox'];
export type Order = Shape['Order'];
export type Payment = Shape['Payment'];
export type PaymentStatus = Shape['PaymentStatus'];
export type Ticket = Shape['Ticket'];
export type Attempt = Shape['Attempt'];
export type Proof = Shape['Proof'];
export type Effects = Shape['Effects'];
export type Audit = Shape['Audit'];
export type Activity = Shape['Activity'];
export type NewOrder = Shape['NewOrder'];
export type CaptureRequest = Shape['CaptureRequest'];

export type Mailbox = lab['schemas']['Mailbox'];
export type Mail = lab['schemas']['Mail'];
export type BurstRequest = lab['schemas']['BurstRequest'];

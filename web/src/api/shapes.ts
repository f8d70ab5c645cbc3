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
export type Recording = Shape['Recording'];
export type RecordingLink = Shape['RecordingLink'];
export type NewOrder = Shape['NewOrder'];
export type CaptureRequest = Shape['CaptureRequest'];
export type Refund = Shape['Refund'];
export type NewRefund = Shape['NewRefund'];
export type Saga = Shape['Saga'];
export type SagaStep = Shape['SagaStep'];
export type SagaResolution = Shape['SagaResolution'];
export type Table = Shape['Table'];
export type EventType = Shape['EventType'];
export type Alert = Shape['Alert'];
export type Queues = Shape['QueueList'];
export type Process = Shape['Process'];
export type DeadLetter = Shape['DeadLetter'];
export type DeadLetterDetail = Shape['DeadLetterDetail'];
export type DeadLetterAction = Shape['DeadLetterAction'];
export type Invariant = Shape['Invariant'];
export type PaymentDecision = Shape['PaymentDecision'];

export type Mailbox = lab['schemas']['Mailbox'];
export type Mail = lab['schemas']['Mail'];
export type BurstRequest = lab['schemas']['BurstRequest'];
export type LessonHead = lab['schemas']['LessonHead'];
export type Lesson = lab['schemas']['Lesson'];
export type LessonBox = lab['schemas']['LessonBox'];
export type LessonRun = lab['schemas']['LessonRun'];
export type LessonRunHead = lab['schemas']['LessonRunHead'];
export type LessonRunRequest = lab['schemas']['LessonRunRequest'];
export type LessonCheck = lab['schemas']['LessonCheck'];
export type Explain = lab['schemas']['Explain'];
export type CodeLink = lab['schemas']['CodeLink'];
export type RecordLink = lab['schemas']['RecordLink'];
export type Guard = lab['schemas']['GuardAbout'];
export type Trial = lab['schemas']['Trial'];
export type Bill = lab['schemas']['NaiveBill'];
export type CompareRequest = lab['schemas']['CompareRequest'];
export type Comparison = lab['schemas']['Comparison'];
export type ComparedSide = lab['schemas']['ComparedSide'];

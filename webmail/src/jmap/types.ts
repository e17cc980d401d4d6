/** The objects of JMAP that the client reads, as the wire has them (RFC 8620, 8621, 9425). */

export type Id = string;

export interface Account {
  name: string;
  isPersonal: boolean;
  isReadOnly: boolean;
  accountCapabilities: Record<string, Record<string, unknown>>;
}

export interface Session {
  capabilities: Record<string, Record<string, unknown>>;
  accounts: Record<Id, Account>;
  primaryAccounts: Record<string, Id>;
  username: string;
  apiUrl: string;
  downloadUrl: string;
  uploadUrl: string;
  eventSourceUrl: string;
  state: string;
}

export type Role =
  | "inbox" | "archive" | "drafts" | "flagged" | "important" | "junk" | "sent" | "trash" | "all" | "scheduled"
  | (string & {});

export interface MailboxRights {
  mayReadItems: boolean;
  mayAddItems: boolean;
  mayRemoveItems: boolean;
  maySetSeen: boolean;
  maySetKeywords: boolean;
  mayCreateChild: boolean;
  mayRename: boolean;
  mayDelete: boolean;
  maySubmit: boolean;
}

export interface Mailbox {
  id: Id;
  name: string;
  parentId: Id | null;
  role: Role | null;
  sortOrder: number;
  totalEmails: number;
  unreadEmails: number;
  totalThreads: number;
  unreadThreads: number;
  myRights: MailboxRights;
  isSubscribed: boolean;
}

export interface Address {
  name: string | null;
  email: string;
}

export interface BodyPart {
  partId: string | null;
  blobId: Id | null;
  size: number;
  name: string | null;
  type: string;
  charset: string | null;
  disposition: string | null;
  cid: string | null;
  subParts?: BodyPart[] | null;
}

export interface BodyValue {
  value: string;
  isEncodingProblem: boolean;
  isTruncated: boolean;
}

/** What a row of the list needs. */
export interface EmailSummary {
  id: Id;
  threadId: Id;
  mailboxIds: Record<Id, boolean>;
  keywords: Record<string, boolean>;
  from: Address[] | null;
  to: Address[] | null;
  subject: string | null;
  receivedAt: string;
  size: number;
  hasAttachment: boolean;
  preview: string;
}

/** What reading needs besides. */
export interface Email extends EmailSummary {
  blobId: Id;
  messageId: string[] | null;
  inReplyTo: string[] | null;
  references: string[] | null;
  sender: Address[] | null;
  cc: Address[] | null;
  bcc: Address[] | null;
  replyTo: Address[] | null;
  sentAt: string | null;
  textBody: BodyPart[];
  htmlBody: BodyPart[];
  attachments: BodyPart[];
  bodyValues: Record<string, BodyValue>;
  [header: `header:${string}`]: unknown;
}

export interface Thread {
  id: Id;
  emailIds: Id[];
}

export interface Identity {
  id: Id;
  name: string;
  email: string;
  replyTo: Address[] | null;
  bcc: Address[] | null;
  textSignature: string;
  htmlSignature: string;
  mayDelete: boolean;
}

export interface DeliveryStatus {
  smtpReply: string;
  delivered: "queued" | "yes" | "no" | "unknown";
  displayed: "unknown" | "yes";
}

export interface EnvelopeAddress {
  email: string;
  parameters: Record<string, string | null> | null;
}

export interface EmailSubmission {
  id: Id;
  identityId: Id;
  emailId: Id;
  threadId: Id;
  envelope: { mailFrom: EnvelopeAddress; rcptTo: EnvelopeAddress[] } | null;
  sendAt: string;
  undoStatus: "pending" | "final" | "canceled";
  deliveryStatus: Record<string, DeliveryStatus> | null;
}

export interface VacationResponse {
  id: "singleton";
  isEnabled: boolean;
  fromDate: string | null;
  toDate: string | null;
  subject: string | null;
  textBody: string | null;
  htmlBody: string | null;
}

/** Somebody of the same server (RFC 9670 section 2). */
export interface Principal {
  id: Id;
  name: string | null;
  email: string | null;
}

/** What our own server tells of a message (docs/jmap.md); the id is the email's. */
export interface MessageTrace {
  id: Id;
  arrival: TraceArrival | null;
  sendings: Sending[];
}

export interface TraceArrival {
  queueId: string;
  acceptedAt: string;
  isKept: boolean;
  returnPath: string | null;
  via: string | null;
  peer: string | null;
  hello: string | null;
  tls: string | null;
  addresses: string[];
  placed: { at: string; address: string; mailboxId: Id; rules?: TraceRule[] }[];
}

/** What a rule has made of a message. */
export interface TraceRule {
  ruleId: Id | null;
  name: string;
  mailboxId: Id | null;
  isMailboxGone: boolean;
  keywords: string[];
  forwardedTo: string[];
  notForwardedTo: string[];
  hasFailed: boolean;
}

/** What is done with arriving mail (docs/jmap.md). */
export interface Rule {
  id: Id;
  name: string;
  isEnabled: boolean;
  sortOrder: number;
  matchAll: boolean;
  conditions: RuleCondition[];
  fileInto: Id | null;
  fileIntoRole: "junk" | "trash" | null;
  markSeen: boolean;
  markFlagged: boolean;
  addKeywords: string[];
  forwardTo: string[];
  stop: boolean;
}

export interface RuleCondition {
  type: "from" | "to" | "subject" | "list" | "header" | "size" | "attachment";
  comparison: "contains" | "notContains" | "is" | "isNot" | "over" | "under";
  value?: string | number;
  header?: string;
}

export interface Sending {
  submissionId: Id;
  queueId: string;
  acceptedAt: string;
  events: TraceEvent[];
}

export interface TraceEvent {
  at: string;
  kind: string;
  address: string | null;
  reply: string | null;
  host: string | null;
  nextTryAt: string | null;
}

export interface Quota {
  id: Id;
  resourceType: "octets" | "count";
  used: number;
  hardLimit: number;
  name: string;
}

export type Filter = FilterCondition | FilterOperator;

export interface FilterOperator {
  operator: "AND" | "OR" | "NOT";
  conditions: Filter[];
}

export interface FilterCondition {
  inMailbox?: Id;
  inMailboxOtherThan?: Id[];
  before?: string;
  after?: string;
  minSize?: number;
  maxSize?: number;
  hasKeyword?: string;
  notKeyword?: string;
  hasAttachment?: boolean;
  text?: string;
  from?: string;
  to?: string;
  cc?: string;
  bcc?: string;
  subject?: string;
  body?: string;
}

export interface SetFailure {
  type: string;
  description?: string | null;
  properties?: string[];
}

export interface SetResult<T> {
  oldState: string | null;
  newState: string;
  created?: Record<string, T> | null;
  updated?: Record<Id, Partial<T> | null> | null;
  destroyed?: Id[] | null;
  notCreated?: Record<string, SetFailure> | null;
  notUpdated?: Record<Id, SetFailure> | null;
  notDestroyed?: Record<Id, SetFailure> | null;
}

export interface GetResult<T> {
  accountId: Id;
  state: string;
  list: T[];
  notFound: Id[];
}

export interface QueryResult {
  queryState: string;
  canCalculateChanges: boolean;
  position: number;
  ids: Id[];
  total?: number;
}

export interface ChangesResult {
  oldState: string;
  newState: string;
  hasMoreChanges: boolean;
  created: Id[];
  updated: Id[];
  destroyed: Id[];
}

export interface StateChange {
  "@type": "StateChange";
  changed: Record<Id, Record<string, string>>;
}

package rows

// definition is a table with what is shown of it.
type definition struct {
	name, pattern, keeps, written string
	columns                       []column
	// from is the FROM clause with its order; the frame offers mine, back and events.
	from string
}

type column struct{ name, value string }

// named is a column that is shown as it is.
func named(names ...string) []column {
	all := make([]column, 0, len(names))
	for _, n := range names {
		all = append(all, column{n, "t." + n})
	}
	return all
}

func with(all []column, more ...column) []column { return append(all, more...) }

func ref(name, prefix, value string) column {
	return column{name, "'" + prefix + "_' || replace(" + value + "::text, '-', '')"}
}

var definitions = []definition{
	{
		name: "idempotency_keys", pattern: "idempotency",
		keeps:   "One row per key that a client named: who runs it, and the exact answer once there is one.",
		written: "Claimed in transaction 1, together with the attempt; completed in transaction 2, together with the outcome.",
		columns: with(named("key", "operation", "status", "fence", "response_status"),
			column{"answer", "CASE WHEN t.response_body IS NULL THEN NULL ELSE length(t.response_body) || ' bytes' END"},
			column{"created_at", "t.created_at"}, column{"expires_at", "t.expires_at"}),
		from: `FROM idempotency_keys t WHERE t.merchant_id = $1::uuid
  AND ($2::uuid IS NULL OR t.subject_id IN (SELECT id FROM mine)
       OR t.resource_ref IN (SELECT 'ord_' || replace(order_id::text, '-', '') FROM mine
                             UNION SELECT 'ref_' || replace(id::text, '-', '') FROM back))
ORDER BY t.created_at DESC`,
	},
	{
		name: "payments", pattern: "shop",
		keeps:   "One per order. Every change of status is an UPDATE guarded by the status that it leaves.",
		written: "With its order; then in transactions 1 and 2 of each attempt, and by refunds.",
		columns: with([]column{ref("id", "pay", "t.id")}, named("status", "attempt_no", "amount_minor", "currency", "refund_reserved_minor",
			"refunded_minor", "provider_charge_id", "decline_code", "version", "captured_at")...),
		from: `FROM payments t JOIN mine ON mine.id = t.id ORDER BY t.id DESC`,
	},
	{
		name: "payment_attempts", pattern: "shop",
		keeps:   "Each try to charge, under a provider key of its own. Recovery always speaks of one of these rows.",
		written: "Opened in transaction 1, before anything is sent; closed in transaction 2 by whoever holds its fence.",
		columns: with(named("attempt_no", "provider_key", "status", "fence", "asked"),
			column{"card_token", "CASE WHEN t.card_token IS NULL THEN 'erased' ELSE 'kept until the outcome' END"},
			column{"lease_until", "t.lease_until"}, column{"sent_at", "t.sent_at"}, column{"finished_at", "t.finished_at"}),
		from: `FROM payment_attempts t JOIN mine ON mine.id = t.payment_id ORDER BY t.payment_id DESC, t.attempt_no DESC`,
	},
	{
		name: "outbox_events", pattern: "outbox",
		keeps:   "Events on their way to RabbitMQ.",
		written: "In the transaction of the change that they speak of; the relay sets published_at after the confirm.",
		columns: with([]column{ref("event_id", "evt", "t.event_id")}, named("type", "aggregate_type", "aggregate_version", "partition_no", "created_at", "published_at")...),
		from:    `FROM events t ORDER BY t.seq DESC`,
	},
	{
		name: "consumer_inbox", pattern: "inbox",
		keeps:   "Which consumer has applied which event. A redelivery finds its row and changes nothing.",
		written: "In the transaction of the effect, never before it.",
		columns: with([]column{{"consumer", "t.consumer"}, ref("event_id", "evt", "t.event_id")}, column{"type", "o.type"}, column{"processed_at", "t.processed_at"}),
		from:    `FROM events o JOIN consumer_inbox t ON t.event_id = o.event_id ORDER BY t.processed_at DESC`,
	},
	{
		name: "ledger_entries", pattern: "shop",
		keeps:   "Double entry: debit positive, credit negative; each transaction sums to zero and names its cause once and for ever.",
		written: "By the ledger consumer, with its inbox row.",
		columns: []column{{"business_key", "l.business_key"}, {"kind", "l.kind"}, {"account", "a.code"}, {"amount_minor", "t.amount_minor"}, {"currency", "t.currency"}, {"posted_at", "l.posted_at"}},
		from: `FROM ledger_transactions l JOIN mine ON mine.id = l.payment_id
  JOIN ledger_entries t ON t.transaction_id = l.id JOIN ledger_accounts a ON a.id = t.account_id
ORDER BY l.posted_at DESC, t.amount_minor DESC`,
	},
	{
		name: "tickets", pattern: "shop",
		keeps:   "One row per seat; unique by order, line and number for ever.",
		written: "By the tickets consumer, with its inbox row.",
		columns: with([]column{ref("id", "tkt", "t.id")}, named("line", "number", "code", "status", "issued_at", "used_at")...),
		from:    `FROM tickets t JOIN mine ON mine.order_id = t.order_id ORDER BY t.id DESC`,
	},
	{
		name: "emails", pattern: "shop",
		keeps:   "Mails that are owed, each under a Message-ID that never changes.",
		written: "Queued by the e-mail consumer with its inbox row; the mailer marks it after the mail server took it.",
		columns: named("template", "message_id", "recipient", "subject", "status", "attempts", "last_error", "sent_at"),
		from:    `FROM emails t JOIN mine ON mine.id = t.payment_id ORDER BY t.id DESC`,
	},
	{
		name: "sagas", pattern: "saga",
		keeps:   "Each refund's state; version lets only one orchestrator advance it.",
		written: "Begun in the request's own transaction, with the reservation; advanced by the orchestrator, with the inbox row of the reply.",
		columns: with([]column{ref("id", "saga", "t.id")}, named("state", "direction", "position", "version", "failure", "due_at", "finished_at", "resolved_by", "resolved_why")...),
		from:    `FROM back JOIN sagas t ON t.id = back.saga_id ORDER BY t.id DESC`,
	},
	{
		name: "saga_steps", pattern: "saga",
		keeps:   "Every do and its undo. The undo is due from the moment its do is recorded.",
		written: "With the saga's advance, before the command leaves.",
		columns: with([]column{ref("saga", "saga", "t.saga_id")}, named("step", "direction", "status", "attempts", "error", "deadline_at", "started_at", "finished_at")...),
		from:    `FROM back JOIN saga_steps t ON t.saga_id = back.saga_id ORDER BY t.saga_id DESC, t.direction, t.position`,
	},
	{
		name: "saga_participations", pattern: "saga",
		keeps:   "What each participant answered. A repeat gets the stored reply; a late do after its undo is refused.",
		written: "By the participant, in the transaction of its effect.",
		columns: with([]column{ref("saga", "saga", "t.saga_id")}, named("step", "did", "undid", "decided", "asked", "asking_until", "replies", "created_at")...),
		from:    `FROM back JOIN saga_participations t ON t.saga_id = back.saga_id ORDER BY t.created_at DESC`,
	},
	{
		name: "dead_letters", pattern: "retry",
		keeps:   "Messages that could not be applied, with the reason, for a person.",
		written: "By the collector of the dead queue.",
		columns: with([]column{ref("id", "dlt", "t.id")}, named("consumer", "type", "class", "reason", "attempts", "replay_no", "state", "last_failed_at")...),
		from: `FROM dead_letters t WHERE t.merchant_id = $1::uuid
  AND ($2::uuid IS NULL OR t.event_id IN (SELECT event_id::text FROM events UNION SELECT 'evt_' || replace(event_id::text, '-', '') FROM events))
ORDER BY t.id DESC`,
	},
}

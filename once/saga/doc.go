// Package saga carries a story through several owners that share no
// transaction, and ends it whole: every step done, or every step taken back.
//
// # The problem
//
// Four parts of a system have to act, each in a database or a world of its own.
// One of them may refuse, one may be silent, any process may die, and one of the
// acts cannot be taken back. No lock spans them. What is left is order, memory
// and patience.
//
// # The promise
//
// A [Definition] declares the steps, what takes each back, and the pivot: the
// step behind which there is no way back. Then, with every message delivered at
// least once and in any order:
//
//   - a saga ends completed, with every step done, or compensated, with every
//     step undone, in reverse; until it does, either a timer is running or a
//     trouble is open;
//   - a step with a condition is sent only when its condition says so, and a saga
//     that waits for that sends nothing and gives nothing up;
//   - a step's compensation is registered in the transaction that records the
//     step, before the command is sent: a step that was never answered is undone
//     like one that is done;
//   - nothing is undone once the pivot is done, and while it is under way nothing
//     is assumed: the participant is asked until it says yes or no;
//   - a participant does a step once, undoes it once, and refuses a do that comes
//     after its undo;
//   - what a person decided is final: no command of the step acts afterwards, and
//     the decision is refused where the outside says otherwise.
//
// # What is not promised
//
// Isolation: between the first step and the last one every reader can see an
// unfinished story. Owners show that as what it is ("reserved", "on hold") and
// must not let others build on it. Nor is an end promised without participants:
// a step after the pivot that no participant answers stays open, with a trouble.
//
// # The states
//
//	          begin                      every step done
//	            │      ┌───────────┐ ──────────────────────▶ completed
//	            └────▶ │  running  │ ◀─┐
//	                   └───────────┘   │ a reply, or a person's retry
//	refused, or silent   │     │       │
//	before the pivot     │     └──▶ ┌─────┐  refused or silent after the pivot,
//	refused at the pivot │          │stuck│  or on the way back: a trouble is open
//	                     ▼     ┌──▶ └─────┘
//	               ┌──────────────┐    │ a reply, or a person's retry
//	               │ compensating │ ◀──┘
//	               └──────────────┘ ──────────────────────▶ compensated
//	                                     every undo done
//
// A running saga that comes to a step with a [Condition] asks it, in its own
// transaction: the step is sent, or skipped, or the saga is waiting. It is asked
// again after the definition's signal, an event of the same correlation, and at
// each deadline, for a signal may be lost. A condition locks what it reads, and a
// transaction that changes this writes the signal too: so the change is either
// read, or its signal meets a saga that waits already.
//
// A deadline before the pivot sends the command again, and after some tries
// turns round: the participant remembers the undo and refuses the do that
// arrives later. A deadline at the pivot only raises trouble and asks. After it, and on
// the way back, commands are sent again until they are answered, each time after
// a longer wait: copies do not make a slow queue faster. A person may
// have a stuck command sent once more ([Definition.Retry]) or decide how the saga
// ended ([Definition.Resolve]).
//
// # A person's decision
//
// A saga is stuck while its command may be anywhere: in the outbox, in a queue, in
// a retry queue, a dead letter that is replayed tomorrow, a call on the wire, an
// answer that was lost or waits in a queue. A decision that only ended the saga
// would be overtaken by each of them.
//
//	Resolve  ── one transaction ──  the saga takes no reply and knows no deadline,
//	   │                            the step's participant remembers "decided",
//	   │                            the decision is written down, pending
//	   ▼
//	pending ──▶ no call can be under way any more (asking_until), and the outside
//	   │        can be asked: Look, by key, a complete listing
//	   │
//	   ├── it agrees ──▶ accepted: the step in hand is over; what follows, the next
//	   │                 do or the undos, runs as ordinary steps
//	   └── it does not ▶ refused, with what was found: the participant acts again,
//	                     the saga is as stuck as before
//
// "decided" outlives copies, replays and a person's retry, because it stands where
// each of them ends: in the participant's memory. Such an answer says nothing of
// the step, so the saga ignores it, also when it arrives after a refusal.
// asking_until is written in the transaction of a call's intent, so a decision
// either comes first and no call is made, or knows how long to wait. An effect
// that lands later still, because the far end was slower than that, is found
// like any other that came by another way; it does not move the saga.
//
// A step without a Look is inside, or cannot be looked at: there a person's word
// counts at once. An undo without an answer is still sent again until it is answered:
// a word takes nothing back. A refused undo is over, because the decision took its
// place. An audit judges both like every other end.
//
// # Who does what
//
// The [Orchestrator] is a consumer with an inbox: start events and replies in,
// commands out through the outbox, the saga's state between them in one
// transaction. Every change is guarded by the version it read; of two
// orchestrators and a [Timer] that meet, one changes the saga and the others
// decide anew. The rules are in machine.go and know no database.
//
// A [Participant] answers commands in the transaction in which it acts and
// remembers its answer: a copy gets the same reply again. [Outside] is a
// participant whose effect is in an external system: it writes down that it is
// going to ask, asks under a key that never changes, and writes down the
// answer.
//
// # Killed here, then what
//
//	before a step's command commits   nothing happened; the event comes again
//	after it, before it is published  the relay publishes it
//	participant, before its commit    nothing was done; the command comes again
//	participant, after its commit     the inbox absorbs; the reply is in the outbox
//	outside, before the call          the command comes again and is asked about first
//	outside, after the call           the same: one key, one effect
//	orchestrator, before its commit   the reply comes again
//	a saga that waits, anything       nothing is under way; the signal comes again
//	at the pivot, any process         the timer asks; nothing is assumed
//	after the pivot, any process      forward, never back
//	a command or reply is dead        the deadline sends the command anew
//	between a decision and its end    it is pending; another process asks and ends it
//
// # Tables
//
// sagas and saga_steps are the orchestrator's: state and history.
// saga_participations is the participants' memory, which must live as long as
// the saga does. saga_decisions is what persons decided, refused ones too. All are in
// payonce/once/schema.
//
// Read first: machine.go, then participant.go, then decision.go.
package saga

package email

import "payonce/internal/platform/alert"

// Kinds of alerts. The first two are about a mail, by its Message-ID.
var (
	AlertLate = alert.Kind{
		Name:   "mail_late",
		Means:  "a mail is still owed after the whole schedule",
		Remedy: "look at its error; the mailer goes on trying",
		Ends:   "the mailer, when the mail is sent",
	}
	AlertFailed = alert.Kind{
		Name:   "mail_failed",
		Means:  "the mail server refused a mail for good",
		Remedy: "have it sent again, to another address or to your own: `POST /v1/ops/alerts/{id}/send-mail`",
		Ends:   "the mailer, when the mail is sent",
	}
	AlertAway = alert.Kind{
		Name:   "mail_server_away",
		Means:  "no mail can be sent",
		Remedy: "look at the mail server",
		Ends:   "the mailer, when the server answers",
	}
)

// mailServer is what AlertAway is about.
const mailServer = "mailer"

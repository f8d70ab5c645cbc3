package rabbit

import (
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once/message"
)

func publishing(m message.Message) amqp.Publishing {
	return amqp.Publishing{
		DeliveryMode: amqp.Persistent,
		ContentType:  m.ContentType,
		MessageId:    m.ID,
		Type:         m.Type,
		Timestamp:    m.Time,
		Headers:      amqp.Table(m.Headers),
		Body:         m.Body,
	}
}

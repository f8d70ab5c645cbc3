package ladder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"payonce/once"
	"payonce/once/examples/ladder"
	"payonce/once/message"
	"payonce/once/oncetest"
	oncepq "payonce/once/pq"
	"payonce/once/rabbit"
)

func TestMain(m *testing.M) { oncetest.Main(m) }

// house is a database with the table, a broker with a queue that is bound for some
// aggregates, and what the queue hands out.
type house struct {
	db        once.DB
	amqp      string
	publisher *rabbit.Publisher
	arrived   chan string
}

func open(aggregates ...string) (*house, func()) {
	dsn, amqp, end := oncetest.ForExample()
	db, err := oncepq.Open(oncepq.Config{DSN: dsn})
	check(err)
	h := &house{db: db, amqp: amqp, arrived: make(chan string, 100)}
	check(h.write(func(tx once.Tx) error {
		_, err := tx.Exec(context.Background(), ladder.Tables)
		return err
	}))
	conn := h.bind(aggregates...)
	h.publisher = conn.Publisher(rabbit.PublisherConfig{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: "all"}, func(_ context.Context, batch []rabbit.Delivery) {
			for _, d := range batch {
				h.arrived <- string(d.Body)
				check(rabbit.Ack(d))
			}
		})
	}()
	return h, func() {
		stop()
		<-done
		conn.Close()
		_ = db.Close()
		end()
	}
}

// bind declares the queue and binds it for aggregates.
func (h *house) bind(aggregates ...string) *rabbit.Conn {
	topology := rabbit.Topology{Exchanges: []rabbit.Exchange{{Name: "ladder", Kind: "topic"}}, Queues: []rabbit.Queue{rabbit.DeadLetterQueue("all")}}
	for _, aggregate := range aggregates {
		topology.Bindings = append(topology.Bindings, rabbit.Binding{Queue: "all", Exchange: "ladder", Key: aggregate})
	}
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{h.amqp}, Topology: topology})
	check(err)
	check(conn.Ready(context.Background()))
	return conn
}

func (h *house) write(change func(tx once.Tx) error) error {
	return h.db.InTx(context.Background(), change)
}

// say writes events, each the n-th of its aggregate, in one transaction.
func (h *house) say(bodies ...string) {
	check(h.write(func(tx once.Tx) error {
		for _, body := range bodies {
			aggregate, _, _ := strings.Cut(body, " ")
			if err := ladder.Append(context.Background(), tx, aggregate, body); err != nil {
				return err
			}
		}
		return nil
	}))
}

// next waits for n deliveries.
func (h *house) next(n int) string {
	bodies := make([]string, n)
	for i := range bodies {
		select {
		case bodies[i] = <-h.arrived:
		case <-time.After(20 * time.Second):
			bodies[i] = "nothing"
		}
	}
	return strings.Join(bodies, ", ")
}

// dying has the broker take what is published, and then dies before it is known.
type dying struct{ ladder.Broker }

func (d dying) PublishAll(ctx context.Context, messages []message.Message) []error {
	errs := d.Broker.PublishAll(ctx, messages)
	errs[0] = errors.New("killed before the event was marked")
	return errs
}

// A change that does not commit says nothing. A relay that dies between confirm and mark
// says it twice, and never not at all.
func ExampleSmallest() {
	h, end := open("seat-7", "seat-8")
	defer end()
	ctx := context.Background()

	_ = h.write(func(tx once.Tx) error {
		check(ladder.Append(ctx, tx, "seat-7", "seat-7 sold to two"))
		return errors.New("rolled back")
	})
	h.say("seat-7 sold")
	h.say("seat-8 sold")

	_, err := ladder.Smallest{DB: h.db, Broker: dying{h.publisher}, Exchange: "ladder"}.Turn(ctx)
	fmt.Println(err)
	published, err := ladder.Smallest{DB: h.db, Broker: h.publisher, Exchange: "ladder"}.Turn(ctx)
	fmt.Println(published, err)
	fmt.Println(h.next(3))
	// Output:
	// killed before the event was marked
	// 2 <nil>
	// seat-7 sold, seat-7 sold, seat-8 sold
}

// No queue is bound for seat-8: its events stay, in their order, and hold no other.
func ExampleOrdered() {
	h, end := open("seat-7", "seat-9")
	defer end()
	ctx, now := context.Background(), time.Now()
	h.say("seat-8 sold", "seat-7 sold", "seat-8 returned", "seat-7 returned", "seat-9 sold")

	relay := ladder.Ordered{DB: h.db, Broker: h.publisher, Exchange: "ladder", Hold: time.Minute, Now: func() time.Time { return now }}
	for range 3 {
		published, err := relay.Turn(ctx)
		fmt.Println(published, err != nil)
	}
	fmt.Println("of seat-7 and seat-9:", len(strings.Split(h.next(3), ", ")))

	h.bind("seat-8").Close()
	now = now.Add(2 * time.Minute)
	for range 2 {
		_, err := relay.Turn(ctx)
		check(err)
	}
	fmt.Println(h.next(2))
	// Output:
	// 2 true
	// 1 false
	// 0 false
	// of seat-7 and seat-9: 3
	// seat-8 sold, seat-8 returned
}

// Two relays share eight parts. One is gone without a word; the other has its parts as soon as
// the server has ended its session. Of each seat the events come in order, each once.
func ExampleMany() {
	h, end := open("#")
	defer end()
	ctx := context.Background()
	relay := func(most int) *ladder.Many {
		return &ladder.Many{Ordered: ladder.Ordered{DB: h.db, Broker: h.publisher, Exchange: "ladder", Hold: time.Minute, Now: time.Now}, Most: most}
	}
	one, other := relay(ladder.Parts/2), relay(ladder.Parts)
	defer other.Leave()

	var seats []string
	for seat := range 20 {
		seats = append(seats, fmt.Sprintf("seat-%d", seat))
	}
	all := func(does string) {
		for _, seat := range seats {
			h.say(seat + " " + does)
		}
	}
	all("sold")
	all("returned")
	for published := 1; published > 0; {
		mine, err := one.Turn(ctx)
		check(err)
		theirs, err := other.Turn(ctx)
		check(err)
		published = mine + theirs
	}
	fmt.Println("parts:", one.Owns(), other.Owns())
	check(inOrder(h.next(2*len(seats)), "sold", "returned"))

	one.Leave() // its process was killed
	all("sold again")
	patience, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for published := 0; published < len(seats); { // the server needs a moment to end the other's session
		more, err := other.Turn(patience)
		check(err)
		published += more
	}
	fmt.Println("parts:", other.Owns())
	check(inOrder(h.next(len(seats)), "sold again"))
	// Output:
	// parts: 4 4
	// parts: 8
}

// inOrder says whether each seat did all of it, once and in this order.
func inOrder(arrived string, does ...string) error {
	of := map[string][]string{}
	for _, body := range strings.Split(arrived, ", ") {
		seat, did, _ := strings.Cut(body, " ")
		of[seat] = append(of[seat], did)
	}
	for seat, did := range of {
		if !slices.Equal(did, does) {
			return fmt.Errorf("%s: %v", seat, did)
		}
	}
	return nil
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

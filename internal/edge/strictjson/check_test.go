package strictjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"payonce/api"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
)

func schema(t *testing.T, name string) *openapi3.Schema {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas[name].Value
}

const good = `{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok"}`

func TestTheOneSpellingIsAccepted(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		good, "\n\t " + good + " \r\n",
		`{"card_token":"tok_ok","currency":"\u0045UR","amount_minor":99999999}`,
	} {
		if v := strictjson.Check([]byte(body), schema(t, "CaptureRequest")); v != nil {
			t.Errorf("%s: %v", body, v)
		}
	}
}

func TestEachOtherSpellingIsRefusedAtItsPlace(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20)
	for body, pointer := range map[string]string{
		``:                    "",
		`   `:                 "",
		`null`:                "",
		`[]`:                  "",
		`"x"`:                 "",
		`{`:                   "",
		good + `x`:            "",
		good + good:           "",
		"\xef\xbb\xbf" + good: "",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok",}`:                       "",
		`{"amount_minor": 08400, "currency": "EUR", "card_token": "tok_ok"}`:                       "",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_` + "\xff" + `"}`:            "",
		`{"amount_minor": 8400.0, "currency": "EUR", "card_token": "tok_ok"}`:                      "/amount_minor",
		`{"amount_minor": 84e2, "currency": "EUR", "card_token": "tok_ok"}`:                        "/amount_minor",
		`{"amount_minor": "8400", "currency": "EUR", "card_token": "tok_ok"}`:                      "/amount_minor",
		`{"amount_minor": -0, "currency": "EUR", "card_token": "tok_ok"}`:                          "/amount_minor",
		`{"amount_minor": 0, "currency": "EUR", "card_token": "tok_ok"}`:                           "/amount_minor",
		`{"amount_minor": -1, "currency": "EUR", "card_token": "tok_ok"}`:                          "/amount_minor",
		`{"amount_minor": 100000000, "currency": "EUR", "card_token": "tok_ok"}`:                   "/amount_minor",
		`{"amount_minor": 92233720368547758070, "currency": "EUR", "card_token": "t"}`:             "/amount_minor",
		`{"amount_minor": null, "currency": "EUR", "card_token": "tok_ok"}`:                        "/amount_minor",
		`{"amount_minor": true, "currency": "EUR", "card_token": "tok_ok"}`:                        "/amount_minor",
		`{"amount_minor": {}, "currency": "EUR", "card_token": "tok_ok"}`:                          "/amount_minor",
		`{"currency": "EUR", "card_token": "tok_ok"}`:                                              "/amount_minor",
		`{"amount_minor": 1, "amount_minor": 8400, "currency": "EUR", "card_token": "t"}`:          "/amount_minor",
		`{"amount_minor": 8400, "currency": "eur", "card_token": "tok_ok"}`:                        "/currency",
		`{"amount_minor": 8400, "currency": 978, "card_token": "tok_ok"}`:                          "/currency",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": ""}`:                              "/card_token",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok\u0000ok"}`:                   "/card_token",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "\ud800"}`:                        "/card_token",
		`{"Amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok"}`:                        "/Amount_minor",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok", "x": 1}`:                "/x",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok", "a/b~": 1}`:             "/a~1b~0",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok", "x": {"y": 1, "y": 2}}`: "/x/y",
		`{"amount_minor": 8400, "currency": "EUR", "card_token": "tok_ok", "x": ` + deep + `}`:     "/x" + strings.Repeat("/0", 15),
	} {
		found := strictjson.Check([]byte(body), schema(t, "CaptureRequest"))
		if len(found) == 0 {
			t.Errorf("accepted: %s", body)
			continue
		}
		hit := false
		for _, v := range found {
			hit = hit || v.Pointer == pointer
			if strings.Contains(v.Detail, "tok_") {
				t.Errorf("the answer repeats the client's value: %s", v.Detail)
			}
		}
		if !hit {
			t.Errorf("%s: expected a violation at %q, got %v", body, pointer, found)
		}
	}
}

func TestPlacesInsideOfListsAreNamedByIndex(t *testing.T) {
	t.Parallel()
	body := `{"email": "a@example.org", "items": [{"sku": "concert-a", "quantity": 2}, {"sku": "concert-a", "quantity": 0}]}`
	found := strictjson.Check([]byte(body), schema(t, "NewOrder"))
	if len(found) != 1 || found[0].Pointer != "/items/1/quantity" || found[0].Detail != "must be at least 1" {
		t.Fatalf("got %v", found)
	}
}

func TestAnAnswerNamesAtMostTwentyPlaces(t *testing.T) {
	t.Parallel()
	body := `{"email": "a@example.org", "items": [` + strings.Repeat(`{"sku": 1, "quantity": "2"},`, 500) + `{}]}`
	if found := strictjson.Check([]byte(body), schema(t, "NewOrder")); len(found) != 20 {
		t.Fatalf("got %d", len(found))
	}
}

func FuzzWhatIsAcceptedDecodesWithoutLoss(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"amount_minor":1,"currency":"JPY","card_token":"t","x":0}`))
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if strictjson.Check(body, doc.Components.Schemas["CaptureRequest"].Value) != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		var read wire.CaptureRequest
		if err := d.Decode(&read); err != nil {
			t.Fatalf("accepted %q, which does not decode: %v", body, err)
		}
		if read.AmountMinor < 1 || read.AmountMinor > 99_999_999 || len(read.Currency) != 3 || read.CardToken == "" {
			t.Fatalf("accepted %q, which decodes to %+v", body, read)
		}
	})
}

func TestOtherFieldsAreAcceptedOnlyWhereTheSchemaSaysSo(t *testing.T) {
	t.Parallel()
	open := openapi3.NewObjectSchema().WithProperty("type", openapi3.NewStringSchema()).WithAnyAdditionalProperties()
	closed := openapi3.NewObjectSchema().WithProperty("type", openapi3.NewStringSchema())
	const body = `{"type":"a","more":{"b":[1]}}`
	if v := strictjson.Check([]byte(body), open); v != nil {
		t.Errorf("open: %v", v)
	}
	if v := strictjson.Check([]byte(body), closed); len(v) != 1 || v[0].Pointer != "/more" {
		t.Errorf("closed: %v", v)
	}
	if v := strictjson.Check([]byte(`{"Type":"a"}`), open); len(v) != 1 {
		t.Errorf("another spelling of a name that there is: %v", v)
	}
}

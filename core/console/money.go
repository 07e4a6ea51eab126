package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"tenure/core"
	"tenure/core/identity"
	"tenure/core/sources"
)

// moneyRoutes are the page of what amounts are in.
func moneyRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/money", role: identity.Viewer, serve: moneyPage},
		{method: http.MethodPost, path: "/money", role: identity.Admin, serve: setMoney, form: moneyPage},
	}
}

// moneyData is what amounts of the workspace are in.
type moneyData struct {
	Currency string `json:"currency"`
	Rates    []rate `json:"rates"`
	// Version is to be sent with a change, which is refused if there is another one by
	// then.
	Version string `json:"version"`
	// Lines are the rates as the form has them.
	Lines string `json:"-"`
}

// rate is what one unit of another currency is worth.
type rate struct {
	Currency string `json:"currency"`
	Rate     string `json:"rate"`
}

func moneyPage(s *server, r *request) (view, error) {
	money, err := s.Sources.Money(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	data := moneyData{Currency: money.Currency, Rates: []rate{}, Version: money.Version()}
	var lines strings.Builder
	for _, code := range slices.Sorted(maps.Keys(money.Rates)) {
		data.Rates = append(data.Rates, rate{code, money.Rates[code]})
		fmt.Fprintf(&lines, "%s %s\n", code, money.Rates[code])
	}
	data.Lines = lines.String()
	if r.failure != nil { // the form is shown as it was entered
		data.Currency, data.Lines, data.Version = r.form.Get("currency"), r.form.Get("rates"), r.form.Get("version")
	}
	return view{template: "money", title: "Money", section: "sources", data: data}, nil
}

// ratesIn reads rates that were entered, and tells in which line each is.
func ratesIn(text string) (rates map[string]string, lines map[string]int, err error) {
	rates, lines = map[string]string{}, map[string]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.FieldsFunc(line, func(c rune) bool { return unicode.IsSpace(c) || c == '=' || c == ':' })
		if len(words) == 0 {
			continue
		}
		code := strings.ToUpper(words[0])
		switch {
		case len(words) != 2:
			return nil, nil, &core.Failure{Code: core.Malformed, Field: "rates", Message: fmt.Sprintf("Line %d must be a currency and a number, such as EUR 1.08", n)}
		case lines[code] != 0:
			return nil, nil, &core.Failure{Code: core.NotUnique, Field: "rates", Message: fmt.Sprintf("Line %d: %s has a rate in line %d already", n, code, lines[code])}
		}
		rates[code], lines[code] = words[1], n
	}
	return rates, lines, nil
}

func setMoney(s *server, r *request) (view, error) {
	money, err := s.Sources.Money(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	if err := r.stale(money.Version()); err != nil {
		return view{}, err
	}
	if r.form.Has("currency") {
		money.Currency = strings.ToUpper(strings.TrimSpace(r.form.Get("currency")))
	}
	var lines map[string]int
	if r.form.Has("rates") {
		if money.Rates, lines, err = ratesIn(r.form.Get("rates")); err != nil {
			return view{}, err
		}
	}
	if err := s.Sources.SetMoney(r.Context(), r.workspace(), money); err != nil {
		return view{}, inLine(err, lines, money)
	}
	r.audit("money.changed", money.Currency)
	return view{to: "money", done: "money-changed"}, nil
}

// inLine has a failure that is about a rate say in which line that stands.
func inLine(err error, lines map[string]int, money sources.Money) error {
	failure, ok := errors.AsType[*core.Failure](err)
	if !ok {
		return err
	}
	code, about := strings.CutPrefix(failure.Field, "rates.")
	if !about {
		return err
	}
	where := "The rate of " + code
	if n := lines[code]; n != 0 {
		where = fmt.Sprintf("Line %d, %s", n, code)
	}
	said := "the rate must be a number greater than 0, such as 1.08"
	switch {
	case code == money.Currency:
		said = "amounts are in it already; rates are of other currencies"
	case failure.Code == core.Malformed:
		said = "there is no such currency in ISO 4217"
	}
	return &core.Failure{Code: failure.Code, Field: "rates", Message: where + ": " + said}
}

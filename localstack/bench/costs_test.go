package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
)

// prices are what a deployment on AWS pays, in the account's currency. They
// differ between regions and change: these are an example, and PRICES gives
// others, as "name=price,…".
type prices map[string]float64

func defaultPrices() prices {
	return prices{
		"write":   0.625,     // a million write request units
		"read":    0.125,     // a million read request units
		"request": 0.20,      // a million calls of functions
		"gb_s":    0.0000133, // a GB of function memory for a second
		"gateway": 3.50,      // a million requests to the gateway
	}
}

// newPrices returns the default prices with those of text in their place.
func newPrices(text string) (prices, error) {
	all := defaultPrices()
	for entry := range strings.SplitSeq(text, ",") {
		if entry == "" {
			continue
		}
		name, value, _ := strings.Cut(entry, "=")
		price, err := strconv.ParseFloat(value, 64)
		if _, known := all[name]; !known || err != nil || price < 0 {
			return nil, fmt.Errorf("PRICES: %q is not of the form name=price, with one of the names write, read, request, gb_s, gateway", entry)
		}
		all[name] = price
	}
	return all, nil
}

// step is what a record takes in one step of the load.
type step struct {
	name        string
	write, read float64 // units
}

// functionMemory is the memory of a function in GB; see template.yaml.
const functionMemory = 1.0

// printCosts prints what a million records cost in each step, in batches of
// batch records, each of which keeps a function busy for seconds. The stream
// costs nothing to be read by Lambda; that storage and backups cost is not in it.
func printCosts(out io.Writer, p prices, steps []step, batch int, seconds float64) error {
	fmt.Fprintf(out, "\ncost of a million records: batches of %d, %.1f s each; prices: write %g, read %g, request %g, gb_s %g, gateway %g (set PRICES)\n\n",
		batch, seconds, p["write"], p["read"], p["request"], p["gb_s"], p["gateway"])
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\twrite units\tread units\ttable\tfunctions and gateway\ttotal\t\n")
	calls := 1 / float64(batch) // millions, for a million records
	around := calls*(p["request"]+p["gateway"]) + calls*1e6*seconds*functionMemory*p["gb_s"]
	for _, s := range steps {
		table := s.write*p["write"] + s.read*p["read"]
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t\n", s.name, s.write, s.read, table, around, table+around)
	}
	return w.Flush()
}
func TestPricesAreInputs(t *testing.T) {
	p, err := newPrices("write=2,gateway=0")
	if err != nil || p["write"] != 2 || p["gateway"] != 0 || p["read"] != defaultPrices()["read"] {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"writes=1", "write", "write=", "write=-1", "write=x"} {
		if _, err := newPrices(bad); err == nil || !strings.Contains(err.Error(), "PRICES") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestCostsAreTheSumOfUnitsAndCalls(t *testing.T) {
	var out strings.Builder
	p := prices{"write": 2, "read": 10, "request": 100, "gb_s": 0.001, "gateway": 900}
	// 4 × 2 + 1 × 10 for the table; a thousand calls of 3 s: 1000 × 3 × 0.001 + 0.001 × 1000 = 4.
	if err := printCosts(&out, p, []step{{"insert", 4, 1}}, 1000, 3); err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(out.String()[strings.LastIndex(out.String(), "insert"):])
	if got := strings.Join(fields, " "); got != "insert 4.000 1.000 18.00 4.00 22.00" {
		t.Errorf("%s", got)
	}
}

// Command demo fills a workspace of the running product with a year of data
// that has something to tell: what `make demo` runs. It uses the public API and
// nothing else, reads back what the product has derived from it, and compares.
//
// All of it follows from the day, a seed and the number of accounts, so that
// running it again on the same day changes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tenure/core/api"
	"tenure/core/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:], time.Now(), os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	var c *client
	if err == nil {
		c, err = connect(os.Getenv)
	}
	if err == nil {
		_, err = fill(ctx, c, o, os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// options are what can be said on the command line.
type options struct {
	day      time.Time
	seed     uint64
	accounts int
	given    bool // one of them was named
}

func parse(args []string, now time.Time, stderr io.Writer) (options, error) {
	var o options
	var on string
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.accounts, "accounts", 500, "how many accounts")
	flags.Uint64Var(&o.seed, "seed", 1, "another seed makes up another world")
	flags.StringVar(&on, "day", now.UTC().Format(time.DateOnly), "the day on which the data ends, in UTC")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.given = flags.NFlag() > 0
	var err error
	switch o.day, err = time.Parse(time.DateOnly, on); {
	case err != nil:
		return o, fmt.Errorf("-day %q is not a day such as 2025-07-31", on)
	case o.day.After(now):
		return o, fmt.Errorf("-day %s is still to come", on)
	case o.accounts < 1 || o.accounts > 9999:
		return o, fmt.Errorf("-accounts %d is not between 1 and 9999", o.accounts)
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not understood", flags.Arg(0))
	}
	return o, nil
}

// connect returns a client of the product that the settings describe.
func connect(getenv func(string) string) (*client, error) {
	c, err := config.From(getenv)
	if err != nil {
		return nil, err
	}
	if c.Port == 0 {
		return nil, errors.New("PORT 0 is any free port: say which one the product has taken")
	}
	host := c.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere, here too
	}
	to := &client{base: "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port)) + api.BasePath, http: &http.Client{Timeout: 2 * time.Minute}}
	if len(c.Workspaces) > 0 {
		to.key, to.origin = c.Workspaces[0].Key, "WORKSPACES"
		return to, nil
	}
	to.origin = filepath.Join(c.DataDir, "demo.key")
	key, err := os.ReadFile(to.origin)
	to.key = strings.TrimSpace(string(key))
	if err != nil || to.key == "" {
		return nil, fmt.Errorf("there is no key in %s, and WORKSPACES names none: start the product with `make run`, and leave it running", to.origin)
	}
	return to, nil
}

var english = message.NewPrinter(language.English)

// fill makes up a world, uploads it, and checks what the product makes of it.
// It says on out what it does, with a bar that moves if that is a terminal.
func fill(ctx context.Context, c *client, o options, out io.Writer, terminal bool) (outcome, error) {
	w, alone, err := worldFor(ctx, c, o, out)
	if err != nil {
		return outcome{}, err
	}
	started := time.Now()
	all := families(w)
	total := 0
	for _, f := range all {
		total += len(f.records)
	}
	bar := progressbar.DefaultSilent(int64(total))
	if terminal {
		bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionSetWidth(40),
			progressbar.OptionSetPredictTime(false))
	}
	english.Fprintf(out, "%d accounts, %d records, for %s\n", len(w.accounts), total, c.base)
	var sum outcome
	for _, f := range all {
		bar.Describe(f.path)
		at := time.Now()
		one, err := c.upload(ctx, f, func(records int) { _ = bar.Add(records) })
		_ = bar.Clear() // a bar that cannot be drawn is no reason to stop
		if err != nil {
			return sum, err
		}
		sum.add(one)
		english.Fprintf(out, "%-17s%7d records: %v, in %v\n", f.path, one.total(), one, time.Since(at).Round(time.Millisecond))
	}
	_ = bar.Exit()
	uploaded := time.Since(started)
	if err := check(ctx, c, w, alone); err != nil {
		return sum, err
	}
	summary(out, w, time.Now())
	if sum.Inserted+sum.Changed == 0 {
		fmt.Fprintf(out, "\nAll of it was there already: nothing was written (%v)", sum)
	} else {
		fmt.Fprintf(out, "\nWritten: %v", sum)
	}
	fmt.Fprintf(out, ", in %.1f s.\nThe product has derived the same MRR, movements, renewals, scores and stages, to the cent (%.1f s).\n",
		uploaded.Seconds(), (time.Since(started) - uploaded).Seconds())
	return sum, nil
}

// worldFor makes up the world of the options, and reports whether it will be alone
// in the workspace. Two demos in one would be mixed up: where there is one already,
// it is that one again, unless another is asked for, which is refused.
func worldFor(ctx context.Context, c *client, o options, out io.Writer) (w *world, alone bool, err error) {
	type stored struct {
		Account string            `json:"account_id"`
		Labels  map[string]string `json:"custom_label_dimensions"`
	}
	mark := ""
	alone = true
	query := url.Values{"include_inactive": {"true"}, "order_by": {"account_id"}, "include": {"custom_label_dimensions"}}
	err = list(ctx, c, "/accounts", query, func(a stored) {
		if of := a.Labels["demo"]; strings.HasPrefix(a.Account, "demo-") && of != "" {
			mark = of
		} else {
			alone = false
		}
	})
	if err != nil {
		return nil, false, err
	}
	w = newWorld(o.day, o.seed, o.accounts)
	if mark == "" || mark == w.mark() {
		return w, alone, nil
	}
	if o.given {
		return nil, false, fmt.Errorf("the workspace holds another demo, and two would be mixed up: repeat that one with ARGS='%s', or fill another workspace", mark)
	}
	there, err := parse(strings.Fields(mark), time.Now(), io.Discard)
	if err != nil {
		return nil, false, fmt.Errorf("the workspace holds a demo that is not understood (%s): fill another workspace", mark)
	}
	fmt.Fprintf(out, "The workspace holds a demo already, which is repeated: %s\n", mark)
	return newWorld(there.day, there.seed, there.accounts), alone, nil
}

// summary prints what there is to see in the world.
func summary(out io.Writer, w *world, now time.Time) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\nmonth\topening MRR\tnew\texpansion\tcontraction\tchurn\tclosing MRR\t\tNPS")
	for _, tier := range tiers {
		fmt.Fprintf(t, "\t%s", tier.name)
	}
	fmt.Fprint(t, "\tanswers\t\n")
	surveys := w.surveys()
	for i, m := range w.waterfall(now) {
		fmt.Fprintf(t, "%s\t%s", m.from.Format("2006-01"), money(m.opening))
		for _, kind := range movementTypes {
			fmt.Fprintf(t, "\t%s", money(m.byType[kind]))
		}
		score, answers := surveys[i].nps(nil)
		fmt.Fprintf(t, "\t%s\t\t%+d", money(m.closing), score)
		for _, tier := range tiers {
			score, _ := surveys[i].nps(tier)
			fmt.Fprintf(t, "\t%+d", score)
		}
		fmt.Fprintf(t, "\t%d\t\n", answers)
	}
	_ = t.Flush() // what cannot be printed cannot be complained of either
	by := map[fate]int{}
	soon, paying := 0, 0
	for _, a := range w.accounts {
		by[a.fate]++
		d := w.expected(a, now)
		if d.MRR != nil && *d.MRR > 0 {
			paying++
		}
		if d.Renewal != nil && a.cycle != monthly && *d.Renewal >= ms(w.today) && *d.Renewal < ms(w.today.Add(90*day)) {
			soon++
		}
	}
	fmt.Fprintf(out, "\n%d accounts pay, %d try, %d have left within the year, %d have given notice, %d renewals are overdue;\n"+
		"%d yearly and quarterly renewals are due in the next 90 days.\n", paying, by[trying], by[churns], by[leaving], by[overdue], soon)
}

// money prints cents as a currency's units.
func money(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return english.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

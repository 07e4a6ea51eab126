package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
)

// Level says how good what was found is.
type Level string

// The levels of answers. Warn is for somebody to look at; with Bad the source would
// not do what it is for.
const (
	Good Level = "good"
	Warn Level = "warn"
	Bad  Level = "bad"
)

// Answer is something to be asked of a source before it is relied on, and what its
// records say to that.
type Answer struct {
	// Question is a stable word, Title the question for people, and Advice what to go by.
	Question string `json:"question"`
	Title    string `json:"title"`
	Advice   string `json:"advice"`
	// Level and Text are what was found. Without Level the records do not tell.
	Level Level  `json:"level,omitempty"`
	Text  string `json:"text,omitempty"`
	// Count is how many records, or accounts, Text is about first of all; Examples are
	// some of them.
	Count    int      `json:"count"`
	Examples []string `json:"examples,omitempty"`
}

// The questions.
const (
	askPlace, askProgram, askExact, askText, askProduct, askPropagated = "place", "programmatic", "exact", "text", "product", "propagated"
	askAll, askMandatory, askFilter                                    = "all_accounts", "mandatory_fields", "filter"
)

// AccountIDQuestions are to be asked of every account_id, in this order.
func AccountIDQuestions() []Answer {
	return []Answer{
		{Question: askPlace, Title: "Where is it kept?", Advice: "Best is a field of its own that your product fills in. An id of the system will do if your other systems get it, too; an e-mail address or a web address only if there is nothing else."},
		{Question: askProgram, Title: "Is it made by a program?", Advice: "Have a program make account_ids and hand them on. What people type comes to differ sooner or later. If it must be typed, digits without spaces go wrong least."},
		{Question: askExact, Title: "Is it exactly the same in all systems?", Advice: "An account is found by exactly the same text, upper and lower case included."},
		{Question: askText, Title: "Is it stored as text?", Advice: "Text is best, and a whole number will do. As a number with a fraction it is another one: 12345.0 is not 12345."},
		{Question: askProduct, Title: "Is it in your product?", Advice: "Usage events come with user_ids, and with account_ids if your product has them. Where it has none, users must be known here with their accounts. An id that your product has already is the least work."},
		{Question: askPropagated, Title: "Do new ones reach all systems by themselves?", Advice: "A new account must get its account_id in every system, without anybody's doing. Until then its records wait."},
	}
}

// RecordQuestions are to be asked of a System of Record, in this order.
func RecordQuestions() []Answer {
	return []Answer{
		{Question: askAll, Title: "Will it include all of your accounts?", Advice: "Accounts are made from the System of Record alone, and records of an account that is not there wait. Take the system that has all of them, and goes on having them."},
		{Question: askMandatory, Title: "Does it include the mandatory fields?", Advice: "Each account needs its account_id, its name, as you would look for it here, and its join date, from which on its activity and revenue are looked at."},
		{Question: askFilter, Title: "Can it be filtered?", Advice: "You will hardly want all of its records: there should be a field that tells customers from others, or another system that has customers alone."},
	}
}

// answers fills in what was found.
type answers []Answer

func (all answers) found(question string, level Level, count int, examples []string, format string, args ...any) {
	i := slices.IndexFunc(all, func(a Answer) bool { return a.Question == question })
	all[i].Level, all[i].Count, all[i].Examples, all[i].Text = level, count, examples, fmt.Sprintf(format, args...)
}

// looked is what was looked at.
type looked struct {
	records int
	more    bool
}

// all says it as a whole, and of as what some are of.
func (l looked) all() string {
	if !l.more && l.records > 1 {
		return "all " + counted(l.records, "record")
	}
	return l.of()
}

func (l looked) of() string {
	switch {
	case l.more:
		return "the first " + counted(l.records, "record")
	case l.records == 1:
		return "the only record"
	}
	return "the " + counted(l.records, "record")
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// share is how bad it is that n of all are wrong.
func share(n, all int) Level {
	switch {
	case n == 0:
		return Good
	case percent(all-n, all) >= most:
		return Warn
	}
	return Bad
}

// answerAccountID answers what is to be asked of an account_id.
func (r *run) answerAccountID(ctx context.Context, all []SurveyedLocation, chosen *SurveyedLocation) ([]Answer, error) {
	a := answers(AccountIDQuestions())
	if chosen.Why != "" {
		a.found(askPlace, Bad, 0, nil, "%s", chosen.Why)
		return a, nil
	}
	at := looked{chosen.Records, chosen.More}
	findings := map[FindingKind]Finding{}
	for _, f := range chosen.Findings {
		findings[f.Kind] = f
	}
	r.answerPlace(a, all, chosen, at)
	if chosen.Values == 0 {
		return a, nil
	}
	answerProgram(a, chosen)
	exact(a, chosen, findings, r.source.SystemOfRecord)
	switch wrong, whole := findings[NotText], findings[Decimal]; {
	case wrong.Count > 0:
		a.found(askText, Bad, wrong.Count, wrong.Examples, "%s neither a text nor a number there.", have(wrong.Count))
	case whole.Count > 0:
		a.found(askText, Bad, whole.Count, whole.Examples, "%s a number with a fraction or an exponent there.", have(whole.Count))
	default:
		a.found(askText, Good, chosen.Values, nil, "All %d values are texts or whole numbers.", chosen.Values)
	}
	if r.source.SystemOfRecord {
		return a, nil // it is the one that has new ones first
	}
	exist, err := r.anyAccount(ctx)
	if err != nil {
		return nil, err
	}
	level := share(chosen.Values-chosen.One, chosen.Values)
	switch {
	case !exist:
		a.found(askPropagated, "", 0, nil, "There are no accounts here yet to compare with.")
	case chosen.One == chosen.Values:
		a.found(askPropagated, level, chosen.One, nil, "Each value in %s leads to one account.", at.all())
	default:
		var examples []string
		for _, e := range chosen.Examples {
			if e.Account == "" && e.Value != "" && len(examples) < maxExamples {
				examples = append(examples, e.Value)
			}
		}
		a.found(askPropagated, level, chosen.Values-chosen.One, examples, "%d of %s lead to one account (%d%%), %d to none and %d to several.",
			chosen.One, counted(chosen.Values, "value"), chosen.OfValues, chosen.None, chosen.Several)
	}
	return a, nil
}

// have begins a sentence about so many records.
func have(n int) string {
	if n == 1 {
		return "1 record has"
	}
	return fmt.Sprintf("%d records have", n)
}

// anyAccount reports whether there is an active account.
func (r *run) anyAccount(ctx context.Context) (bool, error) {
	for _, err := range r.accounts(ctx) {
		return err == nil, err
	}
	return false, nil
}

func (r *run) answerPlace(a answers, all []SurveyedLocation, chosen *SurveyedLocation, at looked) {
	l := chosen.location
	blank := chosen.Records - chosen.Values
	better := ""
	for i := range all {
		if all[i].stream == chosen.stream && all[i].OfRecords > max(chosen.OfRecords, percent(chosen.Values, chosen.Records)) {
			better = fmt.Sprintf(" %s leads to an account more often: for %d%% of the records.", all[i].location.Title, all[i].OfRecords)
		}
	}
	var examples []string
	for i, o := range chosen.stream.records {
		if chosen.texts[i] == "" && len(examples) < maxExamples {
			examples = append(examples, clip(labelOf(o)))
		}
	}
	switch {
	case chosen.Values == 0:
		a.found(askPlace, Bad, blank, nil, "%s has nothing in %s.%s", l.Title, at.all(), better)
	case blank > 0:
		a.found(askPlace, share(blank, chosen.Records), blank, examples, "%s has a value in %d of %s: the others would wait.%s", l.Title, chosen.Values, at.of(), better)
	case !l.Best || better != "":
		a.found(askPlace, Warn, chosen.Values, nil, "%s has a value in %s. It is an acceptable place, not the best.%s", l.Title, at.all(), better)
	default:
		a.found(askPlace, Good, chosen.Values, nil, "%s has a value in %s.", l.Title, at.all())
	}
}

func labelOf(o *one) string {
	if o.label != "" {
		return o.label
	}
	return o.ID
}

// answerProgram says whether values look made by a program: all alike.
func answerProgram(a answers, chosen *SurveyedLocation) {
	first := chosen.Shapes[0]
	var examples []string
	for _, s := range chosen.Shapes {
		if len(examples) < maxExamples {
			examples = append(examples, s.Example)
		}
	}
	alike := percent(first.Count, chosen.Values) >= most
	typed := first.Shape == shapeSpaced || first.Shape == shapeLetters
	switch {
	case chosen.location.By == connector.ByEmail, alike && first.Shape == shapeEmail:
		a.found(askProgram, Warn, chosen.Values, examples[:1], "E-mail addresses are entered by people, and change.")
	case alike && typed:
		a.found(askProgram, Warn, first.Count, examples[:1], "The values look as if typed by hand: they are %s.", first.Shape)
	case alike && first.Count == chosen.Values:
		a.found(askProgram, Good, first.Count, examples[:1], "All values are alike, as if made by a program: %s.", first.Shape)
	case alike:
		a.found(askProgram, Warn, chosen.Values-first.Count, examples, "Nearly all values are alike (%s), but not %d of %d: were those typed?", first.Shape, chosen.Values-first.Count, chosen.Values)
	default:
		var shapes []string
		for _, s := range chosen.Shapes {
			shapes = append(shapes, fmt.Sprintf("%s (%d)", s.Shape, s.Count))
		}
		a.found(askProgram, Warn, chosen.Values-first.Count, examples, "The values are not alike, as if typed by hand or from several places: %s.", strings.Join(shapes, "; "))
	}
}

// exact says whether values can be found as exactly the same text.
func exact(a answers, chosen *SurveyedLocation, findings map[FindingKind]Finding, record bool) {
	double, cased, spaced := findings[Duplicate], findings[CaseOnly], findings[Spaced]
	if chosen.location.By == connector.ByEmail {
		cased = Finding{} // addresses are compared in lower case
	}
	if !chosen.stream.stream.Accounts {
		double = Finding{} // several people, or tickets, belong to one account
	}
	switch {
	case double.Count > 0 && record:
		a.found(askExact, Bad, double.Count, double.Examples, "%s an account_id that another one has, too: only the first of them would become an account.", have(double.Count))
	case cased.Count > 0:
		a.found(askExact, Bad, cased.Count, cased.Examples, "%s an account_id that differs from another one in upper and lower case alone.", have(cased.Count))
	case spaced.Count > 0:
		a.found(askExact, Warn, spaced.Count, spaced.Examples, "%s an account_id with spaces in it, which are easily entered differently.", have(spaced.Count))
	case double.Count > 0:
		a.found(askExact, Warn, double.Count, double.Examples, "%s an account_id that another one has, too: all of them belong to one account.", have(double.Count))
	default:
		a.found(askExact, Good, chosen.Values, nil, "No value has spaces, or differs from another one in case alone.")
	}
}

// answerRecord answers what is to be asked of a System of Record.
func (r *run) answerRecord(ctx context.Context, found *Survey, chosen *SurveyedLocation, limit SurveyLimit) ([]Answer, error) {
	a := answers(RecordQuestions())
	if chosen.Why != "" {
		for i := range a {
			a.found(a[i].Question, "", 0, nil, "%s", chosen.Why)
		}
		return a, nil
	}
	at := looked{chosen.Records, chosen.More}
	if err := r.answerAll(ctx, a, chosen, at, limit); err != nil {
		return nil, err
	}
	lack, err := r.mandatory(ctx, chosen)
	if err != nil {
		return nil, err
	}
	answerMandatory(a, lack, at)
	return a, r.answerFilter(ctx, a, found.Telling, at)
}

func (r *run) answerAll(ctx context.Context, a answers, chosen *SurveyedLocation, at looked, limit SurveyLimit) error {
	comparing, cancel := context.WithTimeout(ctx, limit.Time/3)
	defer cancel()
	c, err := r.compare(comparing, chosen)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		a.found(askAll, "", chosen.One, nil, "There are more accounts than can be compared in this time. Of %s %d are accounts here.", at.of(), chosen.One)
		return nil
	}
	if err != nil {
		return err
	}
	missing, added := c.ours-c.known, c.theirs-c.known
	of := at.of()
	if c.since != 0 {
		of = "the records as they were last read whole, on " + time.UnixMilli(c.since).UTC().Format("2 Jan 2006")
	}
	switch {
	case c.ours == 0:
		a.found(askAll, Good, c.theirs, nil, "There are no accounts here yet: %s would come from %s. Whether these are all, you know.", counted(c.theirs, "account"), of)
	case c.known == 0:
		a.found(askAll, Bad, c.ours, c.missing, "Not one of %s is an account that is here, of which there are %d: is it another account_id?", of, c.ours)
	case c.whole && missing == 0:
		a.found(askAll, Good, c.known, nil, "It has all %d active accounts that are here, and %d more (%s).", c.ours, added, of)
	case c.whole:
		a.found(askAll, share(missing, c.ours), missing, c.missing, "%d of the %d active accounts here are not in it; it has %d more that are not here (%s).", missing, c.ours, added, of)
	default:
		a.found(askAll, Warn, c.known, nil, "Of %s %d are accounts that are here, and %d would be new. Whether it has all %d accounts here is known once all its records have been read.", at.of(), c.known, added, c.ours)
	}
	return nil
}

func answerMandatory(a answers, lack []*lacking, at looked) {
	var fields, parts, examples []string
	worst := Good
	count := 0
	for _, l := range lack {
		fields = append(fields, l.field)
		if l.count == 0 {
			continue
		}
		part := fmt.Sprintf("%s is missing in %d", l.field, l.count)
		if l.why != "" {
			part = fmt.Sprintf("%s is missing or not what it must be in %d (%s)", l.field, l.count, clip(l.why))
		}
		parts = append(parts, part)
		if level := share(l.count, at.records); level == Bad || worst == Good {
			worst = level
		}
		if l.count > count {
			count, examples = l.count, l.examples
		}
	}
	switch {
	case len(lack) == 0:
		a.found(askMandatory, Bad, 0, nil, "Its records do not become accounts: that is turned off.")
	case worst == Good:
		a.found(askMandatory, Good, at.records, nil, "%s are there in %s.", strings.Join(fields, ", "), at.all())
	default:
		a.found(askMandatory, worst, count, examples, "Of %s: %s. These records would wait, and become no accounts.", at.of(), strings.Join(parts, "; "))
	}
}

func (r *run) answerFilter(ctx context.Context, a answers, telling []Telling, at looked) error {
	all, err := r.List(ctx, r.workspace)
	if err != nil {
		return err
	}
	var others, paths []string
	for _, o := range all {
		if o.ID != r.source.ID && slices.ContainsFunc(r.Connector(o.Connector).Streams, func(st connector.Stream) bool { return st.Accounts }) {
			others = append(others, o.Name)
		}
	}
	for _, t := range telling[:min(len(telling), maxExamples)] {
		paths = append(paths, t.Path)
	}
	also := ""
	if len(others) > 0 {
		also = " Accounts can be restricted to those that are also in " + strings.Join(others[:min(len(others), maxExamples)], ", ") + "."
	}
	switch {
	case len(telling) > 0:
		a.found(askFilter, Good, len(telling), paths, "%s few values in %s, by which they can be told apart.%s", fieldsHave(len(telling)), at.all(), also)
	case also != "":
		a.found(askFilter, Good, 0, nil, "No field tells %s apart.%s", at.of(), also)
	default:
		a.found(askFilter, Warn, 0, nil, "No field with few values tells %s apart, and there is no other source with accounts.", at.of())
	}
	return nil
}

func fieldsHave(n int) string {
	if n == 1 {
		return "1 field has"
	}
	return fmt.Sprintf("%d fields have", n)
}

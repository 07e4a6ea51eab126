package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"tenure/core/mapping"
)

// Expression is an expression as a session evaluates it.
type Expression struct {
	session *Session
	program *mapping.Program
}

// more are the variables that only expressions of paging have, behind Variables.
var more = []string{"count", "last", "links"}

// Expression compiles an expression; one that was compiled before is at hand. safe
// restricts it to what an administrator may write (mapping.CompilePath).
func (s *Session) Expression(text string, safe bool) (*Expression, error) {
	key := fmt.Sprint(safe) + text
	if e := s.compiled[key]; e != nil {
		return e, nil
	}
	env := s.Env
	compile := mapping.CompilePath
	if !safe {
		compile, env.Functions = mapping.Compile, s.Connector.Functions
	}
	p, err := compile(text, &env, slices.Concat(Variables, more)...)
	if err != nil {
		return nil, err
	}
	e := &Expression{s, p}
	s.compiled[key] = e
	return e, nil
}

// String returns the expression.
func (e *Expression) String() string { return e.program.String() }

// First returns the first value of the expression over input; nil if there is none.
// record is $record.
func (e *Expression) First(ctx context.Context, input, record any) (any, error) {
	return e.program.First(ctx, input, e.session.values(record, nil)...)
}

// All yields the values of the expression over input, and an error at most as the
// last. record is $record.
func (e *Expression) All(ctx context.Context, input, record any) iter.Seq2[any, error] {
	return e.program.All(ctx, input, e.session.values(record, nil)...)
}

// scope is what the variables stand for in a request and on the page it has led to.
type scope struct {
	since        any
	cursor, page any
	count        int
	last, links  any
}

// values returns what the variables stand for.
func (s *Session) values(record any, at *scope) []any {
	if at == nil {
		at = &scope{}
	}
	return []any{s.settings, s.token, s.facts, at.since, at.cursor, at.page, json.Number(fmt.Sprint(s.Now().UnixMilli())), record,
		at.count, at.last, at.links}
}

// eval evaluates an expression of the declaration.
func (s *Session) eval(ctx context.Context, text string, input, record any, at *scope) (any, error) {
	e, err := s.Expression(text, false)
	if err != nil {
		return nil, err
	}
	return e.program.First(ctx, input, s.values(record, at)...)
}

// Compile compiles all expressions of a declaration and checks that it hangs
// together. An error names what is wrong: that is a mistake in the program.
func Compile(c *Connector, env mapping.Env) error {
	s := &Session{Config: Config{Connector: c, Env: env}, compiled: map[string]*Expression{}}
	check := &checker{session: s, found: map[string]Fact{}}
	check.connector(c)
	if len(check.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("connector %s: %s", c.Name, strings.Join(check.wrong, "; "))
}

// checker gathers what is wrong with a declaration.
type checker struct {
	session *Session
	wrong   []string
	// settings and facts are those that expressions name, found the facts there are.
	settings, facts []string
	found           map[string]Fact
}

var (
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	settingPattern = regexp.MustCompile(`\$settings\.([a-z0-9_]+)`)
	factPattern    = regexp.MustCompile(`\$facts\.([a-zA-Z0-9_]+)`)
	hostPattern    = regexp.MustCompile(`^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

func (c *checker) fail(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *checker) that(holds bool, format string, args ...any) {
	if !holds {
		c.fail(format, args...)
	}
}

// expression compiles one, unless it is empty.
func (c *checker) expression(where, text string) {
	if text == "" {
		return
	}
	if _, err := c.session.Expression(text, false); err != nil {
		c.fail("%s: %v", where, err)
	}
	for _, m := range settingPattern.FindAllStringSubmatch(text, -1) {
		c.settings = append(c.settings, m[1])
	}
	for _, m := range factPattern.FindAllStringSubmatch(text, -1) {
		c.facts = append(c.facts, m[1])
	}
}

func (c *checker) headers(where string, headers map[string]string) {
	for name, text := range headers {
		c.expression(where+" header "+name, text)
	}
}

func (c *checker) request(where string, r Request) {
	c.that(r.Path != "", "%s has no path", where)
	c.expression(where+" path", pathExpression(r.Path))
	c.expression(where+" query", r.Query)
	c.expression(where+" body", r.Body)
	c.headers(where, r.Headers)
}

func (c *checker) paging(where string, p Paging) {
	c.expression(where+" paging", p.Next)
	c.expression(where+" restart", p.Restart)
	c.that((p.MaxPages > 0) == (p.Restart != ""), "%s: MaxPages and Restart belong together", where)
}

func (c *checker) finds(where string, facts []Fact) {
	for _, f := range facts {
		// Streams may need the same one.
		other, ok := c.found[f.Name]
		c.that(!ok || reflect.DeepEqual(other, f), "%s fact %s: there is another one of that name", where, f.Name)
		c.found[f.Name] = f
		c.request(where+" fact "+f.Name, f.Request)
		c.expression(where+" fact "+f.Name, f.Pick)
	}
}

// once finds names that are there twice.
func (c *checker) once(what string, names []string) {
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		c.that(names[i] != names[i-1], "there are two %s %s", what, names[i])
	}
}

func (c *checker) declared(where string, settings []Setting) {
	c.once(where+" settings", named(settings, func(s Setting) string { return s.Name }))
	for _, s := range settings {
		c.that(namePattern.MatchString(s.Name) && s.Title != "" && s.Doc != "", "%s setting %q needs a name, a title and a doc", where, s.Name)
		c.that(s.Default == "" || len(s.Choices) == 0 || slices.Contains(s.Choices, s.Default), "%s setting %s: the default is none of the choices", where, s.Name)
		if s.Pattern != "" {
			if _, err := regexp.Compile(s.Pattern); err != nil {
				c.fail("%s setting %s: %v", where, s.Name, err)
			}
		}
	}
}

func named[T any](list []T, name func(T) string) (names []string) {
	for _, v := range list {
		names = append(names, name(v))
	}
	return names
}

func (c *checker) connector(d *Connector) {
	c.that(namePattern.MatchString(d.Name) && d.Title != "" && d.Doc != "" && d.Kind != "", "it needs a name, a title, a kind and a doc")
	c.that(len(d.Hosts) > 0 && (d.Base != "" || d.Ended != nil) && len(d.Auth) > 0, "it needs hosts, a base and a way to authenticate")
	c.that(d.Limits.Requests > 0 && d.Limits.Per > 0 && d.Limits.Pause > 0, "it needs limits")
	c.that(slices.Contains([]string{"", "crm_account_id", "billing_account_id", "support_account_id"}, d.AccountField), "AccountField is no such field")
	c.declared("connector", d.Settings)
	for _, s := range d.Settings {
		c.that(!s.Secret, "setting %s: secrets are credentials, of a way to authenticate", s.Name)
	}
	c.expression("base", d.Base)
	c.headers("connector", d.Headers)
	c.expression("usage", d.Limits.Usage)
	for where, text := range map[string]string{"failed": d.Errors.Failed, "message": d.Errors.Message, "limited": d.Errors.Limited, "expired": d.Errors.Expired, "gone": d.Errors.Gone} {
		c.expression("errors "+where, text)
	}
	if d.Check.Path != "" || d.Ended == nil {
		c.request("check", d.Check)
	}
	c.expression("check", d.CheckThat)
	c.finds("connector", d.Facts)
	for _, host := range d.Hosts {
		c.that(hostPattern.MatchString(host), "%s is no host, nor all below a domain of somebody", host)
	}
	c.once("ways to authenticate", named(d.Auth, func(a Auth) string { return a.Name }))
	c.once("locations", named(d.Locations, func(l Location) string { return l.Name }))
	for _, a := range d.Auth {
		c.auth(&a)
	}
	var known []string
	for i := range d.Streams {
		c.stream(&d.Streams[i], known)
		known = append(known, d.Streams[i].Name)
	}
	c.that(len(d.Locations) > 0, "it has no location of the account_id")
	for _, l := range d.Locations {
		c.that(slices.Contains(known, l.Stream), "location %s: there is no stream %s", l.Name, l.Stream)
		c.that(l.Title != "" && l.Doc != "" && l.By != "", "location %s needs a title, a doc and what it is", l.Name)
		c.expression("location "+l.Name, l.Path)
	}
	for _, name := range c.settings {
		c.that(slices.ContainsFunc(d.Settings, func(s Setting) bool { return s.Name == name }), "an expression names $settings.%s, which is no setting", name)
	}
	for _, name := range c.facts {
		_, ok := c.found[name]
		c.that(ok, "an expression names $facts.%s, which is no fact", name)
	}
}

func (c *checker) auth(a *Auth) {
	where := "auth " + a.Name
	c.that(namePattern.MatchString(a.Name) && a.Title != "" && len(a.Headers) > 0, "%s needs a name, a title and headers", where)
	c.declared(where, a.Settings)
	c.that(slices.ContainsFunc(a.Settings, func(s Setting) bool { return s.Secret }), "%s has no secret", where)
	c.headers(where, a.Headers)
	c.expression(where+" base", a.Base)
	o := a.OAuth
	if o == nil {
		return
	}
	for _, name := range []string{"client_id", "client_secret"} {
		c.that(slices.ContainsFunc(a.Settings, func(s Setting) bool { return s.Name == name }), "%s has no setting %s", where, name)
	}
	c.that(o.TokenURL != "" && (o.Grant == ClientCredentials) == (o.AuthorizeURL == ""), "%s needs the URLs of its grant", where)
	c.expression(where+" authorize", o.AuthorizeURL)
	c.expression(where+" token", o.TokenURL)
	c.expression(where+" scopes", o.Scopes)
	c.expression(where+" keep", o.Keep)
}

func (c *checker) stream(st *Stream, known []string) {
	where := "stream " + st.Name
	c.that(namePattern.MatchString(st.Name) && !slices.Contains(known, st.Name) && st.Title != "", "%s needs a name of its own and a title", where)
	ways := 0
	for _, is := range []bool{st.Incremental || st.Resume != "", st.Changes != nil, st.Passing} {
		if is {
			ways++
		}
	}
	c.that(ways == 1, "%s must be one of: incremental (or with a cursor), with changes, passing", where)
	if st.Fetch == nil {
		c.request(where, st.Request)
		c.that(st.Items != "", "%s has no Items", where)
	}
	c.that(st.ID != "", "%s has no ID", where)
	c.that(st.Fetch == nil || st.Changes == nil && st.Resume == "" && st.Items == "" && st.Paging == (Paging{}), "%s: what Fetch does not do is not done", where)
	c.paging(where, st.Paging)
	for what, text := range map[string]string{"items": st.Items, "id": st.ID, "label": st.Label, "resume": st.Resume, "deleted": st.Deleted, "keep": st.Keep, "currency": st.Currency} {
		c.expression(where+" "+what, text)
	}
	c.finds(where, st.Facts)
	for _, d := range st.Details {
		c.that(d.For == "" || slices.ContainsFunc(st.Feeds, func(f Feed) bool { return f.Family == d.For }), "%s: a detail is for %s, which it does not feed", where, d.For)
		c.that(d.Into != "" && d.Items != "", "%s: a detail needs Into and Items", where)
		c.expression(where+" detail", d.When)
		c.expression(where+" detail", d.Items)
		c.request(where+" detail", d.Request)
		c.paging(where+" detail", d.Paging)
		c.that(d.Paging.MaxPages == 0, "%s detail: a detail cannot be asked for anew", where)
	}
	if ch := st.Changes; ch != nil {
		c.request(where+" changes", ch.Request)
		c.request(where+" get", ch.Get)
		c.expression(where+" changes", ch.Items)
		c.expression(where+" get", ch.Record)
		c.paging(where+" changes", ch.Paging)
		c.that(ch.Paging.MaxPages == 0, "%s changes: they cannot be asked for anew", where)
		c.that(ch.Kept > 0, "%s: it is not said for how long changes are kept", where)
	}
	if st.Deletes != "" {
		c.that(slices.Contains(known, st.Deletes) && len(st.Feeds) == 0, "%s deletes records of %s, which does not stand before it, or has feeds", where, st.Deletes)
	}
	for _, r := range st.Account {
		c.that((r.Via != "") != (r.By != ""), "%s: a route leads over a stream or is by something", where)
		c.that(r.Via == "" || slices.Contains(known, r.Via), "%s: a route leads over %s, which does not stand before it", where, r.Via)
		c.expression(where+" route", r.Key)
		c.expression(where+" route", r.Path)
	}
	for _, j := range st.Joins {
		c.that(slices.Contains(known, j.Stream) && j.As != "", "%s joins %s, which does not stand before it", where, j.Stream)
		c.expression(where+" join", j.Key)
	}
	for _, f := range st.Feeds {
		c.expression(where+" when", f.When)
		c.expression(where+" each", f.Each)
		c.that(len(f.Fields) > 0, "%s feeds %s nothing", where, f.Family)
		var names []string
		for _, field := range f.Fields {
			c.that(!slices.Contains(names, field.To), "%s feeds %s.%s twice", where, f.Family, field.To)
			names = append(names, field.To)
			c.expression(where+" "+f.Family+"."+field.To, field.From)
		}
	}
}

// pathExpression returns a request's path as an expression: text in which values
// are escaped, unless it is one already.
func pathExpression(path string) string {
	if strings.HasPrefix(path, "/") {
		return `@uri "` + path + `"`
	}
	return path
}

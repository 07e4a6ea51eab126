package sending

import (
	"cmp"
	"strings"
)

// Kind says what a record is for.
type Kind string

// The kinds of records.
const (
	// DKIM publishes the key that mail is signed with.
	DKIM Kind = "dkim"
	// Bounces is where mail that cannot be delivered is returned to.
	Bounces Kind = "bounces"
	// BouncesSPF says who may send in the name of the domain that takes bounces.
	BouncesSPF Kind = "bounces_spf"
	// SPF says who may send in the name of the domain itself.
	SPF Kind = "spf"
	// DMARC says what receivers should do with mail that neither proves.
	DMARC Kind = "dmarc"
)

// Record is a record that belongs into the domain's DNS.
type Record struct {
	// ID names the record among those of the domain.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Title says in a few words what the record is; Why what it is good for.
	Title string `json:"title"`
	Why   string `json:"why"`
	// Required records are those without which mail is not sent as it should be;
	// the others are advice.
	Required bool `json:"required"`
	// Name is the whole name, without the dot at its end; Host is what is entered
	// where the provider appends the registered domain by itself.
	Name string `json:"name"`
	Host string `json:"host"`
	// Type is TXT or MX.
	Type string `json:"type"`
	// Priority is that of an MX record.
	Priority int `json:"priority,omitempty"`
	// Value is the whole value in one piece, which most providers take, with what is
	// to be kept of a record that is there; Quoted is the same as zone files have it,
	// in strings of at most 255 bytes.
	Value  string `json:"value"`
	Quoted string `json:"quoted"`
	// Finding is what the last check found; nil when there was none.
	Finding *Finding `json:"finding"`
	// mechanism is what an SPF record must have.
	mechanism string
}

// Relay is the mail server or service that sends for a deployment.
type Relay struct {
	// Name is what people call it.
	Name string
	// Host takes what comes back from servers that could not deliver.
	Host string
	// Mechanism allows its servers in an SPF record.
	Mechanism string
}

// SES is Amazon SES in a region.
func SES(region string) Relay {
	return Relay{
		Name: "Amazon SES in " + region, Host: "feedback-smtp." + region + ".amazonses.com", Mechanism: "include:amazonses.com",
	}
}

// MailServer is a mail server of one's own. Its name must be one of DNS.
func MailServer(host string) (Relay, error) {
	host, err := parseDomain(host)
	return Relay{Name: host, Host: host, Mechanism: "a:" + host}, err
}

const (
	// mailFromLabel is the part of the name, below the domain, that takes bounces.
	// Hardly anybody has it in use already.
	mailFromLabel = "bounce"
	// bouncePriority is the priority of the one record, which SES asks for.
	bouncePriority = 10
	// maxString is the largest string of a TXT record, in bytes.
	maxString = 255
)

func mailFrom(domain string) string { return mailFromLabel + "." + domain }

// records returns the records of what is stored, the most important first.
func (s *Store) records(st *stored) []Record {
	relay := s.relay
	var all []Record
	add := func(id string, kind Kind, required bool, typ, name, value, title, why string) {
		r := Record{ID: id, Kind: kind, Title: title, Why: why, Required: required, Type: typ, Name: name, Value: value, Quoted: value + ".",
			mechanism: relay.Mechanism}
		zone := zoneOf(st.Domain)
		r.Host = cmp.Or(strings.TrimSuffix(strings.TrimSuffix(name, zone), "."), "@")
		if f, ok := st.Findings[id]; ok {
			r.Finding = &f
			r.Value = cmp.Or(f.Value, value)
		}
		if typ == "MX" {
			r.Priority = bouncePriority
		} else {
			r.Quoted = quoted(r.Value)
		}
		all = append(all, r)
	}
	for i, k := range st.keys() {
		title, why := "DKIM key", "Mail is signed with a key that only this system has. By this record receivers check the signature: "+
			"that the mail is from your domain and that nobody has changed it."
		if k == st.Next {
			title, why = "Next DKIM key", "Publish it beside the key in use. Mail is signed with it as soon as a check has found it here."
		} else if k == st.Retiring {
			title, why = "Former DKIM key", "Leave it for a week after the change of keys: mail on its way was signed with it. Then delete it."
		}
		add(string(DKIM)+":"+k.Selector, DKIM, i == 0, "TXT", k.Selector+"._domainkey."+st.Domain, k.record(), title, why)
	}
	bounces := mailFrom(st.Domain)
	add(string(Bounces), Bounces, true, "MX", bounces, relay.Host, "Return path",
		"Mail that cannot be delivered comes back to this name, below your domain so that it counts as yours. "+
			"It must be the only MX record of the name. The mail to your domain itself stays where it is.")
	add(string(BouncesSPF), BouncesSPF, true, "TXT", bounces, spfRecord(relay.Mechanism), "SPF of the return path",
		"Says that "+relay.Name+" may send with this return path. Receivers reject or mark as spam what others send with it.")
	add(string(DMARC), DMARC, false, "TXT", "_dmarc."+st.Domain, "v=DMARC1; p=none", "DMARC policy",
		"Says what receivers do with mail in your name that neither signature nor return path proves. Large providers ask for one of everybody who sends "+
			"to many. p=none only observes: begin with it, and keep what you have if it is stricter. To get reports add ; rua=mailto: and an address of yours. "+
			"When they show for some weeks that all of your mail passes, go on to p=quarantine, and then to p=reject.")
	add(string(SPF), SPF, false, "TXT", st.Domain, spfRecord(relay.Mechanism), "SPF of the domain",
		"Not needed for our mail, whose return path has its own; some receivers look here all the same. A domain has one SPF record at most: if there is one, "+
			"add only "+relay.Mechanism+" to it, before its all. A new one must name all services that send in your name.")
	return all
}

func spfRecord(mechanism string) string { return "v=spf1 " + mechanism + " ~all" }

// split returns a value as the strings of a TXT record.
func split(value string) []string {
	var parts []string
	for len(value) > maxString {
		parts = append(parts, value[:maxString])
		value = value[maxString:]
	}
	return append(parts, value)
}

// quoted returns a value as a zone file has it.
func quoted(value string) string {
	parts := split(value)
	for i, p := range parts {
		parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
	}
	return strings.Join(parts, " ")
}

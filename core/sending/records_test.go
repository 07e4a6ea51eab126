package sending

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// TestTextsAreSplitAsDNSNeeds holds what is told to be copied to what a DNS
// library reads from it.
func TestTextsAreSplitAsDNSNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[ -~]{0,700}`).Draw(t, "value")
		parts := split(value)
		if strings.Join(parts, "") != value {
			t.Fatalf("%q joined is not %q", parts, value)
		}
		for i, p := range parts {
			if len(p) > 255 || i < len(parts)-1 && len(p) != 255 {
				t.Fatalf("part %d has %d bytes", i, len(p))
			}
		}
		rr, err := dns.NewRR("example.com. 60 IN TXT " + quoted(value))
		if err != nil {
			t.Fatalf("%s: %v", quoted(value), err)
		}
		wire := make([]byte, 2048)
		n, err := dns.PackRR(rr, wire, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := dns.UnpackRR(wire[:n], 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := plain(strings.Join(back.(*dns.TXT).Txt, "")); got != value {
			t.Fatalf("%q comes back as %q", value, got)
		}
	})
}

func TestAnyBytesOfATextComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := string(rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "value"))
		wire := append([]byte("\x01x\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00"), byte(len(value)+1), byte(len(value)))
		wire = append(wire, value...)
		if len(value) == 255 {
			wire[11], wire[12] = 1, 0
		}
		rr, _, err := dns.UnpackRR(wire, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := plain(strings.Join(rr.(*dns.TXT).Txt, "")); got != value {
			t.Fatalf("%q comes back as %q", value, got)
		}
	})
}

func TestSPFRecordsAreMerged(t *testing.T) {
	for want, records := range map[string][]string{
		"v=spf1 include:amazonses.com ~all":                                    {"v=spf1 ~all"},
		"v=spf1 mx include:_spf.example.net include:amazonses.com -all":        {"v=spf1 mx -all", "v=spf1 include:_spf.example.net ~all"},
		"v=spf1 mx include:amazonses.com ~all":                                 {"v=spf1 mx"},
		"v=spf1 a mx include:amazonses.com redirect=_spf.example.net":          {"v=spf1 a mx redirect=_spf.example.net", "V=SPF1 a"},
		"v=spf1 ip4:192.0.2.1 include:amazonses.com ?all":                      {"v=spf1 ip4:192.0.2.1 ?all -include:amazonses.com"},
		"v=spf1 ip6:2001:db8::/32 exists:x.example include:amazonses.com -all": {"v=spf1 ip6:2001:db8::/32 exists:x.example include:amazonses.com -all"},
	} {
		if got := mergedSPF(records, "include:amazonses.com"); got != want {
			t.Errorf("%q: %s, want %s", records, got, want)
		}
	}
}

// FuzzJudging has any text stand where a record belongs: nothing may fail, what is
// right stays right, and what is kept is short and plain.
func FuzzJudging(f *testing.F) {
	for _, text := range []string{"v=DKIM1; k=rsa; p=AAAA", "v=spf1 include:amazonses.com ~all", "v=DMARC1; p=none", `"v=spf1" "x`, "v=spf1", "\x00\xff;;=", "p=", `\`} {
		f.Add(text, text)
	}
	const want = "v=DKIM1; k=rsa; p=AAAABBBB"
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, texts := range [][]string{{a}, {a, b}} {
			for _, finding := range []Finding{judgeDKIM(want, texts), judgeSPF("include:amazonses.com", texts), judgeDMARC(texts)} {
				if finding.State != Missing && len(finding.Found) == 0 || finding.State == Different && finding.Advice == "" {
					t.Errorf("%q: %+v", texts, finding)
				}
				for _, f := range append(finding.Found, finding.Advice, finding.Value) {
					if len(f) > maxFoundBytes+len("…") || !plainText(f) {
						t.Errorf("%q is kept as %q", texts, f)
					}
				}
			}
		}
		if f := judgeDKIM(want, []string{want, a}); f.State == Right && a != "" {
			t.Errorf("right beside %q", a)
		}
	})
}
